//! What is measured?
//!
//! Each row is one kind of request. The servers of a row answer the same request with the same
//! body; where one of them does less for it, the row says so.

use crate::origin::Payload;
use crate::peer::{Kind, Peer};
use crate::program::Named;

/// One kind of request and who answers it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Its name on the command line and in the results.
    pub(crate) name: &'static str,
    /// What it is, for people.
    pub(crate) title: &'static str,
    /// The first segment of the path: a route of each server's configuration.
    pub(crate) route: &'static str,
    /// The body.
    pub(crate) payload: Payload,
    /// What the client shows.
    pub(crate) credential: Credential,
    /// Whether the client has the answer already and asks for changes.
    pub(crate) conditional: bool,
    /// Whether the origin must not be asked.
    pub(crate) cached: bool,
    /// Who answers, in the order of a round; the gateway is first.
    pub(crate) peers: &'static [Peer],
    /// Where the servers do not do the same work.
    pub(crate) note: &'static str,
}

impl Named for Row {
    fn name(&self) -> &'static str {
        self.name
    }

    fn title(&self) -> &'static str {
        self.title
    }
}

/// What the client shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// Nothing.
    Nothing,
    /// A bearer token.
    Jwt,
    /// An API key.
    ApiKey,
}

const FARMGATE: Peer = Peer { kind: Kind::Farmgate, logs: true };
const NGINX: Peer = Peer { kind: Kind::Nginx, logs: true };
const CADDY: Peer = Peer { kind: Kind::Caddy, logs: true };
const QUIET: [Peer; 2] =
    [Peer { kind: Kind::Farmgate, logs: false }, Peer { kind: Kind::Nginx, logs: false }];

const HIT: Row = Row {
    name: "hit",
    title: "warm hit, 220 B",
    route: "hit",
    payload: Payload::Current,
    credential: Credential::Nothing,
    conditional: false,
    cached: true,
    peers: &[FARMGATE, NGINX],
    note: "",
};

const PROXY: Row = Row {
    name: "proxy",
    title: "uncached, 220 B",
    route: "plain",
    cached: false,
    peers: &[FARMGATE, NGINX, CADDY],
    note: "Caddy is here only: Debian's build has no cache.",
    ..HIT
};

/// All rows, in the order in which they are measured.
pub(crate) const ROWS: [Row; 8] = [
    HIT,
    Row { name: "hit-4k", title: "warm hit, 4 KiB", payload: Payload::Hourly, ..HIT },
    Row {
        name: "hit-quiet",
        title: "warm hit, 220 B, no access log",
        peers: &QUIET,
        note: "`RUST_LOG=warn` and `access_log off`.",
        ..HIT
    },
    Row {
        name: "hit-jwt",
        title: "warm hit, 220 B, JWT",
        route: "jwt",
        credential: Credential::Jwt,
        note: "farmgate verifies the token and charges an exact quota; nginx cannot verify it and \
               only limits by it.",
        ..HIT
    },
    Row {
        name: "hit-key",
        title: "warm hit, 220 B, API key",
        route: "key",
        credential: Credential::ApiKey,
        note: "farmgate looks the key up by its SHA-256 and charges an exact quota; nginx compares \
               plain text and limits by it.",
        ..HIT
    },
    Row {
        name: "hit-304",
        title: "warm hit, If-None-Match, 304",
        conditional: true,
        note: "the bodies are left at the client.",
        ..HIT
    },
    PROXY,
    Row { name: "proxy-4k", title: "uncached, 4 KiB", payload: Payload::Hourly, ..PROXY },
];

impl Row {
    /// The path that is asked for.
    pub(crate) fn path(&self) -> String {
        format!("/{}/{}", self.route, self.payload.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_have_names_of_their_own() {
        let names: BTreeSet<_> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ROWS.len());
    }

    #[test]
    fn each_row_measures_the_gateway_first_and_a_peer() {
        for row in ROWS {
            let kinds: Vec<_> = row.peers.iter().map(|peer| peer.kind).collect();
            assert!(matches!(kinds.as_slice(), [Kind::Farmgate, _, ..]), "{}", row.name);
            assert!(!(row.cached && kinds.contains(&Kind::Caddy)), "{}", row.name);
        }
    }
}
