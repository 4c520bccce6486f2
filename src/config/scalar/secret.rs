//! Where does a secret come from, without ever showing it?

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{ScalarError, read_from_text};
use crate::config::environment::{Environment, is_variable_name};

/// The place of a secret: `env:NAME` or `file:PATH`. The secret itself never stands in the file.
///
/// `Debug` shows only the kind, for a secret may have been written where its name belongs.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretRef(Source);

#[derive(Clone, PartialEq, Eq)]
enum Source {
    Env(String),
    File(PathBuf),
}

impl SecretRef {
    /// Fetches the secret. A relative path starts at `base_dir`. One newline at the end of a file
    /// is not part of the secret.
    ///
    /// # Errors
    /// What is wrong with the place and how to mend it: nothing is there, it is empty, it cannot be
    /// read, or it holds more than 64 KiB.
    pub fn resolve(&self, base_dir: &Path, environment: &Environment) -> Result<Secret, String> {
        let (place, bytes) = match &self.0 {
            Source::Env(name) => {
                let place = format!("the environment variable {name}");
                let Some(value) = environment.get(name) else {
                    return Err(format!("{place} is not set; set it to the secret"));
                };
                (place, value.as_bytes().to_vec())
            }
            Source::File(path) => {
                let path = base_dir.join(path);
                let place = format!("the file {}", path.display());
                match read_file(&path) {
                    Ok(bytes) => (place, bytes),
                    Err(error) => {
                        return Err(format!(
                            "{place} cannot be read: {error}; put the secret there and make it \
                             readable"
                        ));
                    }
                }
            }
        };
        if bytes.len() > SECRET_BYTES_MAX {
            return Err(format!("{place} has more than {SECRET_BYTES_MAX} bytes; shorten it"));
        }
        if bytes.is_empty() {
            return Err(format!("{place} is empty; put the secret there"));
        }
        Ok(Secret(bytes))
    }
}

/// The bytes of a file without one newline at the end, and at most one more than a secret may have.
fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Room for the longest secret, a newline of two bytes, and one byte that shows it is too long.
    File::open(path)?.take(SECRET_BYTES_MAX as u64 + 3).read_to_end(&mut bytes)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Ok(bytes)
}

impl FromStr for SecretRef {
    type Err = ScalarError;

    /// The error never repeats the text, which may be a secret.
    fn from_str(text: &str) -> Result<Self, ScalarError> {
        match text.split_once(':') {
            Some(("env", name)) if is_variable_name(name) => Ok(Self(Source::Env(name.to_owned()))),
            Some(("env", _)) => Err(ScalarError::new(
                "what follows env: is not the name of a variable; write letters, digits and _, such \
                 as env:JWT_SECRET",
            )),
            Some(("file", "")) => {
                Err(ScalarError::new("no path follows file:; write one, such as file:jwt.secret"))
            }
            Some(("file", path)) => Ok(Self(Source::File(path.into()))),
            _ => Err(ScalarError::new(
                "a secret cannot stand in this file; write env:NAME or file:PATH to say where it is",
            )),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Env(_) => "SecretRef(env:..)",
            Source::File(_) => "SecretRef(file:..)",
        })
    }
}

read_from_text! {
    SecretRef: "env:NAME",
}

/// The bytes of a secret; never empty, never shown.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The secret itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The longest secret.
const SECRET_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn from_env(text: &str, value: Option<&str>) -> Result<Secret, String> {
        let secret: SecretRef = text.parse().unwrap();
        let environment = value.map(|value| ("KEY", value)).into_iter().collect();
        secret.resolve(Path::new("."), &environment)
    }

    /// A folder of the test's own, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("farmgate-secret-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn resolve(&self, content: &[u8]) -> Result<Secret, String> {
            std::fs::write(self.0.join("secret"), content).unwrap();
            "file:secret".parse::<SecretRef>().unwrap().resolve(&self.0, &Environment::default())
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn a_secret_comes_from_the_environment() {
        assert_eq!(from_env("env:KEY", Some("hunter2")).unwrap().as_bytes(), b"hunter2");
        let unset = from_env("env:KEY", None).unwrap_err();
        assert_eq!(unset, "the environment variable KEY is not set; set it to the secret");
        assert!(from_env("env:KEY", Some("")).unwrap_err().contains("KEY is empty"));
    }

    #[test]
    fn a_secret_comes_from_a_file_beside_the_config() {
        let folder = Folder::new("file");
        assert_eq!(folder.resolve(b"hunter2").unwrap().as_bytes(), b"hunter2");
        assert_eq!(folder.resolve(b"hunter2\n").unwrap().as_bytes(), b"hunter2");
        assert_eq!(folder.resolve(b"hunter2\r\n").unwrap().as_bytes(), b"hunter2");
        assert_eq!(folder.resolve(b"hunter2\n\n").unwrap().as_bytes(), b"hunter2\n");
    }

    #[test]
    fn an_empty_missing_or_huge_file_is_refused() {
        let folder = Folder::new("bad");
        assert!(folder.resolve(b"\n").unwrap_err().contains("is empty; put the secret there"));
        let longest = vec![b'x'; SECRET_BYTES_MAX];
        assert!(folder.resolve(&longest).is_ok());
        assert!(folder.resolve(&[&longest[..], b"\r\n"].concat()).is_ok());
        assert!(folder.resolve(&[&longest[..], b"x"].concat()).unwrap_err().contains("more than"));
        let missing: SecretRef = "file:nowhere".parse().unwrap();
        assert!(
            missing
                .resolve(&folder.0, &Environment::default())
                .unwrap_err()
                .contains("nowhere cannot be read")
        );
    }

    #[test]
    fn debug_output_shows_neither_secret_nor_place() {
        let secret = from_env("env:KEY", Some("hunter2")).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        let place: SecretRef = "file:/run/hunter2".parse().unwrap();
        assert_eq!(format!("{place:?}"), "SecretRef(file:..)");
    }

    #[test]
    fn a_refused_secret_is_never_repeated() {
        for text in ["hunter2", "env:hunter2!", "ENV:hunter2", "vault:hunter2", "file:", ""] {
            let problem = text.parse::<SecretRef>().unwrap_err().to_string();
            assert!(!problem.contains("hunter2"), "{problem}");
            assert!(problem.contains("write "), "{problem}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_secret_ref_panic_or_shows_up(text in "[!-~]{12,30}") {
            if let Err(error) = text.parse::<SecretRef>() {
                prop_assert!(!error.to_string().contains(&text));
            }
        }
    }
}
