//! Why does the gateway refuse this signed request, and what should its client do?

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use http::{HeaderName, HeaderValue, Method};
use serde::Serialize;

use super::captured::{CAPTURE_BYTES_MAX, Captured};
use super::given::{self, Secrets};
use crate::auth::explain::{Asked, Explanation, explain, printable_text};
use crate::clock::Now;
use crate::config::scalar::Period;

/// Largest file with a canonical string.
const CANONICAL_BYTES_MAX: usize = 1024 * 1024;

/// A signed request as it arrived; flags win over the capture.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// File with the captured HTTP/1.1 request (request line, fields, blank line, body); `-` for
    /// stdin.
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// The method.
    #[arg(long, value_parser = given::method)]
    method: Option<Method>,
    /// The path as it arrived, without the query.
    #[arg(long, value_parser = given::path)]
    path: Option<String>,
    /// The query as it arrived, without its `?`.
    #[arg(long, value_parser = given::query, allow_hyphen_values = true)]
    query: Option<String>,
    /// The field with the client's id.
    #[arg(long, value_name = "ID", value_parser = field, allow_hyphen_values = true)]
    client_id: Option<HeaderValue>,
    /// The field with the timestamp.
    #[arg(long, value_parser = field, allow_hyphen_values = true)]
    timestamp: Option<HeaderValue>,
    /// The field with the nonce.
    #[arg(long, value_parser = field, allow_hyphen_values = true)]
    nonce: Option<HeaderValue>,
    /// The field with the signature.
    #[arg(long, value_parser = field, allow_hyphen_values = true)]
    signature: Option<HeaderValue>,
    /// File with the body, `-` for stdin.
    #[arg(long, value_name = "FILE")]
    body_file: Option<PathBuf>,
    #[command(flatten)]
    secrets: Secrets,
    /// A file of NAME=VALUE lines in which env:NAME is looked up too.
    #[arg(long, value_name = "PATH")]
    env_file: Option<PathBuf>,
    /// File with the canonical string that the client says it has signed; compared line by line.
    #[arg(long, value_name = "FILE")]
    expected_canonical: Option<PathBuf>,
    /// The time at which the request arrived, in seconds since 1970; now, when left out.
    #[arg(long, value_name = "SECONDS", value_parser = given::timestamp)]
    now: Option<u64>,
    /// How far the clocks may be apart.
    #[arg(long, default_value = "300s", value_parser = Period::from_text_or_zero)]
    skew: Period,
    /// The methods that the route takes.
    #[arg(long, value_delimiter = ',', default_value = "GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS",
          value_parser = given::method)]
    route_methods: Vec<Method>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    /// Prints the signature that would hold, too. Whoever reads it can send this request in the
    /// client's name until its nonce is used or its time is over, so keep it out of tickets.
    #[arg(long)]
    show_expected: bool,
}

/// A field's value, as a client may have sent it.
fn field(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|_| "this cannot stand in a header field".into())
}

/// Prints the explanation; success when the signature holds, failure when it does not.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    super::end(explained(arguments))
}

fn explained(arguments: Arguments) -> Result<(String, ExitCode), String> {
    let captured = captured(&arguments)?;
    let claimed = arguments.expected_canonical.as_ref();
    let claimed = claimed.map(|path| given::file(path, CANONICAL_BYTES_MAX)).transpose()?;
    let claimed = claimed.map(String::from_utf8).transpose();
    let claimed = claimed.map_err(|_| "--expected-canonical: the file is not UTF-8")?;
    let secrets = arguments.secrets.texts(arguments.env_file.as_deref())?;
    let asked = Asked {
        secrets: &secrets,
        methods: &arguments.route_methods,
        skew: arguments.skew.duration(),
        claimed: claimed.as_deref(),
    };
    let now = Now::read();
    let now = match arguments.now {
        Some(seconds) => at(seconds, now).ok_or("--now: no clock goes so far")?,
        None => now,
    };
    let explained = explain(&captured.parts()?, &captured.body, &asked, now);
    let mut explained = explained.map_err(|error| error.to_string())?;
    explained.notes.splice(0..0, captured.notes);
    if explained.answer.code == Some("skew") && arguments.now.is_none() {
        let note =
            "the timestamp was compared with this moment; give --now when it arrived earlier";
        explained.notes.push(note.to_owned());
    }
    let code = if explained.holds { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    let expected = Expected::of(&explained).filter(|_| arguments.show_expected);
    let text = if arguments.json {
        let report = Report { explained: &explained, expected_signature: expected };
        serde_json::to_string(&report).map_err(|error| error.to_string())?
    } else {
        text(&explained, expected.as_ref())
    };
    Ok((text, code))
}

fn at(seconds: u64, now: Now) -> Option<Now> {
    let wall = UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    Some(Now { wall, ..now })
}

/// The capture, if there is one, with what the flags say over it.
fn captured(arguments: &Arguments) -> Result<Captured, String> {
    let mut captured = match &arguments.request {
        Some(path) => Captured::read(&given::file(path, CAPTURE_BYTES_MAX)?)?,
        None => Captured::default(),
    };
    // Without a capture the id is not asked for: the secrets are the client's, whoever it is.
    let unnamed = arguments.request.is_none().then(|| HeaderValue::from_static("client"));
    let fields = [
        (["x-nc-client-id", "x-client-id"], arguments.client_id.clone().or(unnamed)),
        (["x-nc-timestamp", "x-timestamp"], arguments.timestamp.clone()),
        (["x-nc-nonce", "x-nonce"], arguments.nonce.clone()),
        (["x-nc-signature", "x-signature"], arguments.signature.clone()),
    ];
    for (names, value) in fields {
        let Some(value) = value else { continue };
        let [first, alias] = names.map(HeaderName::from_static);
        captured.headers.remove(alias);
        captured.headers.insert(first, value);
    }
    captured.method = arguments.method.clone().or(captured.method);
    captured.path = arguments.path.clone().or(captured.path);
    captured.query = arguments.query.clone().or(captured.query);
    if arguments.body_file.is_some() {
        captured.body = given::body(arguments.body_file.as_ref())?;
    }
    Ok(captured)
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    explained: &'a Explanation,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_signature: Option<Expected>,
}

#[derive(Serialize)]
struct Expected {
    hex: String,
    base64: String,
}

impl Expected {
    fn of(explained: &Explanation) -> Option<Self> {
        let bytes = explained.expected.as_ref()?.bytes();
        Some(Self { hex: hex::encode(bytes), base64: STANDARD.encode(bytes) })
    }
}

/// The explanation for a person.
fn text(explained: &Explanation, expected: Option<&Expected>) -> String {
    let mut text = format!("{}\n", explained.verdict);
    let answer = &explained.answer;
    let answer = match (answer.status, answer.code, &answer.reason) {
        (Some(status), Some(code), Some(reason)) => format!("{status} {code} ({reason})"),
        _ => "lets it in".to_owned(),
    };
    line(&mut text, &format!("\nThe gateway's answer: {answer}"));
    line(&mut text, "\nThe canonical string of the gateway, each line feed shown as \\n:");
    let mut lines = explained.canonical.split('\n').peekable();
    while let Some(shown) = lines.next() {
        let end = if lines.peek().is_some() { "\\n" } else { "" };
        line(&mut text, &format!("  {}{end}", printable_text(shown)));
    }
    if !explained.lines.is_empty() {
        line(&mut text, "\nLine by line, the client's above the gateway's where they differ:");
    }
    for compared in &explained.lines {
        let (name, signed) = (compared.line, printable_text(&compared.signed));
        if compared.same {
            line(&mut text, &format!("  = {name:<9}  {signed}"));
        } else {
            line(&mut text, &format!("  - {name:<9}  {signed}"));
            let received = printable_text(&compared.received);
            line(&mut text, &format!("  + {:<9}  {received}", ""));
        }
    }
    list(&mut text, "\nIn the client:", &explained.advice);
    list(&mut text, "\nNote:", &explained.notes);
    if let Some(Expected { hex, base64 }) = expected {
        line(&mut text, &format!("\nThe signature that would hold:\n  {hex}\n  {base64}"));
    }
    text.truncate(text.trim_end().len());
    text
}

fn list(text: &mut String, title: &str, items: &[String]) {
    if !items.is_empty() {
        line(text, title);
    }
    for item in items {
        line(text, &format!("  * {item}"));
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a text never fails.
    let _never_fails = writeln!(text, "{line}");
}
