//! `farmgate keys`: who gets an API key, which are there, and which hold no longer?
//!
//! It works on the key file alone, whether a gateway runs or not; a gateway that runs takes a
//! change over within a second.

mod arguments;
mod listing;

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::json;

pub use self::arguments::{
    CreateArguments, Expiry, KeysCommand, ListArguments, RevokeArguments, RotateArguments, Scope,
};
use self::listing::{Listing, moment};
use crate::auth::NewKey;
use crate::clock::Now;
use crate::config::closest;
use crate::state::keys::{KeyRequest, KeyStore, StoreError, StoredKey};

/// It was done.
const DONE: u8 = 0;
/// It could not be done.
const FAILED: u8 = 1;
/// It was asked for in a way that makes no sense; `clap` ends with the same code.
const USAGE: u8 = 2;
/// How many keys are suggested in place of an unknown one.
const SUGGESTIONS_MAX: usize = 3;

/// Where a command writes: what was asked for, and what a person should know besides.
pub struct Screen<'a> {
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Standard error.
    pub err: &'a mut dyn Write,
}

/// Why a command ends without having done what it should.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Unknown(String),
    #[error("{0}")]
    Usage(&'static str),
    #[error("the key \"{id}\" was made but cannot be shown: {source}; revoke it")]
    NotShown { id: String, source: io::Error },
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

/// Runs a command on a key file, and gives the exit code: 0 when it was done, 1 when it could not
/// be done, 2 when it makes no sense.
#[must_use]
pub fn run(command: &KeysCommand, store: &Path, now: Now, screen: &mut Screen<'_>) -> u8 {
    let done = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::Output)
        .and_then(|runtime| runtime.block_on(carry_out(command, store, now, screen)));
    match done {
        Ok(()) => DONE,
        Err(failure) => {
            say(screen.err, &format!("farmgate: {failure}"));
            if matches!(failure, Failure::Usage(_)) { USAGE } else { FAILED }
        }
    }
}

async fn carry_out(
    command: &KeysCommand,
    path: &Path,
    now: Now,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    // Before anything is opened: a command that makes no sense leaves nothing behind.
    let request = match command {
        KeysCommand::Create(asked) => Some(request(asked, now)?),
        KeysCommand::List(_) | KeysCommand::Rotate(_) | KeysCommand::Revoke(_) => None,
    };
    let store = KeyStore::open(path).await?;
    let done = match (command, request) {
        (KeysCommand::Create(asked), Some(request)) => {
            create(asked, &request, &store, now, screen).await
        }
        (KeysCommand::Create(_), None) => Ok(()),
        (KeysCommand::List(asked), _) => list(asked, &store, now, screen).await,
        (KeysCommand::Rotate(asked), _) => rotate(asked, &store, now, screen).await,
        (KeysCommand::Revoke(asked), _) => revoke(asked, &store, now, screen).await,
    };
    store.close().await?;
    done
}

fn request(asked: &CreateArguments, now: Now) -> Result<KeyRequest, Failure> {
    let expires_at = asked.expires.map(|expiry| expiry.unix_seconds(now));
    if expires_at.is_some_and(|at| at <= now.unix_seconds()) {
        return Err(Failure::Usage("--expires lies in the past; such a key would never hold"));
    }
    let scopes: Vec<&str> = Scope::ALL
        .into_iter()
        .filter(|scope| asked.scope.contains(scope))
        .map(Scope::as_str)
        .collect();
    let (name, user, scope) = (asked.name.clone(), asked.user.clone(), scopes.join(","));
    Ok(KeyRequest { name, user, scope, expires_at })
}

async fn create(
    asked: &CreateArguments,
    request: &KeyRequest,
    store: &KeyStore,
    now: Now,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let (id, key) = store.create(request, now).await?;
    let expires_at = request.expires_at.map(moment);
    if asked.json {
        let made = json!({
            "id": id,
            "key": key.expose(),
            "name": request.name,
            "user": request.user,
            "scopes": request.scope.split(',').collect::<Vec<_>>(),
            "created_at": moment(now.unix_seconds()),
            "expires_at": expires_at,
        });
        return show(&id, &made.to_string(), screen.out);
    }
    show(&id, key.expose(), screen.out)?;
    let end = expires_at.unwrap_or_else(|| "never".to_owned());
    say(screen.err, &format!("id: {id}\nexpires: {end}"));
    say(screen.err, "This is the only time that the key is shown; keep it in a safe place.");
    Ok(())
}

async fn list(
    asked: &ListArguments,
    store: &KeyStore,
    now: Now,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let listing = Listing::new(store.list().await?, now);
    let text = if asked.json { to_json(&listing.keys)? } else { listing.table() };
    Ok(writeln!(screen.out, "{text}")?)
}

async fn rotate(
    asked: &RotateArguments,
    store: &KeyStore,
    now: Now,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let overlap = asked.overlap.duration();
    let rotated: Result<NewKey, StoreError> = store.rotate(&asked.id, overlap, now).await;
    let key = match rotated {
        Err(StoreError::Unknown { id }) => return Err(unknown(&id, store).await),
        rotated => rotated?,
    };
    let end = moment(now.plus(overlap).unix_seconds());
    if asked.json {
        let made = json!({ "id": asked.id, "key": key.expose(), "earlier_secrets_end_at": end });
        return show(&asked.id, &made.to_string(), screen.out);
    }
    show(&asked.id, key.expose(), screen.out)?;
    say(screen.err, &format!("id: {} (as before)\nearlier secrets end: {end}", asked.id));
    say(screen.err, "This is the only time that the key is shown; keep it in a safe place.");
    Ok(())
}

async fn revoke(
    asked: &RevokeArguments,
    store: &KeyStore,
    now: Now,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let is_new = match store.revoke(&asked.id, now).await {
        Err(StoreError::Unknown { id }) => return Err(unknown(&id, store).await),
        revoked => revoked?,
    };
    let what = if is_new { "revoked" } else { "was revoked before" };
    say(screen.err, &format!("{}: {what}", asked.id));
    Ok(())
}

/// Says which keys may have been meant: by the beginning of an id, a name, the beginning of the
/// key, or an id with a slip of the finger.
async fn unknown(given: &str, store: &KeyStore) -> Failure {
    let mut keys = match store.list().await {
        Ok(keys) => keys,
        Err(error) => return error.into(),
    };
    keys.dedup_by(|one, other| one.id == other.id);
    let slip = closest(given, keys.iter().map(|key| key.id.as_str())).map(str::to_owned);
    let is_meant = |key: &&StoredKey| {
        let begins =
            !given.is_empty() && (key.id.starts_with(given) || given.starts_with(&key.prefix));
        begins || key.name == given || slip.as_ref() == Some(&key.id)
    };
    let meant: Vec<String> = keys
        .iter()
        .filter(is_meant)
        .take(SUGGESTIONS_MAX)
        .map(|key| format!("{} ({})", key.id, key.name))
        .collect();
    // What was given may be a key, taken for its id; so it is not repeated.
    Failure::Unknown(if meant.is_empty() {
        "there is no key of this id; see `farmgate keys list`".to_owned()
    } else {
        format!("there is no key of this id; did you mean {}?", meant.join(" or "))
    })
}

/// Shows a key. One that nobody saw is of no use, and whoever asked must know.
fn show(id: &str, line: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let shown = writeln!(out, "{line}").and_then(|()| out.flush());
    shown.map_err(|source| Failure::NotShown { id: id.to_owned(), source })
}

fn to_json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(|error| Failure::Output(error.into()))
}

/// A line for a person; when nobody listens any more there is nobody to tell.
fn say(to: &mut dyn Write, line: &str) {
    let _reader_may_be_gone = writeln!(to, "{line}");
}

#[cfg(test)]
mod tests;
