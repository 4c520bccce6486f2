//! Which loopback port a program under test may listen on.
//!
//! The gateway cannot be told "any port" and report the one it got, so the bench chooses a free
//! one first. Between the choice and the program's own bind the port is unguarded; the bench
//! therefore holds the UDP port of the same number, which every other user of this module then
//! avoids, and starts the program again when somebody else was faster.

use std::net::{SocketAddr, TcpListener, UdpSocket};

const TRIES_MAX: usize = 100;

/// A TCP port of 127.0.0.1 that no other reservation on this machine holds.
#[derive(Debug)]
pub struct Reservation {
    address: SocketAddr,
    _marker: UdpSocket,
}

impl Reservation {
    /// Reserves a port that is free now.
    ///
    /// # Panics
    /// When a hundred tries found none.
    pub fn new() -> Self {
        (0..TRIES_MAX)
            .find_map(|_| Self::find())
            .unwrap_or_else(|| panic!("no free port on 127.0.0.1 in {TRIES_MAX} tries"))
    }

    /// The address to listen on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn find() -> Option<Self> {
        let (listener, marker) = unreserved()?;
        let address = listener.local_addr().ok()?;
        Some(Self { address, _marker: marker })
    }
}

/// A listener on a port of 127.0.0.1 that nobody has reserved. Whoever listens on the port of a
/// program that is about to start would be taken for that program.
///
/// # Panics
/// When a hundred tries found none.
pub(crate) fn listener() -> TcpListener {
    let found = (0..TRIES_MAX).find_map(|_| unreserved());
    found.unwrap_or_else(|| panic!("no free port on 127.0.0.1 in {TRIES_MAX} tries")).0
}

fn unreserved() -> Option<(TcpListener, UdpSocket)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).ok()?;
    let marker = UdpSocket::bind(listener.local_addr().ok()?).ok()?;
    Some((listener, marker))
}

impl Default for Reservation {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_port_is_left_alone() {
        let address = listener().local_addr().unwrap();
        assert!(TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok());
        let _marker = UdpSocket::bind(address).unwrap();
        let ports: Vec<_> = (0..50).map(|_| listener().local_addr().unwrap().port()).collect();
        assert!(!ports.contains(&address.port()), "{address} was given away");
    }

    #[test]
    fn reserved_ports_differ_and_can_be_bound() {
        let reservations: Vec<_> = (0..50).map(|_| Reservation::new()).collect();
        let mut ports: Vec<_> = reservations.iter().map(|one| one.address().port()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 50);
        assert!(TcpListener::bind(reservations[0].address()).is_ok());
    }
}
