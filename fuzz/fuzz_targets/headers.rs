//! Are the fields of a request read in one way, whoever reads them?
#![no_main]

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use farmgate::admission::locate;
use farmgate::auth::{
    ApiKeyRule, ApiKeyTable, AuthError, AuthRule, Authenticator, JwtVerifier, KeyDigest, KeyError,
    Principal, Requirement, Scheme, SignatureVerifier, Token, TokenError, Verified, Verifiers,
    Witness,
};
use farmgate::clock::Now;
use farmgate::refusal::Refusal;
use farmgate::route::canonical_path;
use farmgate::snapshot::Snapshot;
use farmgate_fuzz::message::Message;
use farmgate_fuzz::signing::{METHODS, rule, sign_where_asked};
use farmgate_fuzz::sources::{compiled, faultless};
use farmgate_fuzz::{EARLIER, NOW, at, has_control, ready, reference, tokens};
use http::header::{ACCEPT, AUTHORIZATION, HOST};
use http::request::Parts;
use libfuzzer_sys::fuzz_target;

const GATEWAY: &str = "
listeners: [{address: 127.0.0.1:1}]
admin: {address: 127.0.0.1:2}
downstream: {trusted_proxies: [10.0.0.0/8, 192.0.2.1, 2001:db8::/32]}
routes:
  - {name: json, path_prefix: /, pool: service, json_only: true, auth: {anonymous: true}}
";
const KEY: &str = "wk_live_0123456789";
const REVOKED_KEY: &str = "wk_live_revoked";

static SNAPSHOT: LazyLock<Snapshot> =
    LazyLock::new(|| compiled(faultless(GATEWAY)).expect("the configuration compiles"));
/// Every way to ask for credentials.
static ROUTES: LazyLock<Vec<(AuthRule, Authenticator)>> = LazyLock::new(routes);

fuzz_target!(|data: &[u8]| {
    check_path(&String::from_utf8_lossy(data));
    let Some(mut message) = Message::read(data) else { return };
    sign_where_asked(&mut message);
    check_path(message.head.uri.path());
    check_route(&message.head);
    check_address(&message.head);
    for (rule, authenticator) in ROUTES.iter() {
        for seconds in [NOW, EARLIER] {
            check_credentials(rule, authenticator, &message, at(seconds));
        }
    }
});

/// A path that is matched has one reading, and is the same path as the one that was sent.
fn check_path(path: &str) {
    if has_control(path) {
        // No request has such a target.
        return;
    }
    let Some(canonical) = canonical_path(path) else { return };
    assert_eq!(canonical_path(&canonical).as_deref(), Some(&*canonical), "a fixed point");
    let decoded = |path: &str| reference::decoded(path.as_bytes(), false);
    assert_eq!(decoded(&canonical), decoded(path), "the same path");
    let decoded = decoded(&canonical);
    assert!(decoded.starts_with('/') && !decoded.contains(['\\', '\0']) && !decoded.contains("//"));
    let mut segments = decoded.split('/');
    assert!(!segments.any(|segment| segment == "." || segment == ".."));
    let same_slashes = decoded.matches('/').count() == canonical.matches('/').count();
    assert!(same_slashes, "no slash is hidden");
}

/// The one route takes every path and method, so what is refused is refused for its fields.
fn check_route(head: &Parts) {
    let located = locate(&SNAPSHOT, head);
    let again = locate(&SNAPSHOT, head);
    assert_eq!(located.as_ref().ok().map(|l| &l.host), again.as_ref().ok().map(|l| &l.host));
    let refusal = located.as_ref().err().map(|refused| refused.refusal.clone());
    let values: Vec<_> = head.headers.get_all(ACCEPT).iter().collect();
    let values = values.iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>();
    let takes = refusal.as_ref().is_none_or(|refusal| *refusal != Refusal::NotAcceptable);
    match &refusal {
        Some(Refusal::BadRequest(why)) => assert!(!why.is_empty()),
        None | Some(Refusal::NotAcceptable) => {
            if let Some(wanted) = reference::takes_json(&values.join(",")) {
                assert_eq!(takes, wanted, "{values:?}");
            }
        }
        Some(other) => panic!("{other:?} of a route that takes everything"),
    }
    let Ok(located) = located else { return };
    let sent = head.uri.authority().map(|authority| authority.as_str().to_owned());
    let fields: Vec<_> = head.headers.get_all(HOST).iter().collect();
    let sent = sent.unwrap_or_else(|| {
        assert_eq!(fields.len(), 1, "one host");
        fields[0].to_str().expect("a host is text").to_owned()
    });
    let host = match sent.split_once(']') {
        Some((inside, _)) => format!("{inside}]"),
        None => sent.split(':').next().unwrap_or_default().to_owned(),
    };
    assert_eq!(located.host, host.to_ascii_lowercase());
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_address = literal.is_some_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok());
    assert!(is_address || (!host.is_empty() && host.chars().all(plain)), "{host}");
}

fn check_address(head: &Parts) {
    let is_trusted = |address: IpAddr| match address.to_canonical() {
        IpAddr::V4(v4) => v4.octets()[0] == 10 || v4.octets() == [192, 0, 2, 1],
        IpAddr::V6(v6) => v6.segments()[..2] == [0x2001, 0xdb8],
    };
    let values: Vec<&[u8]> =
        head.headers.get_all("x-forwarded-for").iter().map(|value| value.as_bytes()).collect();
    for peer in ["10.0.0.1", "9.9.9.9", "192.0.2.1", "::1", "2001:db8::1", "::ffff:10.0.0.2"] {
        let peer: IpAddr = peer.parse().expect("an address");
        let found = SNAPSHOT.client_address(peer, &head.headers);
        assert_eq!(found, reference::client_address(peer, &values, is_trusted));
        assert!(is_trusted(peer) || found == peer, "a stranger speaks for itself alone");
    }
}

struct Reader;

impl Witness for Reader {
    async fn token(
        &self,
        verifier: &JwtVerifier,
        token: &[u8],
        now: Now,
    ) -> Result<Arc<Token>, TokenError> {
        verifier.verify(token, now).map(Arc::new)
    }

    async fn api_key(
        &self,
        table: &ApiKeyTable,
        key: &[u8],
        now: Now,
    ) -> Result<Principal, KeyError> {
        table.verify(key, now)
    }
}

fn routes() -> Vec<(AuthRule, Authenticator)> {
    let key = |id: &str, key: &str, revoked| ApiKeyRule {
        id: id.into(),
        digest: KeyDigest::of(key.as_bytes()),
        scopes: "read".into(),
        expires_at: None,
        revoked,
    };
    let keys = [key("k1", KEY, false), key("k2", REVOKED_KEY, true)];
    let verifiers = Verifiers {
        jwt: tokens::verifiers().into_iter().next().map(|one| Arc::new(one.verifier)),
        api_keys: Some(Arc::new(ApiKeyTable::new(keys).expect("the keys are right"))),
        signature: Some(Arc::new(SignatureVerifier::new(rule()).expect("the clients are right"))),
    };
    let schemes = [Scheme::Jwt, Scheme::ApiKey, Scheme::Signature];
    let mut routes = Vec::new();
    for number in 0..8 {
        let chosen = schemes.into_iter().enumerate().filter(|(bit, _)| number >> bit & 1 == 1);
        let chosen: Vec<Scheme> = chosen.map(|(_, scheme)| scheme).collect();
        for requirement in [Requirement::Any(chosen.clone()), Requirement::All(chosen.clone())] {
            for anonymous in [false, true] {
                let methods = METHODS.to_vec();
                let rule = AuthRule { requirement: requirement.clone(), anonymous, methods };
                if let Ok(authenticator) = Authenticator::new(rule.clone(), &verifiers) {
                    routes.push((rule, authenticator));
                }
            }
        }
    }
    assert_eq!(routes.len(), 30, "only a route without any way in is none");
    let all = Message::read(include_bytes!("../seeds/headers/all_three")).map(|mut message| {
        sign_where_asked(&mut message);
        message
    });
    let Message { head, body } = all.expect("the seed is whole");
    for (rule, route) in &routes {
        let found = ready(route.authenticate(&Reader, &head, &body, at(NOW)));
        assert!(found.is_ok(), "three good credentials open {rule:?}");
    }
    routes
}

fn check_credentials(rule: &AuthRule, route: &Authenticator, message: &Message, now: Now) {
    let Message { head, body } = message;
    let ask = |body: &[u8]| ready(route.authenticate(&Reader, head, body, now));
    let found = ask(body);
    let shown = |found: &Result<Verified, AuthError>| match found {
        Ok(found) => Ok((found.principal.clone(), found.also.clone(), found.nonce.clone())),
        Err(error) => Err(error.clone()),
    };
    assert_eq!(shown(&ask(body)), shown(&found), "nothing is spent");
    if !route.needs_body(head) {
        assert_eq!(shown(&ask(b"")), shown(&found), "the body does not count");
        assert_eq!(shown(&ask(b"another")), shown(&found), "the body does not count");
    }
    match found {
        Ok(verified) => check_verified(rule, &verified, head),
        Err(error) => check_refused(route, &error, head),
    }
}

/// Nobody is let in but by what the route asks for.
fn check_verified(rule: &AuthRule, verified: &Verified, head: &Parts) {
    let (every, schemes) = match &rule.requirement {
        Requirement::Any(schemes) => (false, schemes),
        Requirement::All(schemes) => (true, schemes),
    };
    let presents = |scheme: &Scheme| match scheme {
        Scheme::Anonymous => false,
        Scheme::Jwt => {
            let first = head.headers.get(AUTHORIZATION).map(|value| value.as_bytes());
            first.is_some_and(|value| value.trim_ascii_start().starts_with(b"Bearer"))
        }
        Scheme::ApiKey => head.headers.get("x-api-key").is_some_and(|value| !value.is_empty()),
        Scheme::Signature => {
            ["x-nc-signature", "x-signature"].iter().any(|name| head.headers.contains_key(*name))
        }
    };
    let by: Vec<Scheme> =
        std::iter::once(&verified.principal).chain(&verified.also).map(|p| p.scheme).collect();
    if by == [Scheme::Anonymous] {
        assert!(rule.anonymous);
        // A word that only begins like the scheme is no token.
        let others = schemes.iter().filter(|scheme| **scheme != Scheme::Jwt);
        assert!(!others.into_iter().any(presents), "a bad credential is not passed over");
    } else {
        assert!(by.iter().all(|scheme| schemes.contains(scheme) && presents(scheme)));
        assert_eq!(by.len(), if every { schemes.len() } else { 1 });
    }
    assert_eq!(verified.nonce.is_some(), by.contains(&Scheme::Signature));
    assert_eq!(verified.token.is_some(), by.contains(&Scheme::Jwt));
    assert!(!has_control(&verified.principal.quota_key()));
}

/// A refusal is the client's fault, says so, and gives nothing away.
fn check_refused(route: &Authenticator, error: &AuthError, head: &Parts) {
    let refusal = Refusal::from(error);
    let status = refusal.status().as_u16();
    assert!(matches!(status, 401 | 403), "{error}");
    let challenge = route.challenge(&refusal);
    assert!(challenge.is_none() || status == 401);
    let told = format!("{error} {error:?} {}", refusal.message());
    assert!(!has_control(&told));
    if matches!(error, AuthError::Signature(_)) {
        // The id of a client that is not known is shown, whatever was sent in its place.
        return;
    }
    assert!(!told.contains(KEY) && !told.contains(REVOKED_KEY), "{told}");
    for name in ["authorization", "x-api-key"] {
        for value in head.headers.get_all(name) {
            let secret = value.to_str().ok().filter(|text| text.len() > 16);
            assert!(secret.is_none_or(|secret| !told.contains(secret)), "{told}");
        }
    }
}
