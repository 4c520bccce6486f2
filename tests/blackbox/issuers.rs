//! Several issuers of bearer tokens: their algorithms and keys, the sets of keys that they publish,
//! what is remembered of their tokens, and how a token is withdrawn.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use harness::{Answer, Authority, Directory, Gateway, Origin, claims_of, launch, unix_now};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};

use crate::fixtures::{
    OPEN, conf, conf_with_tls, farmgate, gateway, serve, time_passes, wait_for_metric,
    wait_for_status, wait_promptly_for_status,
};

macro_rules! key_file {
    ($name:literal) => {
        include_str!(concat!("../data/keys/", $name))
    };
}

/// Long enough for HS512.
const SECRET: &str = "a secret that an issuer and the tests share, of sixty-four bytes or more";

/// Every algorithm, with the variable of the key that verifies it.
const ALGORITHMS: [(&str, &str); 12] = [
    ("HS256", "SECRET"),
    ("HS384", "SECRET"),
    ("HS512", "SECRET"),
    ("RS256", "RSA"),
    ("RS384", "RSA"),
    ("RS512", "RSA"),
    ("PS256", "RSA"),
    ("PS384", "RSA"),
    ("PS512", "RSA"),
    ("ES256", "P256"),
    ("ES384", "P384"),
    ("EdDSA", "ED25519"),
];

/// A route for everybody who has a token.
const TOKENS: &str = "{name: tokens, path_prefix: /, pool: service, auth: {any: [jwt]}}";

/// Address limits that do not get in the way of tests that send many bad tokens.
const WIDE: &str = "limits: {failures: 10000/min}";

/// How often the keys of issuers were fetched with success.
const FETCHES: &str = "farmgate_key_set_fetches_total";

/// A signing key of an issuer, told by its name.
struct Signer {
    kid: &'static str,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// Keys of different names are different ones.
    fn new(kid: &'static str) -> Self {
        let mut seed = [7; 32];
        seed[..kid.len()].copy_from_slice(kid.as_bytes());
        Self { kid, pair: Ed25519KeyPair::from_seed_unchecked(&seed).unwrap() }
    }

    fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// The public key as an issuer publishes it.
    fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.public());
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": x })
    }

    /// The public key as OpenSSL writes it (RFC 8410).
    fn pem(&self) -> String {
        let head = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        let body = STANDARD.encode([&head, self.public()].concat());
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
    }

    /// A token with these claims, that names its key.
    fn token(&self, claims: Value) -> String {
        let header = json!({ "alg": "EdDSA", "kid": self.kid });
        sealed(&header, &claims, |message| self.pair.sign(message).as_ref().to_vec())
    }
}

/// The set of these keys.
fn set(signers: &[&Signer]) -> String {
    json!({ "keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>() }).to_string()
}

/// Claims of this issuer that hold for five minutes; members of `more` replace them.
fn claims(issuer: &str, more: Value) -> Value {
    crate::fixtures::claims(merged(json!({ "iss": issuer }), more))
}

fn merged(mut claims: Value, more: Value) -> Value {
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    claims
}

/// A token whose message is signed so.
fn sealed(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let message = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// A token of this algorithm with these claims, signed by the key of the family.
fn token_of(algorithm: &str, claims: &Value) -> String {
    let header = json!({ "alg": algorithm, "typ": "JWT" });
    sealed(&header, claims, |message| signature(algorithm, message))
}

fn signature(algorithm: &str, message: &[u8]) -> Vec<u8> {
    let random = SystemRandom::new();
    let rsa = |encoding: &'static dyn RsaEncoding| {
        let pair = RsaKeyPair::from_pkcs8(&der(key_file!("rsa_2048_private.pem"))).unwrap();
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(encoding, &random, message, &mut signature).unwrap();
        signature
    };
    let ecdsa = |curve, pem: &str| {
        let pair = EcdsaKeyPair::from_pkcs8(curve, &der(pem), &random).unwrap();
        pair.sign(&random, message).unwrap().as_ref().to_vec()
    };
    match algorithm {
        "HS256" => hmac(ring::hmac::HMAC_SHA256, SECRET, message),
        "HS384" => hmac(ring::hmac::HMAC_SHA384, SECRET, message),
        "HS512" => hmac(ring::hmac::HMAC_SHA512, SECRET, message),
        "RS256" => rsa(&RSA_PKCS1_SHA256),
        "RS384" => rsa(&RSA_PKCS1_SHA384),
        "RS512" => rsa(&RSA_PKCS1_SHA512),
        "PS256" => rsa(&RSA_PSS_SHA256),
        "PS384" => rsa(&RSA_PSS_SHA384),
        "PS512" => rsa(&RSA_PSS_SHA512),
        "ES256" => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING, key_file!("p256_private.pem")),
        "ES384" => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING, key_file!("p384_private.pem")),
        "EdDSA" => {
            let pair = der(key_file!("ed25519_private.pem"));
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pair).unwrap();
            pair.sign(message).as_ref().to_vec()
        }
        other => panic!("no such algorithm: {other}"),
    }
}

fn hmac(algorithm: ring::hmac::Algorithm, secret: &str, message: &[u8]) -> Vec<u8> {
    let key = ring::hmac::Key::new(algorithm, secret.as_bytes());
    ring::hmac::sign(&key, message).as_ref().to_vec()
}

fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(body).unwrap()
}

/// Fails unless the token is answered so.
async fn expect(gw: &Gateway, token: &str, status: u16) {
    gw.get("/").bearer(token).send().await.expect_status(status);
}

/// A gateway whose issuer publishes its keys at `/jwks`, `more` being further keys of `jwks`.
async fn published(issuer: &Origin, more: &str) -> Gateway {
    let url = format!("http://{}/jwks", issuer.address());
    let jwks = format!("jwks: {{url: '{url}', {more}}}");
    let remote = format!("{{issuer: far, algorithms: [EdDSA], {jwks}}}");
    let near = "{issuer: near, keys: ['env:SECRET']}";
    let sections = format!("auth: {{jwt: [{near}, {remote}]}}\n{WIDE}");
    let gw = gateway().env("SECRET", SECRET).with(conf(&sections, &[TOKENS]));
    // Fifty signatures at once take a debug build longer than a connection may by default.
    let peers = format!("peers: [{{address: '{}'}}]\nconnect_timeout: 20s\n", issuer.address());
    gw.pool("service", peers).start().await
}

/// An issuer's server, which is the service behind the gateway too.
async fn issuer() -> Origin {
    let issuer = Origin::start().await;
    issuer.on("/", Answer::json("1"));
    issuer
}

async fn wait_for_fetches(gw: &Gateway, result: &str, count: f64) {
    wait_for_metric(gw, FETCHES, &[("result", result)], |fetches| fetches >= count).await;
}

#[tokio::test]
async fn every_issuer_signs_with_its_own_algorithm_and_no_other() {
    let issuers: Vec<String> = ALGORITHMS
        .iter()
        .map(|(name, key)| format!("{{issuer: {name}, algorithms: [{name}], keys: ['env:{key}']}}"))
        .collect();
    let sections = format!("auth: {{jwt: [{}]}}\n{WIDE}", issuers.join(", "));
    let origin = issuer().await;
    let gw = gateway()
        .env("SECRET", SECRET)
        .env("RSA", key_file!("rsa_2048_public.pem"))
        .env("P256", key_file!("p256_public.pem"))
        .env("P384", key_file!("p384_public.pem"))
        .env("ED25519", key_file!("ed25519_public.pem"))
        .with(conf(&sections, &[TOKENS]))
        .pool("service", origin.address())
        .start()
        .await;
    for (taken, key) in ALGORITHMS {
        for (signed, other_key) in ALGORITHMS {
            // A key of another kind is tried once, the algorithms of one key all.
            if key == other_key || signed == "HS256" {
                let token = token_of(signed, &claims(taken, json!({})));
                expect(&gw, &token, if taken == signed { 200 } else { 401 }).await;
            }
        }
    }
    assert_eq!(origin.calls("/"), ALGORITHMS.len());
    // What everybody knows of an issuer is no secret, and nothing signs nothing.
    let forged = sealed(&json!({ "alg": "HS256" }), &claims("RS256", json!({})), |message| {
        hmac(ring::hmac::HMAC_SHA256, key_file!("rsa_2048_public.pem"), message)
    });
    let unsigned =
        |alg: &str| sealed(&json!({ "alg": alg }), &claims("ES256", json!({})), |_| Vec::new());
    for token in [forged, unsigned("none"), unsigned("ES256"), unsigned("None")] {
        expect(&gw, &token, 401).await;
    }
    assert_eq!(origin.calls("/"), ALGORITHMS.len());
}

#[tokio::test]
async fn keys_of_a_rotation_all_count_until_a_reload_drops_one() {
    let [one, two, three] = ["one", "two", "three"].map(Signer::new);
    let origin = issuer().await;
    let with = |keys: &str| {
        let algorithms = "algorithms: [EdDSA, ES256, RS256]";
        let issuer = format!("{{issuer: far, {algorithms}, keys: [{keys}]}}");
        conf(&format!("auth: {{jwt: [{issuer}]}}\n{WIDE}"), &[TOKENS])
    };
    let kept = "'file:keys/rsa.crt', 'file:keys/p256.pem', 'file:keys/set.json'";
    let gw = gateway()
        .env("ONE", &one.pem())
        .file("conf/keys/rsa.crt", key_file!("rsa_2048_certificate.pem"))
        .file("conf/keys/p256.pem", key_file!("p256_public.pem"))
        .file("conf/keys/set.json", set(&[&two, &three]))
        .with(with(&format!("'env:ONE', {kept}")))
        .pool("service", origin.address())
        .start()
        .await;
    let dropped = one.token(claims("far", json!({})));
    let stays = [
        two.token(claims("far", json!({}))),
        three.token(claims("far", json!({}))),
        token_of("ES256", &claims("far", json!({}))),
        token_of("RS256", &claims("far", json!({}))),
    ];
    for token in stays.iter().chain([&dropped, &dropped]) {
        expect(&gw, token, 200).await;
    }
    expect(&gw, &Signer::new("four").token(claims("far", json!({}))), 401).await;
    gw.rewrite_conf(&with(kept));
    gw.reload().await;
    wait_for_metric(&gw, "farmgate_config_generation", &[], |number| number >= 2.0).await;
    let hits = async || gw.metric("farmgate_token_lookups_total", &[("result", "hit")]).await;
    let before = hits().await.unwrap();
    expect(&gw, &dropped, 401).await;
    for token in &stays {
        expect(&gw, token, 200).await;
    }
    assert_eq!(hits().await, Some(before + 4.0), "the others were remembered over the reload");
}

#[tokio::test]
async fn first_token_of_an_issuer_waits_for_its_keys() {
    let (far, issuer) = (Signer::new("a"), issuer().await);
    issuer.on("/jwks", Answer::json(set(&[&far])).hold());
    let gw = published(&issuer, "timeout: 20s").await;
    issuer.wait_for_calls("/jwks", 1).await;
    let waiting = tokio::spawn(gw.get("/").bearer(&far.token(claims("far", json!({})))).send());
    // Who comes with a token of another issuer waits for nobody.
    expect(&gw, &token_of("HS256", &claims("near", json!({}))), 200).await;
    assert!(!waiting.is_finished());
    issuer.release("/jwks");
    waiting.await.unwrap().expect_status(200);
    assert_eq!(issuer.calls("/jwks"), 1, "it waited for the fetch that was under way");
    let asked = issuer.requests("/jwks").remove(0);
    assert_eq!(asked.header("accept"), Some("application/jwk-set+json, application/json"));
}

#[tokio::test]
async fn rotation_is_one_fetch_for_fifty_clients() {
    let [old, new] = ["old", "new"].map(Signer::new);
    let issuer = issuer().await;
    issuer.json("/jwks", set(&[&old]));
    let gw = published(&issuer, "cooldown: 1s, timeout: 20s").await;
    wait_for_fetches(&gw, "success", 1.0).await;
    time_passes(Duration::from_millis(1_050)).await;
    issuer.on("/jwks", Answer::json(set(&[&old, &new])).hold());
    let token = new.token(claims("far", json!({})));
    let clients = launch(50, |_| gw.get("/").bearer(&token).send());
    issuer.wait_for_calls("/jwks", 2).await;
    wait_for_metric(&gw, "farmgate_requests_in_flight", &[], |count| count >= 50.0).await;
    expect(&gw, &old.token(claims("far", json!({}))), 200).await;
    issuer.release("/jwks");
    for reply in clients.await.unwrap() {
        reply.expect_status(200);
    }
    assert_eq!(issuer.calls("/jwks"), 2);
}

#[tokio::test]
async fn key_that_nobody_knows_causes_no_fetch_within_the_cooldown() {
    let [old, new] = ["old", "new"].map(Signer::new);
    let issuer = issuer().await;
    issuer.json("/jwks", set(&[&old]));
    let gw = published(&issuer, "cooldown: 1h").await;
    wait_for_fetches(&gw, "success", 1.0).await;
    time_passes(Duration::from_millis(1_050)).await;
    issuer.json("/jwks", set(&[&old, &new]));
    for kid in ["new", "old", "newer", "../old"] {
        // Named by any of these, it is signed by the key that is not known yet.
        let header = json!({ "alg": "EdDSA", "kid": kid });
        let token = sealed(&header, &claims("far", json!({})), |message| {
            new.pair.sign(message).as_ref().to_vec()
        });
        expect(&gw, &token, 401).await;
    }
    expect(&gw, &old.token(claims("far", json!({}))), 200).await;
    assert_eq!(issuer.calls("/jwks"), 1);
}

#[tokio::test]
async fn keys_are_refreshed_in_the_background_and_kept_while_that_fails() {
    let [old, new] = ["old", "new"].map(Signer::new);
    let issuer = issuer().await;
    let failures = [Answer::status(500), Answer::reset(), Answer::json("{\"keys\":[]}")];
    issuer.script("/jwks", [vec![Answer::json(set(&[&old]))], failures.to_vec()].concat());
    let gw = published(&issuer, "refresh: 1s, cooldown: 1s").await;
    wait_for_fetches(&gw, "failure", 2.0).await;
    let token = old.token(claims("far", json!({})));
    expect(&gw, &token, 200).await;
    gw.wait_for_log(|line| line.contains("old keys serve, none fetched")).await;
    issuer.json("/jwks", set(&[&new]));
    wait_for_fetches(&gw, "success", 2.0).await;
    expect(&gw, &new.token(claims("far", json!({}))), 200).await;
    // It was remembered, and dies with its key.
    expect(&gw, &token, 401).await;
}

#[tokio::test]
async fn issuer_without_any_keys_is_said_to_be_unavailable() {
    let (far, issuer) = (Signer::new("a"), issuer().await);
    issuer.on("/jwks", Answer::status(500));
    let gw = published(&issuer, "cooldown: 1s").await;
    let token = far.token(claims("far", json!({})));
    let refused = gw.get("/").bearer(&token).send().await.expect_status(503);
    refused.expect_json("/errors/code", "state_unavailable").expect_header("Retry-After", "5");
    expect(&gw, &token_of("HS256", &claims("near", json!({}))), 200).await;
    issuer.json("/jwks", set(&[&far]));
    // It is asked again without being asked for.
    wait_for_fetches(&gw, "success", 1.0).await;
    expect(&gw, &token, 200).await;
    let refused = gw.metric("farmgate_refusals_total", &[("code", "state_unavailable")]).await;
    assert_eq!(refused, Some(1.0));
}

#[tokio::test]
async fn slow_issuer_is_given_up_after_its_timeout() {
    let (far, issuer) = (Signer::new("a"), issuer().await);
    issuer.on("/jwks", Answer::json(set(&[&far])).hold());
    let gw = published(&issuer, "timeout: 150ms").await;
    expect(&gw, &far.token(claims("far", json!({}))), 503).await;
    gw.wait_for_log(|line| line.contains("it did not answer within 150ms")).await;
    let quick = gw.get("/").bearer(&token_of("HS256", &claims("near", json!({})))).send().await;
    quick.expect_status(200);
}

#[tokio::test]
async fn reload_finds_the_fetched_keys_again() {
    let (far, issuer) = (Signer::new("a"), issuer().await);
    issuer.json("/jwks", set(&[&far]));
    let gw = published(&issuer, "timeout: 3s").await;
    wait_for_fetches(&gw, "success", 1.0).await;
    gw.reload().await;
    wait_for_metric(&gw, "farmgate_config_generation", &[], |number| number >= 2.0).await;
    expect(&gw, &far.token(claims("far", json!({}))), 200).await;
    assert_eq!(issuer.calls("/jwks"), 1);
}

#[tokio::test]
async fn key_set_over_tls_needs_an_authority_that_is_trusted() {
    let (authority, far, origin) = (Authority::new(), Signer::new("a"), issuer().await);
    origin.json("/jwks", set(&[&far]));
    let front = gateway()
        .with(conf_with_tls("", &[OPEN]))
        .certificate("edge", &authority.issue(["127.0.0.1"]))
        .pool("service", origin.address())
        .start()
        .await;
    let jwks = format!("url: 'https://{}/jwks', cooldown: 1s", front.tls_address());
    let known = format!(
        "{{issuer: known, algorithms: [EdDSA], jwks: {{{jwks}, ca_file: tls/issuer-ca.pem}}}}"
    );
    let strange = format!("{{issuer: strange, algorithms: [EdDSA], jwks: {{{jwks}}}}}");
    let gw = gateway()
        .with(conf(&format!("auth: {{jwt: [{known}, {strange}]}}"), &[TOKENS]))
        .file("conf/tls/issuer-ca.pem", authority.pem())
        .pool("service", origin.address())
        .start()
        .await;
    wait_for_fetches(&gw, "success", 1.0).await;
    expect(&gw, &far.token(claims("known", json!({}))), 200).await;
    expect(&gw, &far.token(claims("strange", json!({}))), 503).await;
    gw.wait_for_log(|line| line.contains("no keys") && line.contains("certificate")).await;
}

#[tokio::test]
async fn every_issuer_has_rules_of_its_own() {
    let strict = "{issuer: strict, keys: ['env:SECRET'], audience: web, token_type: access, \
                  jti_required: true}";
    let lax = "{issuer: lax, keys: ['env:SECRET'], leeway: 10m, required_claims: [tenant, azp]}";
    let origin = issuer().await;
    let sections = format!("auth: {{jwt: [{strict}, {lax}]}}\n{WIDE}");
    let gw = gateway().env("SECRET", SECRET).with(conf(&sections, &[TOKENS]));
    let gw = gw.pool("service", origin.address()).start().await;
    let past = unix_now() - 60;
    let cases = [
        ("strict", json!({ "aud": "web" }), None),
        ("strict", json!({ "aud": ["mobile", "web"] }), None),
        ("strict", json!({ "aud": "mobile" }), Some("Token is invalid")),
        ("strict", json!({ "aud": "web", "jti": null }), Some("Token has no id")),
        ("strict", json!({ "aud": "web", "token_type": "refresh" }), Some("Token has wrong type")),
        ("strict", json!({ "aud": "web", "exp": past }), Some("Token is expired")),
        ("lax", json!({ "tenant": 1, "azp": "a", "exp": past, "jti": null, "aud": null }), None),
        ("lax", json!({ "tenant": 1, "azp": "a", "token_type": "refresh" }), None),
        ("lax", json!({ "tenant": 1 }), Some("Token is invalid")),
        ("lax", json!({ "tenant": null, "azp": "a" }), Some("Token is invalid")),
        ("lax", json!({ "tenant": 1, "azp": "a", "exp": past - 600 }), Some("Token is expired")),
        ("nobody", json!({ "aud": "web" }), Some("Token is invalid")),
    ];
    for (issuer, more, sentence) in cases {
        let token = token_of("HS256", &claims(issuer, more.clone()));
        let reply = gw.get("/").bearer(&token).send().await;
        let status = if sentence.is_some() { 401 } else { 200 };
        assert_eq!(reply.status, status, "{issuer} {more}: {}", reply.text());
        if let Some(sentence) = sentence {
            assert_eq!(reply.json()["errors"]["detail"], sentence, "{issuer} {more}");
        }
    }
}

/// A gateway with two issuers that know users of the same names; `credentials` of its route.
async fn two_issuers(sections: &str, route: &str) -> (Origin, Gateway) {
    let two = "jwt: [{issuer: near, keys: ['env:JWT_SECRET']}, \
               {issuer: far, keys: ['env:JWT_SECRET']}]";
    let internal = "internal: {secret: 'env:HMAC_SECRET', issuer: edge, audience: services}";
    let sections = format!("auth: {{{two}, {internal}}}\n{sections}");
    let route = format!(
        "{{name: tokens, path_prefix: /, pool: service, auth: {{any: [jwt]}}, \
         credentials: internal, {route}}}"
    );
    serve(&sections, &[&route]).await
}

fn user(issuer: &str, more: Value) -> String {
    harness::jwt(crate::fixtures::JWT_SECRET, &claims(issuer, more))
}

#[tokio::test]
async fn users_of_two_issuers_with_one_name_are_two() {
    let quotas = "limits: {quotas: {few: 1/min}}";
    let (origin, gw) = two_issuers(quotas, "quotas: [few]").await;
    for (issuer, subject) in [("near", "7"), ("far", "7@far")] {
        let token = user(issuer, json!({}));
        expect(&gw, &token, 200).await;
        expect(&gw, &token, 429).await;
        let told = origin.requests("/").pop().unwrap();
        let told = claims_of(told.header("authorization").unwrap().trim_start_matches("Bearer "));
        assert_eq!(told["sub"], subject, "a service can tell them apart too");
    }
}

#[tokio::test]
async fn hot_token_is_verified_once() {
    let (_origin, gw) = two_issuers("", "quotas: []").await;
    let token = user("far", json!({}));
    for _ in 0..6 {
        expect(&gw, &token, 200).await;
    }
    let lookups =
        async |result| gw.metric("farmgate_token_lookups_total", &[("result", result)]).await;
    assert_eq!((lookups("hit").await, lookups("miss").await), (Some(5.0), Some(1.0)));
    assert_eq!(gw.metric("farmgate_tokens_remembered", &[]).await, Some(1.0));
}

#[tokio::test]
async fn number_of_remembered_tokens_is_bounded() {
    let sections = "auth: {jwt: [{keys: ['env:JWT_SECRET']}], tokens_remembered_max: 16}";
    let (_origin, gw) = serve(sections, &[TOKENS]).await;
    for number in 0..60 {
        expect(&gw, &user("any", json!({ "jti": number.to_string() })), 200).await;
    }
    let remembered = gw.metric("farmgate_tokens_remembered", &[]).await.unwrap();
    assert!((2.0..=16.0).contains(&remembered), "{remembered}");
}

#[tokio::test]
async fn revoked_tokens_are_refused_promptly_and_after_a_restart() {
    let folder = Directory::new();
    let state = format!("state: {{dir: '{}'}}\n{WIDE}", folder.path().display());
    let (_origin, mut gw) = two_issuers(&state, "quotas: []").await;
    let at = |more: Value| merged(json!({ "iat": unix_now() }), more);
    let cases = [
        (["--jti", "stolen"], user("near", json!({ "jti": "stolen", "sub": "1" }))),
        (["--subject", "2"], user("near", json!({ "jti": "b", "sub": "2" }))),
        (["--subject", "3@far"], user("far", json!({ "jti": "c", "sub": "3" }))),
        (["--client", "nc"], user("near", json!({ "jti": "d", "sub": "4", "client_id": "nc" }))),
    ];
    // Names of another kind, and of another issuer's user.
    let others = [
        user("near", json!({ "jti": "e", "sub": "nc", "client_id": "2" })),
        user("near", json!({ "jti": "g", "sub": "3" })),
    ];
    for token in cases.iter().map(|(_, token)| token).chain(&others) {
        expect(&gw, token, 200).await;
    }
    for (target, _) in &cases {
        let told = farmgate(&gw, &[&["tokens", "revoke"], &target[..]].concat()).await;
        let told = told.expect_code(0);
        assert!(told.stdout[0].contains(target[1]), "{:?}", told.stdout);
    }
    for (_, token) in &cases {
        wait_promptly_for_status(&gw.get("/").bearer(token), 401).await;
        let refused = gw.get("/").bearer(token).send().await;
        refused.expect_json("/errors/detail", "Token is blacklisted");
    }
    for other in &others {
        expect(&gw, other, 200).await;
    }
    assert_eq!(gw.metric("farmgate_revocations", &[]).await, Some(4.0));
    let listed = farmgate(&gw, &["tokens", "list"]).await.expect_code(0);
    assert_eq!(listed.stdout.last().unwrap(), "4 revocation(s) in force");
    // What is issued from now on counts again, but for the token itself.
    time_passes(Duration::from_millis(1_050)).await;
    expect(&gw, &user("near", at(json!({ "jti": "f", "sub": "2" }))), 200).await;
    expect(&gw, &user("far", at(json!({ "jti": "stolen", "sub": "2" }))), 401).await;
    assert!(gw.stop().await.success());

    let (_origin, gw) = two_issuers(&state, "quotas: []").await;
    for (_, token) in &cases {
        expect(&gw, token, 401).await;
    }
    for other in &others {
        expect(&gw, other, 200).await;
    }
}

#[tokio::test]
async fn revocation_that_cannot_be_kept_or_never_holds_is_an_error() {
    let (_origin, gw) = two_issuers("", "quotas: []").await;
    let past = farmgate(&gw, &["tokens", "revoke", "--jti", "a", "--expires", "17"]).await;
    assert!(past.expect_code(1).stderr[0].contains("lies in the past"));
    let nothing = farmgate(&gw, &["tokens", "revoke"]).await.expect_code(2);
    assert!(nothing.stderr.join("\n").contains("--jti"), "{:?}", nothing.stderr);
    let (_origin, homeless) = two_issuers("state: {}", "quotas: []").await;
    let nowhere = farmgate(&homeless, &["tokens", "revoke", "--jti", "a"]).await.expect_code(1);
    assert!(nowhere.stderr[0].contains("configure a state folder or Redis"));
    wait_for_status(&homeless.get("/").bearer(&user("near", json!({ "jti": "a" }))), 200).await;
}
