//! Is every name read, and every fault told?
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;

const SECRET: &str = "thirty-two bytes, or some more of them";

fn read(pairs: &[(&str, &str)]) -> Result<AuthSettings, String> {
    let mut env = Settings::from_pairs(pairs.iter().copied());
    let settings = AuthSettings::read(&mut env);
    env.finish(&PREFIXES).map(|()| settings).map_err(|error| error.to_string())
}

#[test]
fn nothing_configured_verifies_nothing() {
    let settings = read(&[]).unwrap();
    assert!(!settings.has_verifier() && !settings.is_disabled);
    assert_eq!(settings.bypass_paths, BYPASS_PATHS);
}

#[test]
fn each_name_is_read_and_so_is_the_operators() {
    let keys = [("API_KEY_DATABASE_URL", "mysql://h/d"), ("API_KEY_PEPPER", "p")];
    for pairs in [
        &[("INTERNAL_TOKEN_SECRET", SECRET)][..],
        &[("JWT_SIGNING_KEY", SECRET)],
        &[("DJANGO_SECRET_KEY", SECRET)],
        &keys,
        &[("MYSQL_DATABASE_URL", "mysql://h/d"), ("DJANGO_API_KEY_PEPPER", "p")],
    ] {
        assert!(read(pairs).unwrap().has_verifier(), "{pairs:?}");
    }
    let bearer = |pairs: &[(&str, &str)]| {
        let bearer = read(&[&[("JWT_SIGNING_KEY", SECRET)], pairs].concat()).unwrap().bearer;
        bearer.map(|bearer| (bearer.issuer, bearer.audience)).unwrap()
    };
    let texts = |issuer: &str, audience: &str| (issuer.to_owned(), audience.to_owned());
    // An empty audience would let no token of the operator's in.
    let empty = bearer(&[("JWT_AUDIENCE", "")]);
    assert_eq!(empty, texts("farm-intelligence-platform", "nextcloud"));
    assert_eq!(bearer(&[("JWT_ISSUER", "a"), ("JWT_AUDIENCE", "b")]), texts("a", "b"));
    let operators = [("SIMPLE_JWT_ISSUER", "c"), ("SIMPLE_JWT_AUDIENCE", "d")];
    assert_eq!(bearer(&operators), texts("c", "d"));
    let more = [
        ("API_KEY_AUTH_CACHE_TTL_SECONDS", "7"),
        ("API_KEY_AUTH_CACHE_ENTRIES_MAX", "8"),
        ("API_KEY_HASHES_MAX", "3"),
        ("API_KEY_HASH_QUEUE_MAX", "4"),
        ("API_KEY_DATABASE_CONNECTIONS_MAX", "5"),
        ("API_KEY_DATABASE_TIMEOUT_MS", "600"),
    ];
    let read = read(&[&keys[..], &more].concat()).unwrap().api_keys.unwrap();
    assert_eq!((read.kept.as_secs(), read.entries_max.get()), (7, 8));
    assert_eq!((read.hashes_max.get(), read.hash_queue_max), (3, 4));
    assert_eq!((read.connections_max, read.timeout.as_millis()), (5, 600));
}

#[test]
fn names_of_other_programs_are_tolerated_and_misspelt_ones_are_not() {
    assert!(read(&WITHOUT_EFFECT.map(|(name, _)| (name, "1"))).is_ok());
    for (wrong, right) in [
        ("AUTH_DISABLE", "AUTH_DISABLED"),
        ("JWT_SINGING_KEY", "JWT_SIGNING_KEY"),
        ("API_KEY_HASH_MAX", "API_KEY_HASHES_MAX"),
        ("INTERNAL_TOKEN_SECRETS", "INTERNAL_TOKEN_SECRET"),
    ] {
        let told = read(&[(wrong, "x")]).unwrap_err();
        assert!(told.contains(&format!("did you mean {right}?")), "{told}");
    }
}

#[test]
fn faults_say_what_to_write_and_show_no_secret() {
    let told = read(&[
        ("DJANGO_SECRET_KEY", "hunter2"),
        ("API_KEY_DATABASE_URL", "mysql://u:hunter2@h/d"),
        ("AUTH_BYPASS_PATHS", "healthz"),
    ]);
    let told = told.unwrap_err();
    for part in [
        "DJANGO_SECRET_KEY has 7 bytes: write at least 32 random ones",
        "API_KEY_PEPPER is not set, but API_KEY_DATABASE_URL",
        "write exact paths with commas between",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert!(!told.contains("hunter2"), "{told}");
    let whole = [("API_KEY_DATABASE_URL", "mysql://u:hunter2@h/d"), ("API_KEY_PEPPER", "hunter2")];
    let whole = [&whole[..], &[("JWT_SIGNING_KEY", "hunter2 hunter2 hunter2 hunter2 !")]].concat();
    let shown = format!("{:?}", read(&whole).unwrap());
    assert!(shown.contains("redacted") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn disabled_needs_no_pepper() {
    let pairs = [("AUTH_DISABLED", "true"), ("MYSQL_DATABASE_URL", "mysql://h/d")];
    assert!(read(&pairs).unwrap().is_disabled);
}

#[test]
fn bypassed_paths_are_a_list_or_none() {
    let paths = |text| read(&[("AUTH_BYPASS_PATHS", text)]).unwrap().bypass_paths;
    assert_eq!(paths("/healthz, /metrics"), ["/healthz", "/metrics"]);
    assert!(paths("none").is_empty());
}
