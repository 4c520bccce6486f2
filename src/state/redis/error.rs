//! Why did Redis not do what it was asked?

use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why a call failed. No variant holds a key, a value, a user or a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedisFault {
    /// There is no connection, and so nothing was sent.
    #[error("Redis is not connected")]
    Down,
    /// Redis did not answer in time; whether it did what it was asked is not known.
    #[error("Redis did not answer within {0:?}; see whether it is busy, or raise its timeout")]
    Timeout(Duration),
    /// The connection broke, or cannot be made.
    #[error("the connection to Redis failed: {0}")]
    Connection(String),
    /// Redis does not take the user or the password.
    #[error("Redis refuses the login: {0}; correct user and password in its address")]
    Login(String),
    /// The server cannot serve at the moment, as a replica or while it is loading.
    #[error("this Redis cannot serve now: {0}")]
    NotServing(String),
    /// Redis answered with an error.
    #[error("Redis refused a command: {0}")]
    Refused(String),
}

impl RedisFault {
    pub(in crate::state) fn of(error: &RedisError) -> Self {
        let code = error.code().unwrap_or_default();
        let told = told(error, code);
        match error.kind() {
            ErrorKind::AuthenticationFailed => Self::Login(told),
            _ if matches!(code, "NOAUTH" | "WRONGPASS") => Self::Login(told),
            ErrorKind::Server(
                ServerErrorKind::ReadOnly
                | ServerErrorKind::MasterDown
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::TryAgain,
            ) => Self::NotServing(told),
            ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::UnexpectedReturnType => {
                Self::Refused(told)
            }
            _ => Self::Connection(told),
        }
    }

    /// Whether the connection is of no use any more.
    pub(super) fn ends_the_connection(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }

    /// Whether somebody has to act, because waiting does not help.
    pub(super) fn wants_someone(&self) -> bool {
        matches!(self, Self::Login(_) | Self::Refused(_))
    }
}

/// What an error says, on one line. Redis may repeat parts of a command behind `with args`.
fn told(error: &RedisError, code: &str) -> String {
    let text = match (code, error.detail()) {
        ("", _) | (_, None) => {
            let kind = format!(" - {:?}", error.kind());
            error.to_string().trim_end_matches(kind.as_str()).to_owned()
        }
        (code, Some(detail)) => format!("{code} {detail}"),
    };
    let text = text.split(", with args").next().unwrap_or_default();
    text.chars().filter(|c| !c.is_control()).take(TOLD_CHARS_MAX).collect()
}

/// How much of a server's text is passed on.
const TOLD_CHARS_MAX: usize = 300;
