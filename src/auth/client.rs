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

/// One client that may sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRule {
    /// The id it sends.
    pub id: String,
    /// Its secrets, any of which may have been used: the overlap of a rotation. A client without
    /// one (because its text could not be read) is answered `bad_base64`; the others go on.
    pub secrets: Vec<SharedSecret>,
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

/// A client with its keys made ready.
pub(super) struct Client {
    pub(super) id: Arc<str>,
    pub(super) keys: Vec<Hmac<Sha256>>,
    pub(super) scopes: Scopes,
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
        for secret in &rule.secrets {
            // HMAC takes a key of any length; only an empty one would be no secret.
            match Hmac::<Sha256>::new_from_slice(secret.bytes()) {
                Ok(key) if !secret.bytes().is_empty() => keys.push(key),
                _ => return Err(RuleError::SecretEmpty { client: rule.id }),
            }
        }
        Ok(Self { id: rule.id.into(), keys, scopes: scopes(&rule.scopes) })
    }

    /// Whether any of the client's secrets made this signature. Each comparison takes constant
    /// time, and all secrets are tried, so the time does not tell which one matched.
    pub(super) fn signed(&self, request: &CanonicalRequest<'_>, signature: &[u8; 32]) -> bool {
        let text = request.text();
        self.keys.iter().fold(false, |signed, key| {
            let mac = key.clone().chain_update(text.as_bytes());
            signed | mac.verify_slice(signature).is_ok()
        })
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
    fn a_map_that_is_no_json_object_is_refused() {
        for bad in ["", "[]", "\"a\"", "{'a':'c2VjcmV0'}", "{\"a\":"] {
            assert_eq!(clients_from_json(bad), Err(SignatureError::BadJson), "{bad}");
        }
    }
}
