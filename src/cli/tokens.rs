//! Which tokens are to count no more?

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use tokio::runtime;

use crate::clock::Now;
use crate::config::scalar::Period;
use crate::state::redis::{Redis, RedisFault, RedisRules};
use crate::state::revocations::{Revocation, RevocationError, Revocations, RevokeError, Target};

/// How long a revocation is kept where nothing else is said: longer than any token lives.
const KEPT_DEFAULT: &str = "30d";

/// The longest that connecting and asking may take on the command line.
const REDIS_TIMEOUT: Duration = Duration::from_secs(3);

/// `farmgate tokens …`.
#[derive(Clone, Debug, Subcommand)]
pub enum TokensCommand {
    /// Lists the revocations in force.
    List,
    /// Revokes a token, or everything that a subject or client was issued up to now.
    Revoke(RevokeArgs),
}

/// What to revoke.
#[derive(Args, Clone, Debug)]
pub struct RevokeArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// When all that is revoked has expired by itself: a time from now, such as 15m or 7d, or
    /// seconds since 1970.
    #[arg(long, default_value = KEPT_DEFAULT)]
    expires: Expires,
}

#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
struct TargetArgs {
    /// The one token with this id.
    #[arg(long)]
    jti: Option<String>,
    /// Every token of this subject that was issued up to now.
    #[arg(long)]
    subject: Option<String>,
    /// Every token of this client that was issued up to now.
    #[arg(long)]
    client: Option<String>,
}

/// When a revocation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expires {
    /// In seconds since 1970.
    At(i64),
    /// So long from now.
    In(Duration),
}

impl std::str::FromStr for Expires {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(seconds) = text.parse() {
            return Ok(Self::At(seconds));
        }
        let period: Period = text.parse().map_err(|error| format!("{error}"))?;
        Ok(Self::In(period.duration()))
    }
}

/// Where the configuration keeps revocations.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// `revocations.jsonl` in the state folder.
    pub file: Option<PathBuf>,
    /// Redis.
    pub redis: Option<RedisRules>,
}

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// A revocation that would never be in force.
    #[error("--expires lies in the past, so there is nothing to revoke")]
    Past,
    /// Redis cannot be used.
    #[error("{0}")]
    Redis(#[from] RedisFault),
    /// It is not in force everywhere.
    #[error(transparent)]
    Revoke(#[from] RevokeError),
    /// The name cannot be a token's.
    #[error(transparent)]
    Name(#[from] RevocationError),
    /// The command cannot run, or nobody reads what it says.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Runs a command and says on `out` what it did.
///
/// # Errors
/// Why it did not.
pub fn run(
    command: TokensCommand,
    places: Places,
    now: Now,
    out: &mut impl Write,
) -> Result<(), TokensError> {
    // Looked at before anything is connected.
    let revocation = match command {
        TokensCommand::List => None,
        TokensCommand::Revoke(args) => Some(args.revocation(now)?),
    };
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut redis, mut gone) = (None, None);
        if let Some(rules) = places.redis {
            let timeout = rules.timeout.max(REDIS_TIMEOUT);
            let connecting = Redis::new(RedisRules { timeout, ..rules })?;
            // Without Redis the file is written all the same; then it is told that this was all.
            gone = connecting.connect().await.err();
            redis = Some(connecting);
        }
        let revocations = Revocations::new(places.file, redis);
        let done = match revocation {
            None => list(&revocations, now, out).await,
            Some(revocation) => revoke(&revocations, &revocation, now, out).await,
        };
        match (done, gone) {
            (Err(TokensError::Revoke(RevokeError::Redis(RedisFault::Down))), Some(why)) => {
                Err(RevokeError::Redis(why).into())
            }
            (done, _) => done,
        }
    })
}

impl RevokeArgs {
    fn revocation(self, now: Now) -> Result<Revocation, TokensError> {
        let TargetArgs { jti, subject, client } = self.target;
        let target = match (jti, subject, client) {
            (Some(id), _, _) => Target::Token(id),
            (_, Some(name), _) => Target::Subject(name),
            (_, _, name) => Target::Client(name.unwrap_or_default()),
        };
        target.check()?;
        let expires = match self.expires {
            Expires::At(seconds) => seconds,
            Expires::In(period) => now.plus(period).unix_seconds(),
        };
        if expires <= now.unix_seconds() {
            return Err(TokensError::Past);
        }
        let before = if matches!(target, Target::Token(_)) { 0 } else { now.unix_seconds() };
        Ok(Revocation { target, before, expires })
    }
}

async fn revoke(
    revocations: &Revocations,
    revocation: &Revocation,
    now: Now,
    out: &mut impl Write,
) -> Result<(), TokensError> {
    revocations.revoke(revocation, now).await?;
    Ok(writeln!(out, "revoked: {}", revocation.to_line())?)
}

async fn list(
    revocations: &Revocations,
    now: Now,
    out: &mut impl Write,
) -> Result<(), TokensError> {
    let all = revocations.list(now).await?;
    for revocation in &all {
        writeln!(out, "{}", revocation.to_line())?;
    }
    Ok(writeln!(out, "{} revocation(s) in force", all.len())?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use clap::Parser;
    use harness::Directory;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(subcommand)]
        command: TokensCommand,
    }

    fn command(words: &str) -> Result<TokensCommand, String> {
        let words = ["tokens"].into_iter().chain(words.split(' '));
        Program::try_parse_from(words).map(|program| program.command).map_err(|e| e.to_string())
    }

    fn said(words: &str, places: &Places, now: Now) -> Result<String, TokensError> {
        let mut out = Vec::new();
        run(command(words).unwrap(), places.clone(), now, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_is_revoked_is_listed_until_it_expires() {
        let folder = Directory::new();
        let file = Some(folder.path().join("revocations.jsonl"));
        let places = Places { file, redis: None };
        let now = Now::read();
        let seconds = now.unix_seconds();
        let told = said("revoke --jti t-1 --expires 15m", &places, now).unwrap();
        assert_eq!(told, format!("revoked: {{\"jti\":\"t-1\",\"expires\":{}}}\n", seconds + 900));
        let told = said("revoke --subject 42", &places, now).unwrap();
        assert!(told.contains(&format!("\"before\":{seconds}")), "{told}");
        assert!(said("list", &places, now).unwrap().ends_with("2 revocation(s) in force\n"));
        let later = now.plus(Duration::from_secs(900));
        assert!(said("list", &places, later).unwrap().ends_with("1 revocation(s) in force\n"));
    }

    #[test]
    fn command_needs_one_target_and_a_future() {
        assert!(command("revoke").is_err());
        assert!(command("revoke --jti a --subject b").is_err());
        assert!(command("revoke --jti a --expires soon").unwrap_err().contains("soon"));
        let now = Now::read();
        let past = said("revoke --jti a --expires 17", &Places::default(), now).unwrap_err();
        assert!(matches!(past, TokensError::Past), "{past}");
        let nowhere = said("revoke --client a", &Places::default(), now).unwrap_err();
        assert!(matches!(nowhere, TokensError::Revoke(RevokeError::Nowhere)), "{nowhere}");
    }
}
