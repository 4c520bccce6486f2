//! What can be asked about the cache?

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

/// What is asked of the cache of the gateway that runs.
#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Lists what is used most, or is largest.
    Top(TopArguments),
    /// Shows what is kept for a URL.
    Show(UrlArguments),
    /// Says why the last requests for a URL had to be fetched.
    Why(UrlArguments),
    /// Makes what is kept hold no more, on all gateways that share a Redis.
    Purge(PurgeArguments),
    /// Fetches URLs now, as anybody would be answered.
    Warm(WarmArguments),
}

/// `cache top`.
#[derive(Debug, Args)]
pub struct TopArguments {
    /// By what they are ordered.
    #[arg(long, value_enum, default_value = "hits")]
    by: By,
    /// How many.
    #[arg(short, default_value_t = 20)]
    n: usize,
    #[command(flatten)]
    form: Form,
}

/// An order of what is kept.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    /// Requests that it answered.
    Hits,
    /// Bytes that it costs.
    Bytes,
}

/// `cache show` and `cache why`.
#[derive(Debug, Args)]
pub struct UrlArguments {
    /// A URL as https://host/path?query, or a path with --host.
    url: String,
    /// The host of a path.
    #[arg(long)]
    host: Option<String>,
    #[command(flatten)]
    form: Form,
}

/// `cache purge`.
#[derive(Debug, Args)]
pub struct PurgeArguments {
    #[command(flatten)]
    what: What,
    /// The host of a path, or the only one whose paths a prefix means.
    #[arg(long)]
    host: Option<String>,
    /// It counts as stale from now on, in place of being used no more.
    #[arg(long)]
    soft: bool,
    /// Fetches anew what was asked for most of it.
    #[arg(long)]
    refill: bool,
    #[command(flatten)]
    form: Form,
}

/// What is purged.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// A URL; without a query every query of it, with an empty one (`/path?`) the one without.
    #[arg(long)]
    url: Option<String>,
    /// Every path that begins so, of all hosts unless one is named.
    #[arg(long)]
    prefix: Option<String>,
    /// Every answer with this tag (`Surrogate-Key` or `Cache-Tag`).
    #[arg(long)]
    tag: Option<String>,
    /// Every answer of this route.
    #[arg(long)]
    route: Option<String>,
    /// Everything.
    #[arg(long)]
    all: bool,
}

/// `cache warm`.
#[derive(Debug, Args)]
pub struct WarmArguments {
    /// URLs as https://host/path?query, or paths with --host.
    #[arg(required = true)]
    urls: Vec<String>,
    /// The host of the paths.
    #[arg(long)]
    host: Option<String>,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, Args)]
struct Form {
    /// Prints what the gateway answered, for programs.
    #[arg(long)]
    json: bool,
}

impl CacheCommand {
    /// The path with its query, and the body of what is posted.
    pub(super) fn request(&self) -> (String, Option<Value>) {
        match self {
            Self::Top(TopArguments { by, n, .. }) => {
                let by = match by {
                    By::Hits => "hits",
                    By::Bytes => "bytes",
                };
                (format!("/cache/top?by={by}&n={n}"), None)
            }
            Self::Show(arguments) => (format!("/cache/show?{}", arguments.query()), None),
            Self::Why(arguments) => (format!("/cache/why?{}", arguments.query()), None),
            Self::Purge(PurgeArguments { what, host, soft, refill, .. }) => {
                let What { url, prefix, tag, route, all } = what;
                let body = json!({
                    "url": url, "prefix": prefix, "tag": tag, "route": route, "all": all,
                    "host": host, "soft": soft, "refill": refill,
                });
                ("/cache/purge".to_owned(), Some(body))
            }
            Self::Warm(WarmArguments { urls, host, .. }) => {
                ("/cache/warm".to_owned(), Some(json!({"urls": urls, "host": host})))
            }
        }
    }

    /// Whether a program reads what is printed.
    pub(super) fn wants_json(&self) -> bool {
        match self {
            Self::Top(TopArguments { form, .. })
            | Self::Show(UrlArguments { form, .. })
            | Self::Why(UrlArguments { form, .. })
            | Self::Purge(PurgeArguments { form, .. })
            | Self::Warm(WarmArguments { form, .. }) => form.json,
        }
    }
}

impl UrlArguments {
    fn query(&self) -> String {
        let mut query = Serializer::new(String::new());
        query.append_pair("url", &self.url);
        if let Some(host) = &self.host {
            query.append_pair("host", host);
        }
        query.finish()
    }
}
