//! Which ports does the demo use, and does it stay up?

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::Parser;

/// Starts everything on loopback, shows what the gateway does, and stays up until Ctrl-C.
#[derive(Clone, Debug, Parser)]
#[command(name = "demo")]
pub(crate) struct Options {
    /// End after the story: with 0 when every line of it held, else with 1.
    #[arg(long)]
    pub(crate) once: bool,
    /// The ports.
    #[command(flatten)]
    pub(crate) ports: Ports,
}

/// One port a listener, all on 127.0.0.1.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Ports on 127.0.0.1")]
pub(crate) struct Ports {
    /// Where the gateway takes clients.
    #[arg(long, value_name = "PORT", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) gateway: u16,
    /// The gateway's metrics and health.
    #[arg(long, value_name = "PORT", default_value_t = 9180, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) admin: u16,
    /// The weather service.
    #[arg(long, value_name = "PORT", default_value_t = 8090, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) weather: u16,
    /// The NDVI service.
    #[arg(long, value_name = "PORT", default_value_t = 8081, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) ndvi: u16,
    /// The recorded providers.
    #[arg(long, value_name = "PORT", default_value_t = 8070, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) replay: u16,
}

impl Ports {
    /// All ports with the names of their flags.
    pub(crate) fn named(&self) -> [(&'static str, u16); 5] {
        [
            ("gateway", self.gateway),
            ("admin", self.admin),
            ("weather", self.weather),
            ("ndvi", self.ndvi),
            ("replay", self.replay),
        ]
    }
}

/// A port of 127.0.0.1.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn ports_are_those_of_the_readme_unless_given() {
        let options = Options::try_parse_from(["demo"]).unwrap();
        let ports = options.ports.named().map(|(_, port)| port);
        assert_eq!(ports, [8080, 9180, 8090, 8081, 8070]);
        assert!(!options.once);
        let options = Options::try_parse_from(["demo", "--once", "--admin", "19180"]).unwrap();
        assert_eq!(options.ports.admin, 19180);
        assert!(options.once);
    }

    #[test]
    fn port_zero_is_refused() {
        assert!(Options::try_parse_from(["demo", "--gateway", "0"]).is_err());
    }
}
