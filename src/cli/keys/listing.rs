//! How are keys shown, without showing a key?

use jiff::Timestamp;
use serde::Serialize;

use crate::clock::Now;
use crate::state::keys::StoredKey;

const HEAD: [&str; 9] =
    ["ID", "NAME", "USER", "SCOPE", "KEY", "CREATED", "EXPIRES", "LAST USED", "STATE"];

/// All keys, as they are shown.
pub(super) struct Listing {
    pub(super) keys: Vec<ShownKey>,
}

/// One key, as it is shown.
#[derive(Serialize)]
pub(super) struct ShownKey {
    id: String,
    name: String,
    user: Option<String>,
    scopes: Vec<String>,
    state: &'static str,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    revoked_at: Option<String>,
    /// The current one first.
    secrets: Vec<ShownSecret>,
}

#[derive(Serialize)]
struct ShownSecret {
    key: String,
    /// None for the current one.
    ends_at: Option<String>,
    #[serde(skip)]
    is_over: bool,
}

impl Listing {
    /// Takes the rows of one key together.
    pub(super) fn new(stored: Vec<StoredKey>, now: Now) -> Self {
        let mut keys: Vec<ShownKey> = Vec::new();
        for row in stored {
            let secret = ShownSecret {
                key: format!("{}\u{2026}{}", row.prefix, row.last4),
                ends_at: row.valid_until.map(moment),
                is_over: row.valid_until.is_some_and(|until| until <= now.unix_seconds()),
            };
            match keys.last_mut().filter(|key| key.id == row.id) {
                Some(key) => key.secrets.push(secret),
                None => keys.push(shown(row, secret, now)),
            }
        }
        Self { keys }
    }

    /// An aligned table: a line for each secret of a key that still holds.
    pub(super) fn table(&self) -> String {
        let mut lines = vec![HEAD.map(str::to_owned)];
        for key in &self.keys {
            let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            for secret in key.secrets.iter().filter(|secret| !secret.is_over) {
                let state = match &secret.ends_at {
                    Some(end) if key.state == "active" => format!("until {end}"),
                    _ => key.state.to_owned(),
                };
                lines.push([
                    key.id.clone(),
                    key.name.clone(),
                    or_dash(&key.user),
                    key.scopes.join(","),
                    secret.key.clone(),
                    key.created_at.clone(),
                    or_dash(&key.expires_at),
                    or_dash(&key.last_used_at),
                    state,
                ]);
            }
        }
        aligned(&lines)
    }
}

/// A Unix second as people and programs read it.
pub(super) fn moment(unix_seconds: i64) -> String {
    Timestamp::from_second(unix_seconds)
        .map_or_else(|_| unix_seconds.to_string(), |t| t.to_string())
}

fn shown(row: StoredKey, secret: ShownSecret, now: Now) -> ShownKey {
    let state = if row.revoked_at.is_some() {
        "revoked"
    } else if row.expires_at.is_some_and(|at| at <= now.unix_seconds()) {
        "expired"
    } else {
        "active"
    };
    ShownKey {
        id: row.id,
        name: row.name,
        user: row.user,
        scopes: row.scope.split(',').map(str::to_owned).collect(),
        state,
        created_at: moment(row.created_at),
        expires_at: row.expires_at.map(moment),
        last_used_at: row.last_used_at.map(moment),
        revoked_at: row.revoked_at.map(moment),
        secrets: vec![secret],
    }
}

/// Puts each column at its place; nothing follows the last one.
fn aligned<const COLUMNS: usize>(lines: &[[String; COLUMNS]]) -> String {
    let mut widths = [0; COLUMNS];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let text = lines.iter().map(|line| {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    text.collect::<Vec<_>>().join("\n")
}
