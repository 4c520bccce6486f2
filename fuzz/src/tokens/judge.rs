//! Does a token hold under some rules, and what does it say?

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use farmgate::auth::{Token, TokenAlgorithm};
use serde_json::Value;

use super::{Rule, encoded, is_signed};
use crate::has_control;

/// What an accepted token must have said.
#[derive(Debug, PartialEq)]
pub struct Claims {
    id: String,
    subject: String,
    sub: Option<String>,
    user_id: Option<String>,
    client: Option<String>,
    jti: Option<String>,
    issuer: Option<String>,
    scope: Option<String>,
    scopes: Vec<String>,
    issued_at: Option<i64>,
    not_before: Option<i64>,
    expires_at: i64,
}

impl Claims {
    /// What the gateway read.
    #[must_use]
    pub fn of(token: &Token) -> Self {
        let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
        Self {
            id: (*token.principal.id).to_owned(),
            subject: token.principal.subject.as_deref().unwrap_or_default().to_owned(),
            sub: text(&token.subject),
            user_id: text(&token.user_id),
            client: text(&token.client),
            jti: text(&token.jti),
            issuer: text(&token.issuer),
            scope: text(&token.scope),
            scopes: token.principal.scopes.iter().map(|scope| scope.to_string()).collect(),
            issued_at: token.issued_at,
            not_before: token.not_before,
            expires_at: token.expires_at,
        }
    }
}

/// What a token says, if it holds: its form, its signature and its claims. Only that no name comes
/// twice in its JSON is not looked at.
#[must_use]
pub fn holds(rules: &[Rule], token: &str, now: i64) -> Option<Claims> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { return None };
    let decoded = |part: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
        (encoded(&bytes) == part).then_some(bytes)
    };
    let (header, claims) = (decoded(header)?, decoded(claims)?);
    let header: Value = serde_json::from_slice(&header).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let message = token.rsplit_once('.')?.0.as_bytes();
    let (algorithm, kid) = allowed(&header)?;
    let rule = rule_of(rules, &claims)?;
    let is_key = |names: &Vec<TokenAlgorithm>| names.contains(&algorithm);
    let has_key = match (&rule.names, kid) {
        (None, _) => true,
        (Some(names), None) => names.values().any(is_key),
        (Some(names), Some(kid)) => names.get(kid).is_some_and(is_key),
    };
    let is_signed = has_key
        && token.len() <= 8192
        && rule.given.algorithms.contains(&algorithm)
        && is_signed(algorithm, message, &decoded(signature)?);
    if is_signed { judge(rules, &claims, now) } else { None }
}

/// The algorithm and the key's name of a header that asks for nothing it may not.
fn allowed(header: &Value) -> Option<(TokenAlgorithm, Option<&str>)> {
    let members = header.as_object()?;
    const FORBIDDEN: [&str; 8] = ["jwk", "jku", "x5c", "x5u", "crit", "b64", "zip", "enc"];
    if FORBIDDEN.iter().any(|name| members.contains_key(*name)) {
        return None;
    }
    if let Some(typ) = members.get("typ") {
        let typ = typ.as_str()?.to_ascii_lowercase();
        let known = ["jwt", "at+jwt", "application/jwt", "application/at+jwt"];
        known.contains(&typ.as_str()).then_some(())?;
    }
    let kid = match members.get("kid") {
        None => None,
        Some(kid) => Some(kid.as_str().filter(|kid| kid.len() <= 128 && !has_control(kid))?),
    };
    let algorithm = members.get("alg")?.as_str()?;
    Some((TokenAlgorithm::ALL.into_iter().find(|known| known.as_str() == algorithm)?, kid))
}

fn rule_of<'a>(rules: &'a [Rule], claims: &Value) -> Option<&'a Rule> {
    match rules {
        [only] => Some(only),
        several => several
            .iter()
            .find(|rule| rule.given.issuer.as_deref() == claims.get("iss").and_then(Value::as_str)),
    }
}

/// What the claims say, if they are enough. `null` is as good as absent.
#[must_use]
pub fn judge(rules: &[Rule], claims: &Value, now: i64) -> Option<Claims> {
    let rule = rule_of(rules, claims)?;
    let given = &rule.given;
    let members = claims.as_object()?;
    let claim = |name: &str| members.get(name).filter(|value| !value.is_null());
    if given.required_claims.iter().any(|name| claim(name).is_none()) {
        return None;
    }
    let text = |name: &str| claim(name).map(|value| value.as_str().map(str::to_owned));
    let text = |name: &str| text(name).map_or(Some(None), |text| text.map(Some));
    let time = |name: &str| claim(name).map_or(Some(None), |value| seconds(value).map(Some));
    let (audience, listed) = (texts(claim("aud"))?, texts(claim("scp"))?);
    let (issued_at, not_before, expires_at) = (time("iat")?, time("nbf")?, time("exp")??);
    let leeway = given.leeway.as_secs().cast_signed();
    let has_begun = |at: Option<i64>| at.is_none_or(|at| at <= now + leeway);
    let issuer = text("iss")?;
    let is_right = has_begun(issued_at)
        && has_begun(not_before)
        && expires_at > now - leeway
        && given.issuer.as_ref().is_none_or(|name| issuer.as_ref() == Some(name))
        && given.audience.as_ref().is_none_or(|name| audience.contains(name))
        && (!given.jti_required || claim("jti").is_some())
        && given.token_type.as_ref().is_none_or(|t| text("token_type") == Some(Some(t.clone())));
    let _typed = text("token_type")?;
    let user_id = match claim("user_id") {
        Some(Value::Number(number)) => Some(number.as_i64()?.to_string()),
        _ => text("user_id")?,
    };
    let (sub, user_id) = (name(text("sub")?)?, name(user_id)?);
    let (client, jti) = (name(text("client_id")?)?, name(text("jti")?)?);
    let subject = sub.clone().or_else(|| user_id.clone())?;
    let id = client.clone().unwrap_or_else(|| subject.clone());
    // The first issuer's names stay as they are.
    let is_first = rules.first().is_some_and(|first| std::ptr::eq(first, rule));
    let realm = given.issuer.as_ref().filter(|_| !is_first);
    let id = realm.map_or(id.clone(), |realm| format!("{id}@{realm}"));
    let scope = text("scope")?;
    let scopes = match (&scope, claim("scp")) {
        (Some(text), _) => words(text),
        (None, Some(Value::Array(_))) => {
            listed.into_iter().filter(|word| words(word) == [word.as_str()]).collect()
        }
        (None, _) => listed.iter().flat_map(|text| words(text)).collect(),
    };
    is_right.then_some(Claims {
        id,
        subject,
        sub,
        user_id,
        client,
        jti,
        issuer,
        scope,
        scopes,
        issued_at,
        not_before,
        expires_at,
    })
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| c.is_whitespace() || c == ',');
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// A name that is there and not empty; `None` outside for one that cannot be logged.
fn name(text: Option<String>) -> Option<Option<String>> {
    let text = text.filter(|text| !text.is_empty());
    let is_right = text.as_ref().is_none_or(|text| text.len() <= 256 && !has_control(text));
    is_right.then_some(text)
}

fn seconds(value: &Value) -> Option<i64> {
    let Value::Number(number) = value else { return None };
    number.as_i64().or_else(|| number.as_f64().map(|float| float as i64))
}

/// One text or a list of them; `None` for anything else.
fn texts(value: Option<&Value>) -> Option<Vec<String>> {
    match value {
        None => Some(Vec::new()),
        Some(Value::String(text)) => Some(vec![text.clone()]),
        Some(Value::Array(list)) => {
            list.iter().map(|one| one.as_str().map(str::to_owned)).collect()
        }
        Some(_) => None,
    }
}
