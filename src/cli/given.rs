//! What do the commands about signatures take from their flags: secrets, bodies, requests?

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{convert::Infallible, fmt};

use clap::Args;
use http::Method;

use crate::auth::explain::SecretText;
use crate::auth::{NONCE_BYTES_MAX, check_id, is_nonce, plain_seconds};
use crate::config::scalar::SecretRef;
use crate::reload;

/// Largest body that is read.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A text of the command line that no message and no `Debug` shows.
#[derive(Clone)]
pub(super) struct Hidden(String);

impl FromStr for Hidden {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(..)")
    }
}

/// The secret of one client.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct OneSecret {
    /// The secret in base64. It stays in the shell's history, and everybody on the machine sees
    /// it while the command runs; `--secret` keeps it out of both.
    #[arg(long, value_name = "BASE64")]
    secret_base64: Option<Hidden>,
    /// Where the secret is, in base64: env:NAME or file:PATH.
    #[arg(long, value_name = "PLACE")]
    secret: Option<Hidden>,
}

/// The secrets of one client.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(super) struct Secrets {
    /// A secret in base64; once for each. It stays in the shell's history; `--secret` does not.
    #[arg(long, value_name = "BASE64")]
    secret_base64: Vec<Hidden>,
    /// Where a secret is, in base64: env:NAME or file:PATH; once for each.
    #[arg(long, value_name = "PLACE")]
    secret: Vec<Hidden>,
}

impl OneSecret {
    /// The secret's text.
    pub(super) fn text(self, env_file: Option<&Path>) -> Result<SecretText, String> {
        let of = |value: Option<Hidden>| value.into_iter().collect();
        let both = Secrets { secret_base64: of(self.secret_base64), secret: of(self.secret) };
        let text = both.texts(env_file)?.pop();
        text.ok_or_else(|| "give --secret or --secret-base64".to_owned())
    }
}

impl Secrets {
    /// The secrets' texts.
    pub(super) fn texts(self, env_file: Option<&Path>) -> Result<Vec<SecretText>, String> {
        let environment = reload::environment(env_file).map_err(|faults| {
            faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        })?;
        let mut texts: Vec<SecretText> =
            self.secret_base64.into_iter().map(|Hidden(text)| SecretText::new(text)).collect();
        for Hidden(place) in self.secret {
            let place: SecretRef = place.parse().map_err(|error| format!("--secret: {error}"))?;
            let secret = place.resolve(Path::new("."), &environment);
            let secret = secret.map_err(|problem| format!("--secret: {problem}"))?;
            let text = std::str::from_utf8(secret.as_bytes());
            let text = text.map_err(|_| "--secret: the secret is no text, so no base64 either")?;
            texts.push(SecretText::new(text));
        }
        Ok(texts)
    }
}

/// A whole file, or stdin for `-`, up to a number of bytes.
pub(super) fn file(path: &Path, bytes_max: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    // One byte more shows that there is too much.
    let limit = bytes_max as u64 + 1;
    let read = if path == Path::new("-") {
        io::stdin().take(limit).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    let shown = path.display();
    read.map_err(|error| format!("{shown} cannot be read: {error}"))?;
    if bytes.len() > bytes_max {
        return Err(format!("{shown} has more than {bytes_max} bytes"));
    }
    Ok(bytes)
}

/// The body in a file; none when no file is given.
pub(super) fn body(path: Option<&PathBuf>) -> Result<Vec<u8>, String> {
    path.map_or_else(|| Ok(Vec::new()), |path| file(path, BODY_BYTES_MAX))
}

/// A method's name.
pub(super) fn method(text: &str) -> Result<Method, String> {
    Method::from_bytes(text.as_bytes()).map_err(|_| "write a method such as GET or POST".into())
}

/// A path as it stands in a request line.
pub(super) fn path(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        return Err("a path begins with /; write no scheme and no host".into());
    }
    if text.contains(['?', '#']) {
        return Err("write what follows the ? as --query, and no #".into());
    }
    without_controls(text)
}

/// A query as it stands in a request line, behind the `?`.
pub(super) fn query(text: &str) -> Result<String, String> {
    if text.starts_with('?') || text.contains('#') {
        return Err("write the query without its ?, and no #".into());
    }
    without_controls(text)
}

fn without_controls(text: &str) -> Result<String, String> {
    if text.contains(char::is_control) {
        return Err("write control characters percent-encoded, as %0A".into());
    }
    Ok(text.to_owned())
}

/// A timestamp that the gateway takes.
pub(super) fn timestamp(text: &str) -> Result<u64, String> {
    plain_seconds(text).ok_or_else(|| "write seconds since 1970 in plain digits".into())
}

/// A nonce that arrives as it was sent.
pub(super) fn nonce(text: &str) -> Result<String, String> {
    if !is_nonce(text) || text.trim() != text {
        return Err(format!(
            "a nonce has 1 to {NONCE_BYTES_MAX} printable ASCII characters, and no space at its ends"
        ));
    }
    Ok(text.to_owned())
}

/// A client id that a configuration can have.
pub(super) fn client_id(text: &str) -> Result<String, String> {
    check_id(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}
