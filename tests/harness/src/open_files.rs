//! How many sockets a test may hold open at once.

use tokio::process::Command;
use tokio::sync::OnceCell;

const OPEN_FILES_WANTED: u64 = 65_536;

static RAISED: OnceCell<()> = OnceCell::const_new();

/// Raises this process's soft limit of open files as far as the hard limit allows, up to 65,536.
///
/// Programs started later inherit it. The usual soft limit of 1,024 is too low for 500 clients
/// and 500 connections to the origin in one test. Without `prlimit` (util-linux) the limit stays,
/// and a test that needs more fails with the system's "too many open files".
pub async fn raise_open_files() {
    RAISED.get_or_init(raise).await;
}

async fn raise() {
    let Some((soft, hard)) = open_files_max() else { return };
    let wanted = OPEN_FILES_WANTED.min(hard);
    if soft < wanted {
        let own = std::process::id().to_string();
        let limit = format!("--nofile={wanted}:");
        drop(Command::new("prlimit").args(["--pid", &own, &limit]).status().await);
    }
}

/// The soft and the hard limit of this process, as the kernel tells them.
fn open_files_max() -> Option<(u64, u64)> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let mut limits = line.split_whitespace().map(|limit| limit.parse().unwrap_or(u64::MAX));
    Some((limits.next()?, limits.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn limit_is_raised_as_far_as_it_goes() {
        raise_open_files().await;
        let (soft, hard) = open_files_max().unwrap();
        assert!(soft >= OPEN_FILES_WANTED.min(hard), "soft {soft}, hard {hard}");
    }
}
