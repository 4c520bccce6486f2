//! Are the ports free, and if not, who holds them?

use std::fs;
use std::net::TcpListener;

use crate::error::DemoError;
use crate::options::{Ports, loopback};

/// The state of a listening socket in `/proc/net/tcp`.
const LISTENING: &str = "0A";

/// What is added to a port to suggest another one.
const SUGGESTED_OFFSET: u16 = 10_000;

/// Checks that every port can be listened on now.
///
/// # Errors
/// All ports that are taken, each with its holder where the system tells, and how to choose others.
pub(crate) fn check_free(ports: &Ports) -> Result<(), DemoError> {
    let named = ports.named();
    for (index, (second, port)) in named.iter().enumerate() {
        if let Some((first, _)) = named.iter().take(index).find(|(_, other)| other == port) {
            return Err(DemoError::PortGivenTwice { port: *port, first, second });
        }
    }
    let (mut taken, mut flags) = (Vec::new(), Vec::new());
    for (name, port) in named {
        if let Err(error) = TcpListener::bind(loopback(port)) {
            let holder = holder_of(port)
                .map_or(format!("{error}, and the system does not tell by whom"), |holder| {
                    format!("by {holder}")
                });
            taken.push(format!("Port {port} ({name}) is taken: {holder}."));
            flags.push(format!("--{name} {}", other_port(port)));
        }
    }
    if taken.is_empty() {
        return Ok(());
    }
    Err(DemoError::PortsTaken { taken, suggestion: flags.join(" ") })
}

/// A port that is probably free.
fn other_port(port: u16) -> u16 {
    port.checked_add(SUGGESTED_OFFSET).unwrap_or_else(|| port - SUGGESTED_OFFSET)
}

/// The program that listens on a port, as `nginx (process 4711)`.
///
/// `None` where the kernel does not tell: another user's process, or no `/proc`.
fn holder_of(port: u16) -> Option<String> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening_inodes(&table, port))
        .collect();
    let sockets: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    for process in processes.filter(|process| is_number(&process.file_name().to_string_lossy())) {
        let files = fs::read_dir(process.path().join("fd")).ok();
        let mut links =
            files.into_iter().flatten().filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        if links.any(|link| sockets.iter().any(|socket| link.as_os_str() == socket.as_str())) {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (process {})", name.trim(), process.file_name().display()));
        }
    }
    None
}

/// The inodes of the sockets that listen on a port, from the text of `/proc/net/tcp` (proc(5)).
fn listening_inodes(table: &str, port: u16) -> Vec<String> {
    let local_port = format!(":{port:04X}");
    let inode = |line: &str| {
        let mut columns = line.split_whitespace().skip(1);
        let (local, state, inode) = (columns.next()?, columns.nth(1)?, columns.nth(5)?);
        (local.ends_with(&local_port) && state == LISTENING).then(|| inode.to_owned())
    };
    table.lines().skip(1).filter_map(inode).collect()
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 0000000000000000 100 0 0 10 0\n   1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 777 1\n   2: 00000000:23DC 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 888 1\n";

    #[test]
    fn only_the_listening_socket_of_the_port_is_named() {
        assert_eq!(listening_inodes(TABLE, 8080), ["12345"]);
        assert_eq!(listening_inodes(TABLE, 9180), ["888"]);
        assert!(listening_inodes(TABLE, 80).is_empty());
        assert!(listening_inodes("", 80).is_empty());
    }

    #[test]
    fn taken_port_is_reported_with_its_holder() {
        let held = TcpListener::bind(loopback(0)).unwrap();
        let port = held.local_addr().unwrap().port();
        let holder = holder_of(port).unwrap();
        assert!(holder.ends_with(&format!("(process {})", std::process::id())), "{holder}");
        let ports = Ports { gateway: port, admin: 1, weather: 2, ndvi: 3, replay: 4 };
        let text = check_free(&ports).unwrap_err().to_string();
        assert!(text.contains(&format!("Port {port} (gateway) is taken: by ")), "{text}");
        assert!(text.contains("make demo ARGS=\"--gateway "), "{text}");
    }

    #[test]
    fn one_port_for_two_programs_is_refused() {
        let ports = Ports { gateway: 5, admin: 1, weather: 2, ndvi: 3, replay: 5 };
        let text = check_free(&ports).unwrap_err().to_string();
        assert_eq!(text, "port 5 is given twice, for gateway and replay; change one of them");
    }

    #[test]
    fn suggested_port_stays_in_range() {
        assert_eq!(other_port(8080), 18080);
        assert_eq!(other_port(60_000), 50_000);
    }
}
