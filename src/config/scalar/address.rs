//! Which address, which peer, which network?

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;

use super::request::is_host_name;
use super::{ScalarError, read_from_text};
use crate::config::fault::quoted;

/// An address to listen on, `ip:port`; port 0 takes a free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenAddress(SocketAddr);

impl ListenAddress {
    /// The address as the standard library has it.
    #[must_use]
    pub const fn socket_address(self) -> SocketAddr {
        self.0
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ListenAddress {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, ScalarError> {
        text.parse().map(Self).map_err(|_| {
            let port = text.trim_start_matches([':', '*']);
            let example = match port.parse::<u16>() {
                Ok(port) => format!("127.0.0.1:{port} or 0.0.0.0:{port}"),
                Err(_) => "an address such as 127.0.0.1:8080 or [::1]:8080".to_owned(),
            };
            ScalarError::new(format!("{} is not ip:port; write {example}", quoted(text)))
        })
    }
}

/// The address of an upstream's peer: `ip:port`, or `host:port` for a name to be resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerAddress {
    host: String,
    port: u16,
}

impl PeerAddress {
    /// The name in lower case, or the IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; never 0.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The address, unless the host is a name that is yet to be resolved.
    #[must_use]
    pub fn socket_address(&self) -> Option<SocketAddr> {
        self.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, self.port))
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.socket_address() {
            Some(address) => address.fmt(f),
            None => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for PeerAddress {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, ScalarError> {
        let split = match text.parse::<SocketAddr>() {
            Ok(address) => Some((address.ip().to_string(), address.port())),
            Err(_) => text
                .rsplit_once(':')
                .filter(|(host, port)| is_host_name(host) && port.starts_with(is_digit))
                .and_then(|(host, port)| Some((host.to_ascii_lowercase(), port.parse().ok()?))),
        };
        match split {
            Some((host, port)) if port > 0 => Ok(Self { host, port }),
            _ => {
                let what = if text.contains("://") { ", without a scheme" } else { "" };
                Err(ScalarError::new(format!(
                    "{} is not host:port; write an address such as 10.0.0.3:8090 or \
                     weather.internal:8090{what}",
                    quoted(text)
                )))
            }
        }
    }
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// A network in CIDR notation, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpNet);

impl Network {
    /// Whether an address lies in the network. An IPv4 address that came in as IPv6
    /// (`::ffff:10.0.0.3`) counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// The network as `ipnet` has it.
    #[must_use]
    pub const fn ip_net(self) -> IpNet {
        self.0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Network {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, ScalarError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(address.into()));
        }
        match text.parse::<IpNet>() {
            Ok(network) if network == network.trunc() => Ok(Self(network)),
            Ok(network) => Err(ScalarError::new(format!(
                "{} has bits beyond its prefix; write {} for the network, or {} for the one address",
                quoted(text),
                network.trunc(),
                network.addr()
            ))),
            Err(_) => Err(ScalarError::new(format!(
                "{} is not a network; write one such as 10.0.0.0/8, or one address such as 10.0.0.3",
                quoted(text)
            ))),
        }
    }
}

read_from_text! {
    ListenAddress: "127.0.0.1:8080",
    PeerAddress: "127.0.0.1:8090",
    Network: "127.0.0.1",
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn problem<T: FromStr<Err = ScalarError> + fmt::Debug>(text: &str) -> String {
        text.parse::<T>().unwrap_err().to_string()
    }

    #[test]
    fn a_listen_address_is_ip_and_port() {
        for text in ["127.0.0.1:8080", "0.0.0.0:0", "[::1]:443"] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn a_bad_listen_address_is_told_a_good_one() {
        assert_eq!(
            problem::<ListenAddress>("10.0.0.300:80"),
            "\"10.0.0.300:80\" is not ip:port; write an address such as 127.0.0.1:8080 or \
             [::1]:8080"
        );
        for text in ["8080", ":8080", "*:8080"] {
            assert!(
                problem::<ListenAddress>(text).contains("write 127.0.0.1:8080 or 0.0.0.0:8080")
            );
        }
        assert!(problem::<ListenAddress>("localhost:8080").contains("is not ip:port"));
    }

    #[test]
    fn a_peer_is_a_name_or_an_address_with_a_port() {
        let named: PeerAddress = "Weather.Internal:8090".parse().unwrap();
        assert_eq!((named.host(), named.port()), ("weather.internal", 8090));
        assert_eq!(named.socket_address(), None);
        let numbered: PeerAddress = "[::1]:8090".parse().unwrap();
        assert_eq!((numbered.host(), numbered.port()), ("::1", 8090));
        assert_eq!(numbered.to_string(), "[::1]:8090");
        assert_eq!(numbered.socket_address(), "[::1]:8090".parse().ok());
    }

    #[test]
    fn a_bad_peer_address_is_refused() {
        let bad = [
            "10.0.0.300:80",
            "weather",
            "weather:",
            "weather:0",
            "weather:+80",
            "weather:65536",
            ":80",
            "a b:80",
            "::1:80",
            "1.2.3:80",
        ];
        for text in bad {
            assert!(problem::<PeerAddress>(text).contains("is not host:port; write"), "{text}");
        }
        assert!(problem::<PeerAddress>("http://weather:80").ends_with("without a scheme"));
    }

    #[test]
    fn a_network_holds_its_addresses() {
        let network: Network = "10.0.0.0/8".parse().unwrap();
        assert!(network.contains("10.1.2.3".parse().unwrap()));
        assert!(network.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!network.contains("11.0.0.0".parse().unwrap()));
        let one: Network = "10.0.0.3".parse().unwrap();
        assert_eq!(one.to_string(), "10.0.0.3/32");
        assert!("fd00::/8".parse::<Network>().is_ok());
    }

    #[test]
    fn a_network_with_host_bits_is_told_both_readings() {
        assert_eq!(
            problem::<Network>("10.0.0.1/8"),
            "\"10.0.0.1/8\" has bits beyond its prefix; write 10.0.0.0/8 for the network, or \
             10.0.0.1 for the one address"
        );
        assert!(problem::<Network>("10.0.0.0/33").contains("is not a network"));
    }

    proptest! {
        #[test]
        fn a_peer_address_reads_back_as_written(text in "[a-z0-9.:-]{1,12}:[0-9]{1,5}") {
            if let Ok(address) = text.parse::<PeerAddress>() {
                prop_assert_eq!(address.to_string().parse::<PeerAddress>(), Ok(address));
            }
        }
    }
}
