//! Why can the store not do what it should, and may it help to ask again?

use chassis::database::{AcquireError, OpenError};
use sqlx::error::ErrorKind;

/// What begins the state of an SQL error that lies with the values: data, and keys or checks.
const REFUSED_CLASSES: [&str; 2] = ["22", "23"];

/// Codes of SQLite for a value that is too big or of the wrong type.
const REFUSED_BY_SQLITE: [&str; 2] = ["18", "20"];

/// Number of MySQL and MariaDB for a packet over `max_allowed_packet`.
const PACKET_TOO_LARGE: u16 = 1153;

/// The database cannot do what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address is of another kind of database.
    #[error(
        "WEATHER_DATABASE_URL begins with {scheme:?}; write for example \
         sqlite:///var/lib/weather/weather.db or mysql://user:password@host/database"
    )]
    Scheme {
        /// What stands before the first colon.
        scheme: String,
    },
    /// The address cannot be read.
    #[error("WEATHER_DATABASE_URL cannot be used ({why}); write for example {example}")]
    Url {
        /// What is wrong with it, without the address.
        why: String,
        /// A right one.
        example: &'static str,
    },
    /// The database will never do.
    #[error("{source}; {hint}")]
    Open {
        /// What the driver said.
        source: OpenError,
        /// What to look at.
        hint: &'static str,
    },
    /// No connection could be had.
    #[error(transparent)]
    Acquire(#[from] AcquireError),
    /// A statement failed.
    #[error("the database refused a statement: {0}")]
    Statement(#[from] sqlx::Error),
    /// An answer is larger than the server takes in one statement.
    #[error(
        "an answer of {bytes} bytes does not fit into the server's max_allowed_packet of \
         {packet_bytes_max}; raise that, or lower OPEN_METEO_BODY_BYTES_MAX"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// What the server takes.
        packet_bytes_max: u64,
    },
    /// The database did not answer.
    #[error("the database did not answer within {} ms", timeout.as_millis())]
    TimedOut {
        /// How long it was waited.
        timeout: std::time::Duration,
    },
}

impl StoreError {
    /// Whether the values are at fault, so that the same will be refused again. Everything else
    /// may pass: a server that is away, a lock, a full disk, a right that is missing.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        let error = match self {
            Self::Statement(error) => error,
            Self::TooLarge { .. } => return true,
            _ => return false,
        };
        match error {
            sqlx::Error::Encode(_) => true,
            sqlx::Error::Database(error) => {
                let code = error.code().unwrap_or_default();
                let mysql = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>();
                match mysql {
                    Some(mysql) => {
                        mysql.number() == PACKET_TOO_LARGE
                            || REFUSED_CLASSES.iter().any(|class| code.starts_with(class))
                    }
                    None => {
                        !matches!(error.kind(), ErrorKind::Other)
                            || REFUSED_BY_SQLITE.contains(&&*code)
                    }
                }
            }
            _ => false,
        }
    }
}
