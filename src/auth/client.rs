//! Which clients may sign, and did one of their secrets make this signature.

use std::collections::BTreeMap;
use std::sync::Arc;

use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::canonical::CanonicalRequest;
use super::error::SignatureError;
use super::principal::{Scopes, scopes};
use super::rule::{RuleError, SharedSecret, check_id};

/// The most secrets of one client: the current one, the next one, and some that are on the way out.
pub const SECRETS_PER_CLIENT_MAX: usize = 4;

/// One secret of a client, and when it counts. Seconds are those since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSecret {
    /// The secret.
    pub secret: SharedSecret,
    /// The first second in which it counts; absent means that it always did.
    pub from: Option<i64>,
    /// The first second in which it counts no more; absent means that it never ends.
    pub until: Option<i64>,
}

impl From<SharedSecret> for ClientSecret {
    fn from(secret: SharedSecret) -> Self {
        Self { secret, from: None, until: None }
    }
}

/// One client that may sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRule {
    /// The id it sends.
    pub id: String,
    /// Its secrets, any of which may have been used: the overlap of a rotation. A client without
    /// one (because its text could not be read) is answered `bad_base64`; the others go on.
    pub secrets: Vec<ClientSecret>,
    /// What it may do, split on commas and spaces.
    pub scopes: String,
}

/// A client map as it was read, with what is wrong in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientMap {
    /// The entries, without the secrets that could not be read.
    pub clients: Vec<ClientRule>,
    /// What was left out: the id of the entry and the reason, for the operator.
    pub faults: Vec<(String, RuleError)>,
}

/// Reads the operator's existing client map, `{"<id>": "<base64>"}`; a list of secrets is accepted
/// in place of one. Ids and secrets are trimmed. One bad entry does not lock out the rest: what
/// cannot be read is left out and told in [`ClientMap::faults`].
///
/// # Errors
///
/// [`SignatureError::BadJson`] when the text is not a JSON object.
pub fn clients_from_json(text: &str) -> Result<ClientMap, SignatureError> {
    let entries: BTreeMap<String, Value> =
        serde_json::from_str(text).map_err(|_| SignatureError::BadJson)?;
    let mut map = ClientMap::default();
    for (id, value) in entries {
        let id = id.trim().to_owned();
        if let Err(fault) = check_id(&id) {
            map.faults.push((id, fault));
        } else if map.clients.iter().any(|client| client.id == id) {
            map.faults.push((id.clone(), RuleError::IdRepeated { id }));
        } else {
            let (secrets, faults) = secrets_of(&id, value);
            map.faults.extend(faults.into_iter().map(|fault| (id.clone(), fault)));
            let secrets = secrets.into_iter().map(ClientSecret::from).collect();
            map.clients.push(ClientRule { id, secrets, scopes: String::new() });
        }
    }
    Ok(map)
}

fn secrets_of(id: &str, value: Value) -> (Vec<SharedSecret>, Vec<RuleError>) {
    let values = match value {
        Value::Array(values) => values,
        value => vec![value],
    };
    let (mut secrets, mut faults) = (Vec::new(), Vec::new());
    for value in &values {
        // Anything but a text is as unreadable as a text that is not base64.
        match SharedSecret::from_base64(value.as_str().unwrap_or("?")) {
            Ok(secret) if secret.bytes().is_empty() => {
                faults.push(RuleError::SecretEmpty { client: id.to_owned() });
            }
            Ok(secret) => secrets.push(secret),
            Err(fault) => faults.push(fault),
        }
    }
    let (count, count_max) = (secrets.len(), SECRETS_PER_CLIENT_MAX);
    if count > count_max {
        secrets.truncate(count_max);
        faults.push(RuleError::SecretsTooMany { client: id.to_owned(), count, count_max });
    }
    (secrets, faults)
}

/// What HMAC-SHA256 makes of a text.
#[must_use]
pub fn sign(secret: &SharedSecret, text: &str) -> Option<[u8; 32]> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.bytes()).ok()?;
    Some(mac.chain_update(text).finalize().into_bytes().into())
}

/// A client with its keys made ready.
pub(super) struct Client {
    pub(super) id: Arc<str>,
    keys: Vec<Key>,
    pub(super) scopes: Scopes,
}

/// One secret made ready, and when it counts.
struct Key {
    mac: Hmac<Sha256>,
    from: Option<i64>,
    until: Option<i64>,
}

impl Client {
    pub(super) fn new(rule: ClientRule) -> Result<Self, RuleError> {
        check_id(&rule.id)?;
        let count = rule.secrets.len();
        if count > SECRETS_PER_CLIENT_MAX {
            let count_max = SECRETS_PER_CLIENT_MAX;
            return Err(RuleError::SecretsTooMany { client: rule.id, count, count_max });
        }
        let mut keys = Vec::with_capacity(count);
        for ClientSecret { secret, from, until } in &rule.secrets {
            let (from, until) = (*from, *until);
            if from.zip(until).is_some_and(|(from, until)| from >= until) {
                return Err(RuleError::SecretNeverInForce { client: rule.id });
            }
            // HMAC takes a key of any length; only an empty one would be no secret.
            match Hmac::<Sha256>::new_from_slice(secret.bytes()) {
                Ok(mac) if !secret.bytes().is_empty() => keys.push(Key { mac, from, until }),
                _ => return Err(RuleError::SecretEmpty { client: rule.id }),
            }
        }
        Ok(Self { id: rule.id.into(), keys, scopes: scopes(&rule.scopes) })
    }

    /// Whether any of the client's secrets could be read.
    pub(super) fn has_secrets(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whether any of the client's secrets counts at this time.
    pub(super) fn has_secret_in_force(&self, seconds: i64) -> bool {
        self.keys.iter().any(|key| key.is_in_force(seconds))
    }

    /// Whether a secret that counts at this time made this signature. Each comparison takes
    /// constant time, and all secrets are tried, those that do not count too, so the time does not
    /// tell which one matched.
    pub(super) fn signed(
        &self,
        request: &CanonicalRequest<'_>,
        signature: &[u8; 32],
        seconds: i64,
    ) -> bool {
        let text = request.text();
        self.keys.iter().fold(false, |signed, key| {
            signed | (key.made(&text, signature) & key.is_in_force(seconds))
        })
    }

    /// Whether any secret made this signature, whether it counts or not: for the log only.
    pub(super) fn ever_signed(&self, request: &CanonicalRequest<'_>, signature: &[u8; 32]) -> bool {
        let text = request.text();
        self.keys.iter().fold(false, |signed, key| signed | key.made(&text, signature))
    }
}

impl Key {
    fn made(&self, text: &str, signature: &[u8; 32]) -> bool {
        self.mac.clone().chain_update(text).verify_slice(signature).is_ok()
    }

    fn is_in_force(&self, seconds: i64) -> bool {
        self.from.is_none_or(|from| from <= seconds)
            && self.until.is_none_or(|until| seconds < until)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use super::*;

    #[test]
    fn one_bad_entry_leaves_the_others_alone() {
        let json = r#"{
            "a": "c2VjcmV0", "b": "not base64", "c": ["bad!", "c2VjcmV0"], "d": "", "e": 5,
            "f g": "c2VjcmV0", " a ": "c2VjcmV0",
            "h": ["YQ==", "Yg==", "Yw==", "ZA==", "ZQ=="]
        }"#;
        let map = clients_from_json(json).unwrap();
        let mut counts: Vec<(&str, usize)> =
            map.clients.iter().map(|client| (client.id.as_str(), client.secrets.len())).collect();
        counts.sort_unstable();
        assert_eq!(counts, [("a", 1), ("b", 0), ("c", 1), ("d", 0), ("e", 0), ("h", 4)]);
        let mut faulty: Vec<&str> = map.faults.iter().map(|(id, _)| id.as_str()).collect();
        faulty.sort_unstable();
        assert_eq!(faulty, ["a", "b", "c", "d", "e", "f g", "h"]);
        for client in map.clients {
            assert!(Client::new(client).is_ok());
        }
    }

    #[test]
    fn a_secret_counts_from_its_first_second_to_before_its_last() {
        let secret = |from, until| ClientSecret { secret: SharedSecret::new(*b"k"), from, until };
        let counts = |from, until, seconds| {
            let secrets = vec![secret(from, until)];
            let client = Client::new(ClientRule { id: "a".into(), secrets, scopes: String::new() });
            client.unwrap().has_secret_in_force(seconds)
        };
        for (from, until, seconds, expected) in [
            (None, None, 0, true),
            (Some(10), None, 9, false),
            (Some(10), None, 10, true),
            (None, Some(10), 9, true),
            (None, Some(10), 10, false),
            (Some(10), Some(20), 15, true),
            (Some(10), Some(20), 20, false),
        ] {
            assert_eq!(counts(from, until, seconds), expected, "{from:?} {until:?} {seconds}");
        }
        let secrets = vec![secret(Some(10), Some(10))];
        let never = Client::new(ClientRule { id: "a".into(), secrets, scopes: String::new() });
        let refused = RuleError::SecretNeverInForce { client: "a".into() };
        assert_eq!(never.err(), Some(refused));
    }

    #[test]
    fn a_map_that_is_no_json_object_is_refused() {
        for bad in ["", "[]", "\"a\"", "{'a':'c2VjcmV0'}", "{\"a\":"] {
            assert_eq!(clients_from_json(bad), Err(SignatureError::BadJson), "{bad}");
        }
    }
}
