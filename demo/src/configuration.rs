//! Which files does the gateway of the demo read, and what stands in them?
//!
//! Everything lies below `target/demo`, made anew by each run.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::credentials::Credentials;
use crate::error::DemoError;
use crate::options::{Ports, loopback};

/// Where everything lies that a run of the demo writes.
pub(crate) const DIRECTORY: &str = "target/demo";

/// The gateway's configuration file.
pub(crate) const GATEWAY_FILE: &str = "target/demo/conf/gateway.yaml";

/// The credentials for the reader's own requests.
pub(crate) const CREDENTIALS_FILE: &str = "target/demo/credentials.env";

/// A file below [`DIRECTORY`] with names in braces that are filled in.
struct Template {
    name: &'static str,
    text: &'static str,
}

const TEMPLATES: [Template; 3] = [
    Template { name: "conf/gateway.yaml", text: include_str!("../conf/gateway.yaml") },
    Template {
        name: "upstreams/weather.yaml",
        text: include_str!("../conf/upstreams/weather.yaml"),
    },
    Template { name: "upstreams/ndvi.yaml", text: include_str!("../conf/upstreams/ndvi.yaml") },
];

/// Three mistakes an operator could make: what stands in the configuration, and what is made of it.
const MISTAKES: [(&str, &str); 3] = [
    ("drain_timeout: 1s", "drain_timout: 1s"),
    ("error_for: 2s", "error_for: 2 seconds"),
    ("quotas: [user]", "quotas: [usr]"),
];

/// The files of one run.
pub(crate) struct Files {
    gateway: String,
}

impl Files {
    /// Removes what an earlier run left and writes all files of this one.
    ///
    /// # Errors
    /// When a file cannot be written or a template is broken.
    pub(crate) fn write(ports: &Ports, credentials: &Credentials) -> Result<Self, DemoError> {
        let directory = Path::new(DIRECTORY);
        if directory.exists() {
            fs::remove_dir_all(directory).map_err(|source| file_error(directory, source))?;
        }
        let values = values(ports, credentials);
        let mut gateway = String::new();
        for template in TEMPLATES {
            let filled = fill(&template, &values)?;
            write_file(&directory.join(template.name), &filled)?;
            if gateway.is_empty() {
                gateway = filled;
            }
        }
        let secrets = directory.join("conf/secrets");
        write_file(&secrets.join("jwt"), &credentials.jwt_secret)?;
        write_file(&secrets.join("hmac"), &credentials.hmac.secret_base64())?;
        write_file(Path::new(CREDENTIALS_FILE), &credentials.environment(ports))?;
        Ok(Self { gateway })
    }

    /// Puts mistakes into the gateway's configuration; how many.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn break_gateway(&self) -> Result<usize, DemoError> {
        let broken = MISTAKES
            .iter()
            .fold(self.gateway.clone(), |text, (right, wrong)| text.replacen(right, wrong, 1));
        write_file(Path::new(GATEWAY_FILE), &broken)?;
        Ok(MISTAKES.len())
    }

    /// Puts the gateway's configuration back as it was.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn mend_gateway(&self) -> Result<(), DemoError> {
        write_file(Path::new(GATEWAY_FILE), &self.gateway)
    }
}

fn values(ports: &Ports, credentials: &Credentials) -> [(&'static str, String); 6] {
    let gateway = loopback(ports.gateway);
    [
        ("gateway", gateway.to_string()),
        ("prewarm_host", gateway.ip().to_string()),
        ("admin", loopback(ports.admin).to_string()),
        ("weather", loopback(ports.weather).to_string()),
        ("ndvi", loopback(ports.ndvi).to_string()),
        ("api_key_sha256", credentials.api_key_sha256()),
    ]
}

/// Fills `{name}` by its value wherever it stands in quotes; comments may speak of braces.
fn fill(template: &Template, values: &[(&str, String)]) -> Result<String, DemoError> {
    let filled = values.iter().fold(template.text.to_owned(), |text, (name, value)| {
        text.replace(&format!("\"{{{name}}}\""), &format!("\"{value}\""))
    });
    match filled.split_once("\"{").and_then(|(_, rest)| rest.split_once('}')) {
        Some((name, _)) => {
            Err(DemoError::Placeholder { template: template.name, name: name.to_owned() })
        }
        None => Ok(filled),
    }
}

/// Writes a file that only its owner may read, replacing an older one in one step.
fn write_file(path: &Path, contents: &str) -> Result<(), DemoError> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".draft");
    let draft = PathBuf::from(draft);
    let write = || {
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(&draft)?.write_all(contents.as_bytes())?;
        fs::rename(&draft, path)
    };
    write().map_err(|source| file_error(path, source))
}

fn file_error(path: &Path, source: std::io::Error) -> DemoError {
    DemoError::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
    use super::*;

    const PORTS: Ports = Ports { gateway: 8080, admin: 9180, weather: 8090, ndvi: 8081, replay: 1 };

    #[test]
    fn every_template_is_filled_completely() {
        let values = values(&PORTS, &Credentials::generate());
        let filled: Vec<_> = TEMPLATES.iter().map(|one| fill(one, &values).unwrap()).collect();
        assert!(filled[0].contains("address: \"127.0.0.1:9180\""));
        assert!(filled[1].contains("address: \"127.0.0.1:8090\""));
        assert!(filled.iter().all(|text| !text.contains("\"{")));
    }

    #[test]
    fn unknown_placeholder_is_named() {
        let template = Template { name: "x.yaml", text: "a: \"{gateway}\"\nb: \"{gatway}\"\n" };
        let error = fill(&template, &values(&PORTS, &Credentials::generate())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "demo/conf/x.yaml has the placeholder {gatway}, which the demo does not know"
        );
    }

    #[test]
    fn every_mistake_finds_what_it_spoils() {
        for (right, wrong) in MISTAKES {
            assert!(TEMPLATES[0].text.contains(right), "{right}");
            assert!(!TEMPLATES[0].text.contains(wrong), "{wrong}");
        }
    }

    #[test]
    fn story_tells_the_figures_of_the_template() {
        use crate::story::{BRIEF_FRESH, QUOTA_REQUESTS};
        let text = TEMPLATES[0].text;
        assert!(text.contains(&format!("user: {QUOTA_REQUESTS}/min")));
        assert!(text.contains(&format!("fresh: {}s", BRIEF_FRESH.as_secs())));
    }
}
