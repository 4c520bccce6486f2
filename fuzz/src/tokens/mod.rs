//! Which issuers are there, and what should become of a token?
//!
//! [`holds`] and [`judge`] are the rules written a second time. Signatures are checked with another
//! library than the gateway does for the same algorithm.

mod judge;
mod keys;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use farmgate::auth::{
    JwtIssuerRule, JwtVerifier, KeySet, KeySource, LiveKeySet, TokenAlgorithm, VerifyingKey,
    static_keys,
};
use serde_json::json;

pub use self::judge::{Claims, holds, judge};
use crate::{NOW, at};

use self::keys::{SECRET, ed25519_point, p256_point, p384_point, public_pem, rsa_modulus};
pub use self::keys::{encoded, is_signed, sign};

/// What one verifier takes.
pub struct Verifier {
    /// The gateway's.
    pub verifier: JwtVerifier,
    /// The rules it was made of, in their order.
    pub rules: Vec<Rule>,
}

/// A rule, as far as a second reader needs it.
pub struct Rule {
    given: JwtIssuerRule,
    /// For which algorithm each named key of a fetched set is.
    names: Option<BTreeMap<&'static str, Vec<TokenAlgorithm>>>,
}

impl Rule {
    fn new(given: JwtIssuerRule) -> Self {
        Self { given, names: None }
    }
}

use TokenAlgorithm::{EdDsa, Es256, Es384, Hs256, Hs384, Hs512};
use TokenAlgorithm::{Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};

const RSA: [TokenAlgorithm; 6] = [Rs256, Rs384, Rs512, Ps256, Ps384, Ps512];
const POINTS: [TokenAlgorithm; 3] = [Es256, Es384, EdDsa];

/// The existing issuer alone; four issuers side by side; and one verifier for each algorithm that
/// takes any claims.
///
/// # Panics
///
/// When the keys of the tests do not make verifiers, or one of them does not take what it should:
/// then every check of what is taken would be empty.
#[must_use]
pub fn verifiers() -> Vec<Verifier> {
    let mut verifiers = vec![verifier(vec![existing(vec![Hs256])]), verifier(several())];
    for algorithm in TokenAlgorithm::ALL {
        let rule = bare(None, vec![algorithm], configured(&[algorithm]));
        verifiers.push(verifier(vec![rule]));
    }
    verifiers.iter().for_each(check_use);
    verifiers
}

fn check_use(Verifier { verifier, rules }: &Verifier) {
    for rule in rules {
        for algorithm in &rule.given.algorithms {
            let header = json!({ "alg": algorithm.as_str() }).to_string();
            let claims = json!({
                "iss": rule.given.issuer, "aud": "nextcloud", "sub": "u", "jti": "j",
                "client_id": "c", "token_type": "access", "exp": NOW + 60,
            });
            let token = sign(&header, &claims.to_string(), *algorithm);
            let found = verifier.verify(token.as_bytes(), at(NOW)).expect("a good token is taken");
            assert_eq!(holds(rules, &token, NOW.cast_signed()), Some(Claims::of(&found)));
        }
    }
}

fn verifier(rules: Vec<Rule>) -> Verifier {
    let given = rules.iter().map(|rule| rule.given.clone()).collect();
    Verifier { verifier: JwtVerifier::new(given).expect("the rules are right"), rules }
}

fn existing(algorithms: Vec<TokenAlgorithm>) -> Rule {
    Rule::new(JwtIssuerRule {
        issuer: Some("farm-intelligence-platform".into()),
        audience: Some("nextcloud".into()),
        keys: configured(&algorithms),
        algorithms,
        token_type: Some("access".into()),
        jti_required: true,
        leeway: Duration::ZERO,
        required_claims: Vec::new(),
    })
}

fn several() -> Vec<Rule> {
    let leeway = |rule: Rule, seconds| {
        let leeway = Duration::from_secs(seconds);
        Rule { given: JwtIssuerRule { leeway, ..rule.given }, ..rule }
    };
    let rsa = bare(Some("https://rsa.example"), RSA.to_vec(), configured(&[Rs256]));
    let points = bare(Some("https://points.example"), POINTS.to_vec(), configured(&POINTS));
    let required_claims = vec!["jti".into(), "client_id".into()];
    let points = Rule { given: JwtIssuerRule { required_claims, ..points.given }, ..points };
    let all = RSA.into_iter().chain(POINTS).collect();
    let set = bare(Some("https://set.example"), all, KeySource::Set(fetched()));
    let set = Rule { names: Some(names()), ..set };
    vec![existing(vec![Hs256, Hs384, Hs512]), leeway(rsa, 60), leeway(points, 1), set]
}

fn bare(issuer: Option<&str>, algorithms: Vec<TokenAlgorithm>, keys: KeySource) -> Rule {
    Rule::new(JwtIssuerRule {
        issuer: issuer.map(str::to_owned),
        audience: None,
        algorithms,
        keys,
        token_type: None,
        jti_required: false,
        leeway: Duration::ZERO,
        required_claims: Vec::new(),
    })
}

/// One secret for all HS* algorithms, else the public keys of each.
fn configured(algorithms: &[TokenAlgorithm]) -> KeySource {
    if algorithms.iter().any(|algorithm| algorithm.is_symmetric()) {
        let secret = VerifyingKey::from_secret(SECRET).expect("a secret is no key");
        return KeySource::Static(vec![secret]);
    }
    let keys = algorithms.iter().flat_map(|algorithm| {
        static_keys(public_pem(*algorithm), &[*algorithm]).expect("the keys can be read")
    });
    KeySource::Static(keys.collect())
}

/// The set as its issuer publishes it: two names for one key, and a key for one algorithm alone.
fn fetched() -> Arc<LiveKeySet> {
    let n = encoded(rsa_modulus());
    let half = |point: &[u8], number: usize| {
        let size = (point.len() - 1) / 2;
        encoded(&point[1 + number * size..][..size])
    };
    let (p256, p384) = (p256_point(), p384_point());
    let document = json!({ "keys": [
        { "kty": "RSA", "n": n, "e": "AQAB", "kid": "rsa" },
        { "kty": "RSA", "n": n, "e": "AQAB", "kid": "ps384", "alg": "PS384" },
        { "kty": "EC", "crv": "P-256", "x": half(p256, 0), "y": half(p256, 1), "kid": "p256" },
        { "kty": "EC", "crv": "P-384", "x": half(p384, 0), "y": half(p384, 1), "kid": "p384" },
        { "kty": "OKP", "crv": "Ed25519", "x": encoded(ed25519_point()), "kid": "ed" },
        { "kty": "OKP", "crv": "Ed25519", "x": encoded(ed25519_point()), "kid": "ed again" },
        { "kty": "oct", "k": "c2VjcmV0", "kid": "secret" },
    ]});
    let live = Arc::new(LiveKeySet::new());
    live.publish(KeySet::parse(document.to_string().as_bytes()).expect("the set can be read"));
    live
}

fn names() -> BTreeMap<&'static str, Vec<TokenAlgorithm>> {
    BTreeMap::from([
        ("ed", vec![EdDsa]),
        ("ed again", vec![EdDsa]),
        ("p256", vec![Es256]),
        ("p384", vec![Es384]),
        ("ps384", vec![Ps384]),
        ("rsa", RSA.to_vec()),
    ])
}
