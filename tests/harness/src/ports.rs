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
        let listener = TcpListener::bind(("127.0.0.1", 0)).ok()?;
        let address = listener.local_addr().ok()?;
        let marker = UdpSocket::bind(address).ok()?;
        Some(Self { address, _marker: marker })
    }
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
    fn reserved_ports_differ_and_can_be_bound() {
        let reservations: Vec<_> = (0..50).map(|_| Reservation::new()).collect();
        let mut ports: Vec<_> = reservations.iter().map(|one| one.address().port()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 50);
        assert!(TcpListener::bind(reservations[0].address()).is_ok());
    }
}
