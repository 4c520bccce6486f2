//! What `farmgate check` and a start say of a configuration, and whether every key is tried.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::PathBuf;

use harness::{Finished, Gateway, Launcher};

use crate::fixtures::{OPEN, api_key, conf, gateway};

const EXIT_CONFIG: i32 = 78;

/// The files of `src/config` whose `..Config` structs are sections of a configuration.
const CONFIG_FILES: [&str; 6] = ["gateway", "identity", "limits", "route", "state", "pool"];

/// Each key of each section, and the test that fails when the key does nothing.
const TRIED: [(&str, &str); 60] = [
    ("GatewayConfig.listeners", "tls::client_gets_the_best_protocol_that_it_offers"),
    ("GatewayConfig.admin", "observe::admin_listener_says_what_it_answers"),
    ("GatewayConfig.server", "observe::threads_are_as_many_as_configured"),
    ("GatewayConfig.downstream", "refusals::too_many_header_fields_are_refused"),
    ("GatewayConfig.state", "keys::store_is_there_before_the_gateway_and_after_its_restart"),
    ("GatewayConfig.auth", "auth::any_one_of_three_credentials_opens_a_route"),
    ("GatewayConfig.limits", "limits::quota_is_exact_over_64_connections"),
    ("GatewayConfig.cache", "cache::objects_over_the_bound_are_served_and_not_kept"),
    ("GatewayConfig.envelope", "refusals::three_refusals_in_integer_form_use_one_connection"),
    ("GatewayConfig.upstreams_dir", "check::pools_are_read_from_the_configured_folder"),
    ("GatewayConfig.routes", "refusals::route_is_found_by_host_in_any_case_and_with_any_port"),
    ("ListenerConfig.address", "refusals::service_is_told_who_asked_and_how"),
    ("ListenerConfig.tls", "tls::client_gets_the_best_protocol_that_it_offers"),
    ("TlsConfig.certificate_file", "tls::check_says_which_file_cannot_be_used"),
    ("TlsConfig.key_file", "tls::check_says_which_file_cannot_be_used"),
    ("AdminConfig.address", "observe::admin_listener_says_what_it_answers"),
    ("AdminConfig.token", "purge::cache_endpoints_are_closed_without_the_token"),
    ("ServerConfig.worker_threads", "observe::threads_are_as_many_as_configured"),
    (
        "ServerConfig.drain_timeout",
        "shutdown::stuck_request_does_not_hold_the_process_beyond_its_time",
    ),
    ("ServerConfig.ready_timeout", "observe::readiness_waits_for_prewarming_no_longer_than_it_may"),
    (
        "DownstreamConfig.trusted_proxies",
        "limits::forwarded_address_of_a_trusted_proxy_is_the_last_one_it_did_not_write",
    ),
    ("DownstreamConfig.header_count_max", "refusals::too_many_header_fields_are_refused"),
    (
        "DownstreamConfig.header_bytes_max",
        "refusals::three_refusals_in_text_form_use_one_connection",
    ),
    (
        "DownstreamConfig.head_timeout",
        "refusals::slow_request_head_is_cut_but_a_slow_upstream_is_not",
    ),
    ("DownstreamConfig.keepalive_timeout", "refusals::idle_connection_is_closed_after_its_time"),
    ("DownstreamConfig.write_timeout", "refusals::client_that_does_not_read_is_given_up"),
    ("CacheConfig.memory", "cache::memory_budget_holds_however_much_is_asked_for"),
    ("CacheConfig.disk", "disk::hot_answer_is_a_hit_after_kill_9_with_all_its_variants"),
    ("CacheDiskConfig.size", "disk::disk_holds_what_its_size_says_in_the_folder_that_is_named"),
    ("CacheDiskConfig.dir", "disk::disk_holds_what_its_size_says_in_the_folder_that_is_named"),
    ("CacheConfig.object_bytes_max", "cache::objects_over_the_bound_are_served_and_not_kept"),
    ("CacheConfig.policies", "reload::quotas_answers_and_nonces_survive_a_reload"),
    ("CachePolicyConfig.fresh", "collapse::stale_key_is_refreshed_once_and_nobody_waits"),
    (
        "CachePolicyConfig.stale_while_revalidate",
        "collapse::stale_key_is_refreshed_once_and_nobody_waits",
    ),
    (
        "CachePolicyConfig.stale_if_error",
        "collapse::answer_beyond_its_window_is_served_when_the_upstream_fails",
    ),
    ("CachePolicyConfig.refresh_ahead", "refresh::answer_that_is_asked_for_is_never_missed_again"),
    (
        "CachePolicyConfig.unsaid",
        "standard::freshness::what_says_nothing_is_fresh_as_the_policy_says",
    ),
    (
        "CachePolicyConfig.heuristic_max",
        "standard::freshness::what_says_nothing_is_fresh_as_the_policy_says",
    ),
    (
        "CachePolicyConfig.obey_clients",
        "standard::client::client_is_not_obeyed_unless_the_policy_says_so",
    ),
    (
        "CachePolicyConfig.compress",
        "codings::policy_says_which_codings_there_are_and_which_comes_first",
    ),
    ("CachePolicyConfig.query", "cache::queries_that_ask_for_the_same_share_one_answer"),
    ("QueryConfig.round", "cache::queries_that_ask_for_the_same_share_one_answer"),
    ("QueryConfig.keep", "cache::only_parameters_that_are_kept_make_another_answer"),
    ("QueryConfig.drop", "cache::queries_that_ask_for_the_same_share_one_answer"),
    ("QueryConfig.defaults", "cache::queries_that_ask_for_the_same_share_one_answer"),
    ("QueryConfig.sort", "cache::queries_that_ask_for_the_same_share_one_answer"),
    ("CachePolicyConfig.error_for", "collapse::failure_is_remembered_and_then_asked_about_again"),
    ("CachePolicyConfig.share", "cache::principals_share_no_answer_unless_the_policy_says_so"),
    ("EnvelopeConfig.status", "refusals::three_refusals_in_integer_form_use_one_connection"),
    (
        "EnvelopeConfig.body_bytes_max",
        "check::body_over_the_bound_of_the_envelope_passes_unwrapped",
    ),
    ("LimitsConfig.shield", "limits::shield_turns_a_flood_from_one_address_away"),
    ("LimitsConfig.principals_max", "limits::number_of_counted_principals_is_bounded"),
    (
        "LimitsConfig.failures",
        "quotas::address_that_tries_credentials_is_stopped_and_its_neighbours_are_not",
    ),
    ("LimitsConfig.quotas", "limits::quota_is_exact_over_64_connections"),
    ("ShieldConfig.requests_per_second_max", "limits::shield_turns_a_flood_from_one_address_away"),
    ("ShieldConfig.in_flight_max", "limits::shield_bounds_what_one_address_has_in_flight"),
    ("QuotaConfig.rate", "quotas::each_quota_counts_the_callers_that_it_is_of"),
    ("QuotaConfig.of", "quotas::each_quota_counts_the_callers_that_it_is_of"),
    ("QuotaConfig.counts", "quotas::hits_and_misses_have_budgets_of_their_own"),
    ("QuotaConfig.methods", "quotas::quota_for_a_method_leaves_the_others_alone"),
];

/// The same for who may call.
const TRIED_IDENTITY: [(&str, &str); 54] = [
    ("AuthConfig.jwt", "auth::any_one_of_three_credentials_opens_a_route"),
    ("AuthConfig.tokens_remembered_max", "issuers::number_of_remembered_tokens_is_bounded"),
    ("AuthConfig.api_keys", "auth::any_one_of_three_credentials_opens_a_route"),
    ("AuthConfig.hmac", "auth::any_one_of_three_credentials_opens_a_route"),
    ("AuthConfig.token", "integration::issued_token_opens_what_it_was_issued_for"),
    ("AuthConfig.internal", "internal::service_is_told_who_calls_by_a_token_it_can_verify"),
    ("JwtConfig.issuer", "issuers::every_issuer_has_rules_of_its_own"),
    ("JwtConfig.audience", "issuers::every_issuer_has_rules_of_its_own"),
    ("JwtConfig.algorithms", "issuers::every_issuer_signs_with_its_own_algorithm_and_no_other"),
    ("JwtConfig.keys", "issuers::keys_of_a_rotation_all_count_until_a_reload_drops_one"),
    ("JwtConfig.jwks", "issuers::first_token_of_an_issuer_waits_for_its_keys"),
    ("JwtConfig.leeway", "issuers::every_issuer_has_rules_of_its_own"),
    ("JwtConfig.token_type", "issuers::every_issuer_has_rules_of_its_own"),
    ("JwtConfig.jti_required", "issuers::every_issuer_has_rules_of_its_own"),
    ("JwtConfig.required_claims", "issuers::every_issuer_has_rules_of_its_own"),
    ("JwksConfig.url", "issuers::first_token_of_an_issuer_waits_for_its_keys"),
    (
        "JwksConfig.refresh",
        "issuers::keys_are_refreshed_in_the_background_and_kept_while_that_fails",
    ),
    ("JwksConfig.cooldown", "issuers::rotation_is_one_fetch_for_fifty_clients"),
    ("JwksConfig.timeout", "issuers::slow_issuer_is_given_up_after_its_timeout"),
    ("JwksConfig.ca_file", "issuers::key_set_over_tls_needs_an_authority_that_is_trusted"),
    ("ApiKeysConfig.keys", "auth::unknown_revoked_and_expired_keys_look_the_same"),
    ("ApiKeysConfig.store", "keys::created_key_is_let_in_promptly_with_all_it_was_given"),
    ("ApiKeysConfig.mysql", "keys::tables::key_of_the_tables_needs_the_pepper_and_an_active_owner"),
    ("ApiKeyConfig.id", "observe::one_line_is_logged_for_each_request"),
    ("ApiKeyConfig.sha256", "auth::unknown_revoked_and_expired_keys_look_the_same"),
    ("ApiKeyConfig.user", "keys::key_of_the_file_acts_for_its_user_until_its_time"),
    ("ApiKeyConfig.scopes", "auth::scope_of_a_route_is_asked_of_every_scheme"),
    ("ApiKeyConfig.expires_at", "keys::key_of_the_file_acts_for_its_user_until_its_time"),
    ("ApiKeyConfig.revoked", "auth::unknown_revoked_and_expired_keys_look_the_same"),
    ("MysqlKeysConfig.url", "keys::tables::key_of_the_tables_needs_the_pepper_and_an_active_owner"),
    (
        "MysqlKeysConfig.pepper",
        "keys::tables::key_of_the_tables_needs_the_pepper_and_an_active_owner",
    ),
    (
        "MysqlKeysConfig.timeout",
        "keys::tables::database_that_does_not_answer_is_given_up_and_asked_by_few",
    ),
    (
        "MysqlKeysConfig.connections_max",
        "keys::tables::database_that_does_not_answer_is_given_up_and_asked_by_few",
    ),
    ("MysqlKeysConfig.remember", "keys::tables::proved_key_is_remembered_for_as_long_as_it_says"),
    (
        "MysqlKeysConfig.recheck",
        "keys::tables::key_that_the_tables_withdraw_is_refused_without_a_reload",
    ),
    (
        "MysqlKeysConfig.hash_threads",
        "keys::tables::more_cold_keys_than_may_wait_are_told_to_come_back",
    ),
    (
        "MysqlKeysConfig.hash_queue_max",
        "keys::tables::more_cold_keys_than_may_wait_are_told_to_come_back",
    ),
    ("HmacConfig.skew", "auth::signature_holds_within_the_configured_skew_only"),
    ("HmacConfig.nonce_ttl", "auth::full_nonce_memory_refuses_rather_than_forgets"),
    ("HmacConfig.nonces_max", "auth::full_nonce_memory_refuses_rather_than_forgets"),
    ("HmacConfig.clients_json", "auth::clients_of_a_json_map_sign_whatever_else_stands_in_it"),
    ("HmacConfig.clients", "auth::signature_for_another_request_says_what_differs"),
    ("HmacClientConfig.id", "auth::signature_for_another_request_says_what_differs"),
    (
        "HmacClientConfig.secrets",
        "auth::both_secrets_of_a_rotation_are_accepted_and_come_from_file_and_environment",
    ),
    ("HmacClientConfig.scopes", "auth::scope_of_a_route_is_asked_of_every_scheme"),
    ("HmacSecretConfig.secret", "auth::secret_of_a_client_counts_from_and_until_its_times"),
    ("HmacSecretConfig.from", "auth::secret_of_a_client_counts_from_and_until_its_times"),
    ("HmacSecretConfig.until", "auth::secret_of_a_client_counts_from_and_until_its_times"),
    ("TokenConfig.issuer", "integration::issued_token_opens_what_it_was_issued_for"),
    ("TokenConfig.lifetime", "keys::created_key_is_let_in_promptly_with_all_it_was_given"),
    ("InternalConfig.secret", "internal::internal_token_opens_nothing_at_the_edge"),
    ("InternalConfig.issuer", "internal::service_is_told_who_calls_by_a_token_it_can_verify"),
    ("InternalConfig.audience", "internal::service_is_told_who_calls_by_a_token_it_can_verify"),
    ("InternalConfig.lifetime", "internal::service_is_told_who_calls_by_a_token_it_can_verify"),
];

/// The same for routes and pools.
const TRIED_ROUTES: [(&str, &str); 51] = [
    ("RouteConfig.name", "observe::requests_are_counted_by_route_method_and_status"),
    ("RouteConfig.hosts", "refusals::route_is_found_by_host_in_any_case_and_with_any_port"),
    ("RouteConfig.path_prefix", "refusals::escaped_letters_do_not_walk_around_a_route"),
    (
        "RouteConfig.paths",
        "refusals::exact_paths_come_before_prefixes_and_take_nothing_beneath_them",
    ),
    ("RouteConfig.methods", "refusals::refusal_of_a_method_names_those_that_are_taken"),
    (
        "RouteConfig.pool",
        "reload::three_faults_in_three_files_are_reported_at_once_and_the_old_routes_answer",
    ),
    (
        "RouteConfig.endpoint",
        "integration::recorded_answers_of_the_integration_api_are_repeated_byte_for_byte",
    ),
    ("RouteConfig.api_document", "catalog::apis_are_listed_with_their_documents"),
    ("RouteConfig.auth", "auth::challenge_names_the_credential_that_would_help"),
    ("RouteConfig.quotas", "limits::routes_that_name_one_quota_share_it"),
    (
        "RouteConfig.json_only",
        "integration::recorded_refusals_by_limit_method_and_type_are_repeated_byte_for_byte",
    ),
    ("RouteConfig.login", "quotas::failed_logins_at_the_upstream_are_limited_by_address"),
    ("RouteConfig.cache", "reload::quotas_answers_and_nonces_survive_a_reload"),
    ("RouteConfig.envelope", "check::body_over_the_bound_of_the_envelope_passes_unwrapped"),
    ("RouteConfig.credentials", "auth::stripped_credentials_stop_at_the_gateway"),
    ("RouteConfig.timeout", "refusals::three_refusals_in_text_form_use_one_connection"),
    ("RouteConfig.body_bytes_max", "refusals::body_that_grows_beyond_the_limit_is_refused"),
    ("RouteConfig.prewarm", "observe::readiness_waits_for_prewarming_no_longer_than_it_may"),
    ("RouteAuthConfig.any", "auth::any_one_of_three_credentials_opens_a_route"),
    ("RouteAuthConfig.all", "auth::credentials_that_are_all_required_must_all_hold"),
    ("RouteAuthConfig.anonymous", "auth::anonymous_caller_passes_but_a_bad_credential_does_not"),
    (
        "RouteAuthConfig.integration",
        "integration::integration_routes_want_tokens_that_say_what_they_may_do",
    ),
    ("RouteAuthConfig.scopes", "auth::scope_of_a_route_is_asked_of_every_scheme"),
    ("ScopeConfig.any", "quotas::scopes_are_asked_for_by_method"),
    ("ScopeConfig.methods", "quotas::scopes_are_asked_for_by_method"),
    ("PrewarmConfig.every", "check::faults_between_sections_are_found"),
    ("PrewarmConfig.host", "observe::readiness_waits_for_prewarming_no_longer_than_it_may"),
    ("PrewarmConfig.targets", "observe::readiness_waits_for_prewarming_no_longer_than_it_may"),
    ("PrewarmConfig.jitter", "warmth::rounds_with_jitter_come_earlier_and_never_later"),
    ("PrewarmConfig.points", "warmth::every_point_of_a_file_is_warm_before_anyone_asks"),
    ("PointsConfig.file", "warmth::every_point_of_a_file_is_warm_before_anyone_asks"),
    ("PointsConfig.list", "warmth::every_point_of_a_file_is_warm_before_anyone_asks"),
    (
        "PointsConfig.route",
        "warmth::points_that_a_service_lists_are_warm_and_the_last_list_is_kept",
    ),
    ("PointsConfig.path", "warmth::points_that_a_service_lists_are_warm_and_the_last_list_is_kept"),
    ("PointsConfig.points_max", "warmth::list_with_too_many_points_warms_none_of_them"),
    ("PoolConfig.peers", "failover::dead_peer_is_passed_over"),
    ("PoolConfig.tls", "failover::peers_over_tls_must_carry_the_configured_name"),
    ("PoolConfig.connect_timeout", "failover::peer_that_does_not_accept_is_given_up_in_time"),
    ("PoolConfig.idle_timeout", "failover::idle_connection_to_a_peer_is_closed_after_its_time"),
    ("PoolConfig.attempts_max", "failover::no_more_peers_are_tried_than_allowed"),
    ("PoolConfig.in_flight_max", "limits::pool_takes_no_more_in_flight_than_it_says"),
    ("PoolConfig.eject_for", "failover::ejected_peer_comes_back"),
    (
        "PoolConfig.budget",
        "budget::overload_tenfold_never_exceeds_the_budget_and_everybody_is_answered",
    ),
    (
        "PoolConfig.refreshes_max",
        "refresh::thousand_stale_keys_open_no_more_calls_than_the_pool_allows_and_all_are_refreshed",
    ),
    ("PoolConfig.refresh_queue_max", "refresh::full_queue_drops_what_comes_and_says_so"),
    (
        "BudgetConfig.minute",
        "budget::overload_tenfold_never_exceeds_the_budget_and_everybody_is_answered",
    ),
    (
        "BudgetConfig.hour",
        "budget::overload_tenfold_never_exceeds_the_budget_and_everybody_is_answered",
    ),
    (
        "BudgetConfig.day",
        "budget::overload_tenfold_never_exceeds_the_budget_and_everybody_is_answered",
    ),
    ("PeerConfig.address", "failover::dead_peer_is_passed_over"),
    ("PeerConfig.weight", "failover::peers_take_turns_by_weight"),
    ("PoolTlsConfig.server_name", "failover::peers_over_tls_must_carry_the_configured_name"),
];

/// The same for the keys of `state`.
const TRIED_SHARED: [(&str, &str); 9] = [
    ("StateConfig.dir", "shared::nonces::restarts_forget_no_nonce"),
    ("StateConfig.redis", "shared::nonces::gateways_of_one_redis_refuse_each_others_nonces"),
    ("RedisConfig.url", "shared::nonces::short_form_of_a_redis_is_the_same_redis"),
    ("RedisConfig.prefix", "shared::nonces::prefix_keeps_two_fleets_apart"),
    (
        "RedisConfig.timeout",
        "shared::outage::hanging_redis_delays_one_request_by_the_time_limit_and_no_other",
    ),
    (
        "RedisConfig.ca_file",
        "shared::connection::redis_over_tls_is_trusted_for_its_authority_and_no_other",
    ),
    (
        "RedisConfig.nonces",
        "shared::outage::gateway_that_went_on_alone_tells_the_others_what_it_accepted",
    ),
    (
        "RedisConfig.quotas",
        "shared::outage::quotas_without_redis_are_counted_here_refused_or_not_counted",
    ),
    ("RedisConfig.django_nonces", "shared::nonces::nonces_are_shared_with_django_in_its_own_form"),
];

#[test]
fn every_key_is_tried_by_a_test_that_exists() {
    let keys: BTreeSet<String> = CONFIG_FILES.iter().flat_map(|file| keys_of(file)).collect();
    let all = || TRIED.iter().chain(&TRIED_IDENTITY).chain(&TRIED_ROUTES).chain(&TRIED_SHARED);
    let tried: BTreeSet<String> = all().map(|(key, _)| (*key).to_owned()).collect();
    let untried: Vec<_> = keys.difference(&tried).collect();
    assert!(untried.is_empty(), "write a test, and name it here, for {untried:?}");
    let gone: Vec<_> = tried.difference(&keys).collect();
    assert!(gone.is_empty(), "no such keys any more: {gone:?}");
    for (key, test) in all() {
        let (module, name) = test.rsplit_once("::").unwrap();
        let text = read(&format!("tests/blackbox/{}.rs", module.replace("::", "/")));
        let exists = text.contains(&format!("async fn {name}("));
        assert!(exists, "{key} names the test {test}, which does not exist");
    }
}

#[test]
fn every_key_is_shown_in_the_shipped_configuration() {
    let shown = ["conf/gateway.yaml", "upstreams/weather.yaml"].map(read).concat();
    let missing: Vec<String> = CONFIG_FILES
        .iter()
        .flat_map(|file| keys_of(file))
        .filter(|key| {
            let name = key.split_once('.').unwrap().1;
            !shown.contains(&format!("{name}:"))
        })
        .collect();
    assert!(missing.is_empty(), "conf/gateway.yaml says that it has every key, but {missing:?}");
}

/// The fields of the `..Config` structs in `src/config/<file>.rs`, as `Struct.field`.
fn keys_of(file: &str) -> Vec<String> {
    let text = read(&format!("src/config/{file}.rs"));
    let mut keys = Vec::new();
    let mut section = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("pub struct ") {
            section = name.strip_suffix(" {");
        } else if line == "}" {
            section = None;
        } else if let (Some(section), Some(field)) = (section, line.strip_prefix("    pub ")) {
            keys.push(format!("{section}.{}", field.split_once(':').unwrap().0));
        }
    }
    assert!(keys.len() > 5, "src/config/{file}.rs cannot be read: {keys:?}");
    keys
}

fn read(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A gateway whose pool `service` leads nowhere: nothing is asked of it.
fn with(sections: &str, routes: &[&str]) -> Launcher {
    gateway().with(conf(sections, routes)).pool("service", "peers: [{address: 127.0.0.1:9}]\n")
}

/// Fails unless the faults are exactly these, each given by position and by words of its message.
#[track_caller]
fn expect_faults(finished: Finished, expected: &[(&str, &str)]) {
    let finished = finished.expect_code(EXIT_CONFIG);
    let said = finished.stderr.join("\n");
    for (position, words) in expected {
        let found = finished.stderr.iter().find(|line| line.contains(position));
        let found = found.unwrap_or_else(|| panic!("nothing at {position} in\n{said}"));
        assert!(found.contains(words), "{found}\ndoes not say {words}");
    }
    assert_eq!(finished.stderr.len(), expected.len() + 1, "{said}");
    let count = format!("{} fault(s)", expected.len());
    assert!(finished.stderr.last().unwrap().starts_with(&count), "{said}");
}

#[tokio::test]
async fn good_configuration_exits_with_zero() {
    let finished = with("", &[OPEN]).finish("check").await.expect_code(0);
    assert!(finished.stdout[0].ends_with("conf/gateway.yaml: good, 1 route(s)"));
    assert!(finished.stderr.is_empty(), "{:?}", finished.stderr);
}

#[tokio::test]
async fn all_faults_of_all_files_are_listed_with_their_positions() {
    let sections = "server: {worker_threads: 0}\n\
                    cache: {memory: 64MB, policies: {kept: {fresh: 1 hour}}}\n\
                    limits: {quotas: {few: often}}";
    let routes = [
        "{name: a, path_prefix: a, pool: service, auth: {anonymous: true}}",
        "{name: b, path_prefix: /b, pool: servise, auth: {anonymous: true}}",
        "{name: c, path_prefix: /c, pool: service, methods: [GTE], auth: {anonymous: true}}",
    ];
    let launcher = with(sections, &routes);
    let launcher = launcher.pool("service", "peers:\n  - {address: nowhere}\nweight: 1\n");
    let expected = [
        ("conf/gateway.yaml:3:26: ", "from 1 to 256"),
        ("conf/gateway.yaml:4:17: ", "write 64MiB"),
        ("conf/gateway.yaml:4:48: ", "write 1h"),
        ("conf/gateway.yaml:5:24: ", "such as 100/min"),
        ("conf/gateway.yaml:7:28: ", "does not start with /"),
        ("conf/gateway.yaml:8:38: ", "did you mean \"service\"?"),
        ("conf/gateway.yaml:9:57: ", "did you mean GET?"),
        ("upstreams/service.yaml:2:15: ", "is not host:port"),
        ("upstreams/service.yaml:3:1: ", "weight"),
    ];
    expect_faults(launcher.finish("check").await, &expected);
}

#[tokio::test]
async fn unknown_keys_are_faults_with_the_key_that_was_meant() {
    let cases = [
        ("servr: {}", "server"),
        ("server: {worker_thread: 2}", "worker_threads"),
        ("downstream: {head_timout: 1s}", "head_timeout"),
        ("limits: {shield: {in_fligth_max: 1}}", "in_flight_max"),
        ("cache: {memry: 1MiB}", "memory"),
        ("envelope: {stauts: text}", "status"),
    ];
    for (section, meant) in cases {
        let finished = with(section, &[OPEN]).finish("check").await.expect_code(EXIT_CONFIG);
        let fault = &finished.stderr[0];
        assert!(fault.contains("conf/gateway.yaml:3:"), "{fault}");
        assert!(fault.contains("did you mean") && fault.contains(meant), "{fault}");
    }
    let route = OPEN.replace("pool:", "quotta: few, pool:");
    let finished = with("", &[&route]).finish("check").await.expect_code(EXIT_CONFIG);
    assert!(finished.stderr[0].contains("quota"), "{}", finished.stderr[0]);
    let pool = with("", &[OPEN]).pool("service", "peer: []\npeers: [{address: 127.0.0.1:9}]\n");
    expect_faults(pool.finish("check").await, &[("upstreams/service.yaml:1:1: ", "peers")]);
}

#[tokio::test]
async fn faults_between_sections_are_found() {
    let sections = "cache: {policies: {kept: {fresh: 1m}, idle: {fresh: 1m}}}\n\
                    limits: {quotas: {unused: 1/s, huge: 1000000/day}}";
    let routes = [
        OPEN,
        "{name: open, path_prefix: /again, pool: service, auth: {anonymous: true}}",
        "{name: twin, path_prefix: /, pool: service, auth: {anonymous: true}}",
        "{name: warm, path_prefix: /w, pool: service, cache: kept, auth: {anonymous: true}, \
         prewarm: {every: 2m, host: a, targets: [/elsewhere]}}",
        "{name: shut, path_prefix: /s, pool: service, quotas: [huge], auth: {}}",
        "{name: keyless, path_prefix: /k, pool: service, auth: {any: [jwt]}}",
    ];
    let finished = with(sections, &routes).pool("spare", "peers: [{address: 127.0.0.1:9}]\n");
    let finished = finished.finish("check").await.expect_code(EXIT_CONFIG);
    let words = [
        "no route uses this cache policy",
        "no route uses this quota",
        "at most 10000 requests can be counted exactly",
        "the name \"open\" is taken by another route",
        "route \"open\" already takes these hosts, paths and methods",
        "must be less than the policy's `fresh`",
        "a path with query that the route takes",
        "nobody can call this route",
        "`auth.jwt` is not configured",
        "no route uses this pool",
    ];
    for words in words {
        let count = finished.stderr.iter().filter(|line| line.contains(words)).count();
        assert_eq!(count, 1, "{words:?} in\n{}", finished.stderr.join("\n"));
    }
    assert_eq!(finished.stderr.len(), words.len() + 1, "{}", finished.stderr.join("\n"));
}

#[tokio::test]
async fn secrets_must_exist_and_are_never_shown() {
    let route = "{name: one, path_prefix: /, pool: service, auth: {any: [jwt]}}";
    let fault = async |secret: &str| {
        let sections = format!("auth: {{jwt: [{{keys: ['{secret}']}}]}}");
        let finished = with(&sections, &[route]).env("SHORT", "hunter2").finish("check").await;
        let finished = finished.expect_code(EXIT_CONFIG);
        assert!(!finished.stderr.join("\n").contains("hunter2"));
        finished.stderr[0].clone()
    };
    let position = "conf/gateway.yaml:3:";
    let cases = [
        ("hunter2", "write env:NAME or file:PATH"),
        ("env:UNSET", "UNSET is not set"),
        ("file:no.secret", "no.secret cannot be read"),
        ("env:SHORT", "use at least 32 random ones"),
    ];
    for (secret, words) in cases {
        let fault = fault(secret).await;
        assert!(fault.contains(position) && fault.contains(words), "{fault}");
    }
    let key = api_key("a", "key", "").replace("sha256: ", "sha256: x");
    let sections = format!("auth: {{api_keys: {{keys: [{key}]}}}}");
    let route = "{name: one, path_prefix: /, pool: service, auth: {any: [api_key]}}";
    let finished = with(&sections, &[route]).finish("check").await.expect_code(EXIT_CONFIG);
    assert!(finished.stderr[0].contains("not 64 hex digits"), "{}", finished.stderr[0]);
}

#[tokio::test]
async fn file_that_is_no_yaml_or_is_not_there_is_named() {
    let broken = gateway().with("listeners: [\nadmin: }\n").finish("check").await;
    let broken = broken.expect_code(EXIT_CONFIG);
    assert!(broken.stderr[0].contains("conf/gateway.yaml:2:"), "{:?}", broken.stderr);
    let missing = gateway().finish("check").await.expect_code(EXIT_CONFIG);
    assert!(
        missing.stderr[0].contains("conf/gateway.yaml: cannot be read"),
        "{:?}",
        missing.stderr
    );
    let twice = gateway().with(conf("server: {}\nserver: {}", &[OPEN])).finish("check").await;
    let twice = twice.expect_code(EXIT_CONFIG);
    assert!(twice.stderr[0].contains("conf/gateway.yaml:4:1:"), "{:?}", twice.stderr);
}

#[tokio::test]
async fn start_with_faults_lists_them_and_ends() {
    let finished = with("servr: {}", &[OPEN]).finish("run").await.expect_code(EXIT_CONFIG);
    let said = finished.stderr.join("\n");
    assert!(said.contains("conf/gateway.yaml:3:1:") && said.contains("1 fault(s)"), "{said}");
}

#[tokio::test]
async fn address_that_is_taken_is_named_with_what_to_do() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for placeholder in ["{listen}", "{admin}"] {
        let yaml = conf("", &[OPEN]).replace(placeholder, &address);
        let launcher = gateway().with(yaml).pool("service", "peers: [{address: 127.0.0.1:9}]\n");
        let finished = launcher.finish("run").await.expect_code(1);
        let said = finished.stderr.join("\n");
        assert!(said.contains(&format!("{address} is already in use")), "{said}");
        assert!(said.contains("change the address in the configuration"), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[tokio::test]
async fn pools_are_read_from_the_configured_folder() {
    let origin = harness::Origin::start().await;
    origin.otherwise(harness::Answer::json("1"));
    let pool = format!("peers: [{{address: '{}'}}]", origin.address());
    let yaml = conf("upstreams_dir: ../other/pools", &[OPEN]);
    let launcher = gateway().with(yaml).file("other/pools/service.yaml", pool);
    let gw: Gateway = launcher.start().await;
    gw.get("/x").send().await.expect_status(200);
    let lost = with("upstreams_dir: nowhere", &[OPEN]).finish("check").await;
    let lost = lost.expect_code(EXIT_CONFIG);
    assert!(lost.stderr[0].contains("conf/gateway.yaml:3:"), "{:?}", lost.stderr);
    assert!(lost.stderr[0].contains("upstreams_dir"), "{:?}", lost.stderr);
}

#[tokio::test]
async fn body_over_the_bound_of_the_envelope_passes_unwrapped() {
    let route = "{name: wrapped, path_prefix: /, pool: service, envelope: true, \
                 auth: {anonymous: true}}";
    let sections = "envelope: {body_bytes_max: 1KiB}";
    let (origin, gw) = crate::fixtures::serve(sections, &[route]).await;
    let small = format!("\"{}\"", "x".repeat(1022));
    let large = format!("\"{}\"", "x".repeat(1023));
    origin.json("/small", small.clone());
    origin.json("/large", large.clone());
    let wrapped = gw.get("/small").send().await.expect_status(200);
    wrapped.expect_json("/data", small.trim_matches('"')).expect_json("/status", "success");
    gw.get("/large").send().await.expect_status(200).expect_body(large);
}
