//! Bearer tokens that no issuer made for us, or not for this.
//!
//! Where the attack does not forge it, the signature is a good one, so that nothing but the attacked
//! rule refuses the token.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use harness::{Request, unix_now};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::GOOD_KEY;
use super::bench::INTERNAL_SECRET;
use super::row::{BAD_TOKEN, HEAD_TOO_LARGE, MALFORMED, MISSING, NO_SCOPE, Row, UNREAD, Wanted};
use crate::fixtures::{JWT_SECRET, claims, nextcloud, token};

/// The public keys of the issuers `rsa` and `ed`; the latter has a name.
pub(super) const RSA_PUBLIC: &str = include_str!("../../data/keys/rsa_2048_public.pem");
pub(super) const ED25519_JWK: &str = concat!(
    r#"{"kty":"OKP","crv":"Ed25519","kid":"one","#,
    r#""x":"S7jaimG4FPMfG58w1UENZ4yqReOQ9SvfBgoWN04q6BI"}"#
);
const RSA_PRIVATE: &[u8] = include_bytes!("../../data/keys/rsa_2048_private.pem");
const ED25519_PRIVATE: &[u8] = include_bytes!("../../data/keys/ed25519_private.pem");

pub(super) fn table() -> Vec<Row> {
    let tables = [
        without_a_signature(),
        with_a_confused_key(),
        with_a_key_of_its_own(),
        with_a_chosen_key(),
        with_times_that_do_not_hold(),
        made_for_others(),
        speaking_for_nobody(),
        with_a_touched_signature(),
        malformed(),
        too_much(),
        badly_presented(),
        out_of_place(),
        no_text(),
    ];
    tables.into_iter().flatten().collect()
}

/// A token of the issuer `rsa` that holds.
pub(super) fn of_rsa() -> String {
    rsa(r#"{"alg":"RS256"}"#, &claims(json!({ "iss": "rsa" })))
}

/// A token of the issuer `ed`, which holds if that is the name of its key.
pub(super) fn of_ed25519(kid: &str) -> String {
    let header = json!({ "alg": "EdDSA", "kid": kid }).to_string();
    ed25519(&header, &claims(json!({ "iss": "ed" })))
}

fn encoded(part: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(part)
}

fn sealed(header: &str, payload: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
    let message = format!("{}.{}", encoded(header), encoded(payload));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm);
    format!("{message}.{}", signature.expect("a key of the algorithm"))
}

fn rsa(header: &str, claims: &Value) -> String {
    let key = EncodingKey::from_rsa_pem(RSA_PRIVATE).expect("an RSA key");
    sealed(header, &claims.to_string(), &key, Algorithm::RS256)
}

fn ed25519(header: &str, claims: &Value) -> String {
    let key = EncodingKey::from_ed_pem(ED25519_PRIVATE).expect("an Ed25519 key");
    sealed(header, &claims.to_string(), &key, Algorithm::EdDSA)
}

fn hs256(header: &str, payload: &str, secret: impl AsRef<[u8]>) -> String {
    sealed(header, payload, &EncodingKey::from_secret(secret.as_ref()), Algorithm::HS256)
}

/// A token of the issuer `farm` with these claims instead of the usual ones.
fn claiming(more: Value) -> String {
    hs256(r#"{"alg":"HS256","typ":"JWT"}"#, &claims(more).to_string(), JWT_SECRET)
}

/// The same with this text at the end of its payload.
fn claiming_text(members: &str) -> String {
    let payload = claims(json!({})).to_string();
    let payload = format!("{},{members}}}", payload.trim_end_matches('}'));
    hs256(r#"{"alg":"HS256"}"#, &payload, JWT_SECRET)
}

/// A token of `farm` with this header, signed well.
fn headed(header: &str) -> String {
    hs256(header, &claims(json!({})).to_string(), JWT_SECRET)
}

fn unsigned(header: &str) -> String {
    format!("{}.{}.", encoded(header), encoded(claims(json!({})).to_string()))
}

fn refused(name: impl Into<String>, token: impl AsRef<str>, wanted: Wanted) -> Row {
    let token = token.as_ref();
    let signature = token.rsplit('.').next().unwrap_or_default();
    Row::request(name, Request::get("/jwt").bearer(token), wanted).hiding(token).hiding(signature)
}

fn bad(name: impl Into<String>, token: impl AsRef<str>) -> Row {
    refused(name, token, BAD_TOKEN)
}

fn without_a_signature() -> Vec<Row> {
    let header = |alg: &str| format!(r#"{{"alg":"{alg}","typ":"JWT"}}"#);
    let names = ["none", "None", "NONE", "nOnE", "none ", "", "no\\u006ee", "null"];
    let mut rows: Vec<Row> = names
        .into_iter()
        .map(|alg| bad(format!("alg \"{alg}\""), unsigned(&header(alg))))
        .collect();
    let good = token("7");
    let (message, _) = good.rsplit_once('.').expect("three parts");
    rows.extend([
        bad("alg none beside a good signature", headed(&header("none"))),
        bad("alg none and two parts", unsigned(&header("none")).trim_end_matches('.')),
        bad("alg none and a signature of one letter", unsigned(&header("none")) + "A"),
        bad("no alg", headed(r#"{"typ":"JWT"}"#)),
        bad("alg null", headed(r#"{"alg":null}"#)),
        bad("alg a list", headed(r#"{"alg":["HS256","none"]}"#)),
        bad("alg a number", headed(r#"{"alg":256}"#)),
        bad("alg in small letters", headed(r#"{"alg":"hs256"}"#)),
        bad("alg with a NUL", headed(r#"{"alg":"HS256\u0000"}"#)),
        bad("alg twice", headed(r#"{"alg":"none","alg":"HS256"}"#)),
        bad("empty signature", format!("{message}.")),
        bad("signature taken off", message),
    ]);
    rows
}

fn with_a_confused_key() -> Vec<Row> {
    let forged = |issuer: &str, alg: &str, secret: &[u8]| {
        let claims = claims(json!({ "iss": issuer })).to_string();
        hs256(&format!(r#"{{"alg":"{alg}"}}"#), &claims, secret)
    };
    let body: String = RSA_PUBLIC.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(body).expect("base64");
    let jwk: Value = serde_json::from_str(ED25519_JWK).expect("a JWK");
    let x = jwk["x"].as_str().expect("a point");
    let point = URL_SAFE_NO_PAD.decode(x).expect("base64url");
    let secret = EncodingKey::from_secret(JWT_SECRET.as_bytes());
    let by_hs512 =
        |header: &str| sealed(header, &claims(json!({})).to_string(), &secret, Algorithm::HS512);
    let farm = |header: &str| rsa(header, &claims(json!({})));
    vec![
        bad("keyed with the PEM", forged("rsa", "HS256", RSA_PUBLIC.as_bytes())),
        bad("keyed with the PEM's text", forged("rsa", "HS256", RSA_PUBLIC.trim().as_bytes())),
        bad("keyed with the DER", forged("rsa", "HS256", &der)),
        bad("keyed with the JWK", forged("ed", "HS256", ED25519_JWK.as_bytes())),
        bad("keyed with the JWK's point", forged("ed", "HS256", x.as_bytes())),
        bad("keyed with the point's bytes", forged("ed", "HS256", &point)),
        bad("HMAC that says RS256", forged("rsa", "RS256", RSA_PUBLIC.as_bytes())),
        bad("HMAC that says EdDSA", forged("ed", "EdDSA", &point)),
        bad("keyed with another issuer's secret", forged("rsa", "HS256", JWT_SECRET.as_bytes())),
        bad("keyed with the name of the variable", forged("farm", "HS256", b"JWT_SECRET")),
        bad("keyed with nothing", forged("farm", "HS256", b"")),
        bad("keyed with a NUL", forged("farm", "HS256", b"\0")),
        bad("keyed with a common word", forged("farm", "HS256", b"secret")),
        bad("keyed with the words of an example", forged("farm", "HS256", b"your-256-bit-secret")),
        bad("keyed with the services' secret", forged("farm", "HS256", INTERNAL_SECRET.as_bytes())),
        bad("HS512 of the right secret", by_hs512(r#"{"alg":"HS512"}"#)),
        bad("HS512 that says HS256", by_hs512(r#"{"alg":"HS256"}"#)),
        bad("RS256 in another issuer's name", farm(r#"{"alg":"RS256"}"#)),
        bad("RS256 that says HS256", farm(r#"{"alg":"HS256"}"#)),
        bad("RS256 that says PS256", rsa(r#"{"alg":"PS256"}"#, &claims(json!({ "iss": "rsa" })))),
        bad("EdDSA in another issuer's name", ed25519(r#"{"alg":"EdDSA"}"#, &claims(json!({})))),
    ]
}

/// With a header that brings its own key, encoding or rules; all signed well.
fn with_a_key_of_its_own() -> Vec<Row> {
    [
        ("an embedded secret", r#""jwk":{"kty":"oct","k":"c2VjcmV0"}"#),
        ("an embedded key", r#""jwk":{"kty":"OKP","crv":"Ed25519","x":"AA"}"#),
        ("jwk null", r#""jwk":null"#),
        ("jku", r#""jku":"https://attacker.example/jwks.json""#),
        ("jku into this machine", r#""jku":"http://127.0.0.1:9180/config""#),
        ("jku to a file", r#""jku":"file:///etc/passwd""#),
        ("x5u", r#""x5u":"https://attacker.example/x""#),
        ("x5c", r#""x5c":["MIIB"]"#),
        ("crit", r#""crit":["exp"]"#),
        ("crit empty", r#""crit":[]"#),
        ("crit of an unknown rule", r#""crit":["http://attacker.example/rule"]"#),
        ("b64 false", r#""crit":["b64"],"b64":false"#),
        ("zip", r#""zip":"DEF""#),
        ("enc", r#""enc":"A256GCM""#),
        ("typ JOSE", r#""typ":"JOSE""#),
        ("typ of a proof", r#""typ":"dpop+jwt""#),
        ("typ of a logout", r#""typ":"logout+jwt""#),
        ("typ no text", r#""typ":["JWT"]"#),
        ("kid null", r#""kid":null"#),
        ("kid a number", r#""kid":1"#),
        ("kid a list", r#""kid":["one"]"#),
        ("kid an object", r#""kid":{"$ne":""}"#),
        ("kid with a NUL", r#""kid":"/dev/null\u0000""#),
        ("kid with a line feed", r#""kid":"one\nlevel=error""#),
        ("an unknown member twice", r#""x":1,"x":2"#),
    ]
    .map(|(name, members)| bad(name, headed(&format!(r#"{{"alg":"HS256",{members}}}"#))))
    .into()
}

/// With the name of a key that the issuer does not have; all signed well.
fn with_a_chosen_key() -> Vec<Row> {
    let long = "k".repeat(129);
    [
        "../../../../dev/null",
        "/proc/sys/kernel/randomize_va_space",
        "x' UNION SELECT 'key';--",
        "| touch /tmp/x",
        "https://attacker.example/jwks",
        "{{7*7}}",
        "__proto__",
        "",
        "ONE",
        "one ",
        &long,
    ]
    .map(|kid| bad(format!("kid \"{kid:.40}\""), of_ed25519(kid)))
    .into()
}

fn with_times_that_do_not_hold() -> Vec<Row> {
    let (now, minute) = (unix_now(), 60);
    let expired = Wanted::token("Token is expired");
    let endless = Wanted::token("Token has no 'exp' claim");
    let text = |name, members: &str| bad(name, claiming_text(members));
    vec![
        refused("expired a minute ago", claiming(json!({ "exp": now - minute })), expired),
        refused("expired this second", claiming(json!({ "exp": now })), expired),
        refused("expired before 1970", claiming(json!({ "exp": -1 })), expired),
        refused("without exp", claiming(json!({ "exp": null })), endless),
        bad("exp as text", claiming(json!({ "exp": (now + minute).to_string() }))),
        bad("exp true", claiming(json!({ "exp": true }))),
        bad("exp a list", claiming(json!({ "exp": [now + minute] }))),
        text("exp twice", &format!("\"exp\":{}", now + minute)),
        text("a number beyond all bounds", "\"x\":1e999"),
        text("a number that is none", "\"x\":NaN"),
        bad("valid in a minute", claiming(json!({ "nbf": now + minute }))),
        bad("issued in a minute", claiming(json!({ "iat": now + minute }))),
        bad("nbf as text", claiming(json!({ "nbf": "0" }))),
        bad("iat an object", claiming(json!({ "iat": {} }))),
    ]
}

fn made_for_others() -> Vec<Row> {
    let wrong = Wanted::token("Token has wrong type");
    let is =
        |name: &str, value: Value| bad(format!("{name} {value}"), claiming(json!({ name: value })));
    let internal = claims(json!({ "iss": "farmgate", "aud": "services", "sub": "7" }));
    vec![
        is("iss", json!("others")),
        is("iss", json!("FARM")),
        is("iss", json!("farm ")),
        is("iss", json!("")),
        is("iss", json!(["farm"])),
        is("iss", json!({ "farm": true })),
        bad("without iss", claiming(json!({ "iss": null }))),
        bad("iss twice", claiming_text("\"iss\":\"farm\"")),
        is("aud", json!("others")),
        is("aud", json!("Nextcloud")),
        is("aud", json!("nextcloud,others")),
        is("aud", json!(["others", "services"])),
        is("aud", json!([])),
        is("aud", json!(["nextcloud", 1])),
        is("aud", json!([["nextcloud"]])),
        is("aud", json!({ "nextcloud": true })),
        bad("without aud", claiming(json!({ "aud": null }))),
        refused("a refresh token", claiming(json!({ "token_type": "refresh" })), wrong),
        refused("a type in capitals", claiming(json!({ "token_type": "ACCESS" })), wrong),
        is("token_type", json!(["access"])),
        refused(
            "without a type",
            claiming(json!({ "token_type": null })),
            Wanted::token("Token has no type"),
        ),
        refused(
            "without an id",
            claiming(json!({ "jti": null })),
            Wanted::token("Token has no id"),
        ),
        is("jti", json!(1)),
        bad(
            "a token for services",
            hs256(r#"{"alg":"HS256"}"#, &internal.to_string(), INTERNAL_SECRET),
        ),
    ]
}

fn speaking_for_nobody() -> Vec<Row> {
    let nobody = Wanted::token("Token contained no recognizable user identification");
    let user = |name, value: Value| bad(name, claiming(json!({ "user_id": value })));
    let scoped = |value: &str| claiming(json!({ "scope": value }));
    let on = |path: &str, token: &str| Request::new("POST", path).bearer(token);
    vec![
        refused("without a user", claiming(json!({ "user_id": null })), nobody),
        refused("with an empty user", claiming(json!({ "user_id": "" })), nobody),
        user("a list of users", json!(["1"])),
        user("an object as user", json!({ "$gt": "" })),
        user("true as user", json!(true)),
        user("a part of a user", json!(1.5)),
        user("a user with a line feed", json!("1\nlevel=error")),
        user("a user without an end", json!("1".repeat(257))),
        bad("a user twice", claiming_text("\"user_id\":\"1\"")),
        bad("a user twice, once escaped", claiming_text("\"user\\u005fid\":\"1\"")),
        bad("a subject that is a number", claiming(json!({ "sub": 1 }))),
        bad("a scope that is a list", claiming(json!({ "scope": ["write"] }))),
        Row::request("without the scope", on("/write", &scoped("read")), NO_SCOPE),
        Row::request("with a longer scope", on("/write", &scoped("writer overwrite")), NO_SCOPE),
        Row::request("with the scope in capitals", on("/write", &scoped("WRITE")), NO_SCOPE),
        Row::request(
            "a user's token for an integration",
            Request::get("/whoami/").bearer(&token("7")),
            Wanted::token("Token missing required scope claim"),
        ),
    ]
}

fn with_a_touched_signature() -> Vec<Row> {
    let good = token("7");
    let (message, signature) = good.rsplit_once('.').expect("three parts");
    let (header, payload) = message.split_once('.').expect("three parts");
    let bytes = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let with = |bytes: &[u8]| format!("{message}.{}", encoded(bytes));
    let other = claims(json!({ "user_id": "1" })).to_string();
    // The last letter of 43 has two bits that say nothing.
    let last = char::from(good.as_bytes()[good.len() - 1] + 1);
    let padded = URL_SAFE.encode(&bytes);
    let foreign = token("8");
    vec![
        bad("cut by a letter", &good[..good.len() - 1]),
        bad("cut by a byte", with(&bytes[..31])),
        bad("cut to half", with(&bytes[..16])),
        bad("with a letter more", format!("{good}A")),
        bad("with a byte more", with(&[&bytes[..], &[0]].concat())),
        bad("twice as long", with(&[&bytes[..], &bytes[..]].concat())),
        bad("of zeros", with(&[0; 32])),
        bad("with a bit turned", with(&[&[bytes[0] ^ 1], &bytes[1..]].concat())),
        bad("of another token", format!("{message}.{}", signature_of(&foreign))),
        bad("bits that say nothing", format!("{}{last}", &good[..good.len() - 1])),
        bad("padded", format!("{message}.{padded}")),
        bad("in hex", format!("{message}.{}", hex::encode(&bytes))),
        bad("in standard base64", format!("{message}.{}", STANDARD.encode(&bytes))),
        bad("for another payload", format!("{header}.{}.{signature}", encoded(other))),
        bad("parts in another order", format!("{payload}.{header}.{signature}")),
    ]
}

fn signature_of(token: &str) -> &str {
    token.rsplit('.').next().expect("three parts")
}

fn malformed() -> Vec<Row> {
    let good = token("7");
    let (message, signature) = good.rsplit_once('.').expect("three parts");
    let (header, payload) = message.split_once('.').expect("three parts");
    let flat =
        format!(r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#);
    let of_payload = |payload: &str| hs256(r#"{"alg":"HS256"}"#, payload, JWT_SECRET);
    vec![
        bad("one part", header),
        bad("dots alone", ".."),
        bad("a dot in front", format!(".{good}")),
        bad("a dot behind", format!("{good}.")),
        bad("an encrypted token", format!("{good}.AAAA.AAAA")),
        bad("in JSON", flat),
        bad("percent-encoded", good.replace('.', "%2E")),
        bad("in quotes", format!("\"{good}\"")),
        bad("a comma behind", format!("{good},")),
        bad("letters of another script", "\u{435}\u{443}J.\u{435}\u{443}J.AAAA"),
        bad("a wide dot", good.replacen('.', "\u{ff0e}", 1)),
        bad("a payload that is a list", of_payload("[]")),
        bad("a payload that is a number", of_payload("1")),
        bad("a payload that is no JSON", of_payload("exp=1")),
        bad("an empty payload", of_payload("")),
        bad("a payload with more behind", of_payload(&format!("{}{{}}", claims(json!({}))))),
        bad("a payload behind a byte order mark", of_payload("\u{feff}{}")),
        bad("a header that is a list", headed("[]")),
        bad("a header with more behind", headed(r#"{"alg":"HS256"}{"alg":"none"}"#)),
    ]
}

fn too_much() -> Vec<Row> {
    let nested = |depth: usize| format!("\"x\":{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = format!("\"x\":{}1{}", "{\"x\":".repeat(900), "}".repeat(900));
    let members: String = (0..800).map(|n| format!("\"{n}\":0,")).collect();
    let padding = |bytes: usize| claiming_text(&format!("\"x\":\"{}\"", "x".repeat(bytes)));
    vec![
        bad("a payload of lists in lists", claiming_text(&nested(2_500))),
        bad("a payload of objects in objects", claiming_text(&objects)),
        bad(
            "a header of lists in lists",
            headed(&format!("{{\"alg\":\"HS256\",{}}}", nested(2_500))),
        ),
        bad("many members and one twice", claiming_text(&format!("{members}\"0\":1"))),
        bad("longer than any token", padding(6_200)),
        bad("8 KiB and a letter", "A".repeat(8 * 1024 + 1)),
        refused("longer than a head", padding(16 * 1024), HEAD_TOO_LARGE).unread_over_http2(),
    ]
}

fn badly_presented() -> Vec<Row> {
    let good = token("7");
    let field = |name: &str, value: &str, wanted| {
        let request = Request::get("/jwt").header("Authorization", value);
        Row::request(name, request, wanted).hiding(signature_of(&good))
    };
    let two = |name: &str, first: &str, second: &str| {
        let request = Request::get("/jwt").header("Authorization", first);
        Row::request(name, request.header("Authorization", second), MALFORMED)
            .hiding(signature_of(&good))
    };
    let bearer = format!("Bearer {good}");
    vec![
        field("no token", "Bearer", MALFORMED),
        field("two tokens", &format!("{bearer} {good}"), MALFORMED),
        field("two tokens in a list", &format!("{bearer}, {bearer}"), MALFORMED),
        field("a parameter behind", &format!("{bearer} realm=api"), MALFORMED),
        field("a blank inside", &bearer.replacen('.', " .", 1), MALFORMED),
        two("two fields", &bearer, &bearer),
        two("two fields, one of another scheme", "Basic Zm9vOmJhcg==", &bearer),
        two("two fields, one empty", &bearer, ""),
        field("an empty field", "", MISSING),
        field("in small letters", &format!("bearer {good}"), MISSING),
        field("in capitals", &format!("BEARER {good}"), MISSING),
        field("another scheme", "Basic Zm9vOmJhcg==", MISSING),
        field("a scheme of another kind", &format!("Token {good}"), MISSING),
        field("no scheme", &good, MISSING),
        field("a colon behind the scheme", &format!("Bearer: {good}"), MISSING),
        field("a comma before the token", &format!("Bearer,{good}"), MISSING),
        field("a letter before the scheme", &format!("XBearer {good}"), MISSING),
    ]
}

/// A good token where nobody looks for one, and a bad one beside what is good.
fn out_of_place() -> Vec<Row> {
    let good = token("7");
    let (query, form) = (format!("/jwt?access_token={good}"), format!("access_token={good}"));
    let field = |name: &str, value: &str| {
        Row::request(format!("in {name}"), Request::get("/jwt").header(name, value), MISSING)
    };
    let any = || Request::get("/any").bearer("no.good.token");
    let rows = vec![
        field("Proxy-Authorization", &format!("Bearer {good}")),
        field("X-Authorization", &format!("Bearer {good}")),
        field("X-Forwarded-Authorization", &format!("Bearer {good}")),
        field("X-Access-Token", &good),
        field("Cookie", &format!("access_token={good}")),
        field("Sec-WebSocket-Protocol", &format!("bearer, {good}")),
        Row::request("in the query", Request::get(&query), MISSING),
        Row::request("in a form", Request::post("/jwt").body(form), MISSING),
        Row::request("on a route for keys", Request::get("/key").bearer(&good), MISSING),
        Row::request("a bad one beside a good key", any().api_key(GOOD_KEY), BAD_TOKEN),
        Row::request("a bad one beside a signature", any().signed_by(&nextcloud()), BAD_TOKEN),
    ];
    rows.into_iter().map(|row| row.hiding(signature_of(&good))).collect()
}

/// Fields that are no text.
fn no_text() -> Vec<Row> {
    let good = token("7");
    let bytes = |name: &str, scheme: &[u8], more: &[u8], wanted| {
        let head = b"GET /jwt HTTP/1.1\r\nHost: a\r\nAuthorization: ";
        let head = [head, scheme, b" ", good.as_bytes(), more, b"\r\n\r\n"].concat();
        Row::bytes(name, head, wanted).hiding(signature_of(&good))
    };
    vec![
        bytes("a byte of Latin-1 behind", b"Bearer", b"\xe9", BAD_TOKEN),
        bytes("bytes that are no UTF-8 behind", b"Bearer", b"\xff\xfe", BAD_TOKEN),
        bytes("a scheme of another script", "B\u{435}arer".as_bytes(), b"", MISSING),
        bytes("a scheme that is no UTF-8", b"Bearer\xff", b"", MISSING),
        bytes("a blank that does not break", b"Bearer\xc2\xa0x", b"", MISSING),
        bytes("a NUL behind", b"Bearer", b"\0", UNREAD),
        bytes("a delete character behind", b"Bearer", b"\x7f", UNREAD),
        bytes("a line that goes on", b"Bearer\r\n", b"", UNREAD),
        bytes("a lone carriage return", b"Bearer\r", b"", UNREAD),
    ]
}
