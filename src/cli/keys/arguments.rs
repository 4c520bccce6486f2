//! What can be asked about keys?

use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;

use crate::clock::Now;
use crate::config::scalar::Period;

/// The longest name or user, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// What is to be done with the keys of the key file.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Makes a key and prints it, this once.
    Create(CreateArguments),
    /// Lists the keys by their two ends.
    List(ListArguments),
    /// Gives a key a new secret and prints it, this once; the id stays.
    Rotate(RotateArguments),
    /// Withdraws a key for good.
    Revoke(RevokeArguments),
}

/// `keys create`.
#[derive(Debug, Args)]
pub struct CreateArguments {
    /// What to call it, for people.
    #[arg(long, value_parser = name)]
    pub name: String,
    /// Id of the user it belongs to: what services see as the subject of its calls.
    #[arg(long, value_parser = user)]
    pub user: Option<String>,
    /// What it may do, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "read")]
    pub scope: Vec<Scope>,
    /// When it ends: after a time such as 90d, or at one such as 2030-01-31T00:00:00Z; never
    /// without this.
    #[arg(long)]
    pub expires: Option<Expiry>,
    /// Prints one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `keys list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Prints a JSON array.
    #[arg(long)]
    pub json: bool,
}

/// `keys rotate`.
#[derive(Debug, Args)]
pub struct RotateArguments {
    /// The key's id.
    pub id: String,
    /// How long the secrets before it still hold, such as 72h; 0s ends them at once.
    #[arg(long, default_value = "72h", value_parser = Period::from_text_or_zero)]
    pub overlap: Period,
    /// Prints one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `keys revoke`.
#[derive(Debug, Args)]
pub struct RevokeArguments {
    /// The key's id.
    pub id: String,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scope {
    /// To read.
    Read,
    /// To write.
    Write,
    /// To manage.
    Admin,
}

impl Scope {
    pub(super) const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// When a key ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// So long after it was made.
    After(Period),
    /// At this time.
    At(Timestamp),
}

impl Expiry {
    /// The end of a key that is made now.
    #[must_use]
    pub fn unix_seconds(self, now: Now) -> i64 {
        match self {
            Self::After(period) => now.plus(period.duration()).unix_seconds(),
            Self::At(time) => time.as_second(),
        }
    }
}

impl FromStr for Expiry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(period) = text.parse() {
            return Ok(Self::After(period));
        }
        let time = text.parse::<Timestamp>();
        time.map(Self::At)
            .map_err(|_| "write 90d, 12h, or a time such as 2030-01-31T00:00:00Z".into())
    }
}

fn name(text: &str) -> Result<String, &'static str> {
    let is_plain = !text.trim().is_empty() && !text.chars().any(char::is_control);
    if is_plain && text.len() <= NAME_BYTES_MAX {
        Ok(text.to_owned())
    } else {
        Err("write 1 to 100 bytes on one line")
    }
}

fn user(text: &str) -> Result<String, &'static str> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain && text.len() <= NAME_BYTES_MAX {
        Ok(text.to_owned())
    } else {
        Err("write 1 to 100 printable ASCII characters without spaces")
    }
}
