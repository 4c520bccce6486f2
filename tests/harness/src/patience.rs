//! How long a test waits for something before it fails, and how it waits without sleeping.

use std::io;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// The longest any wait of the bench lasts before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Returns what `check` finds, looking again after each change.
///
/// The subscription is made before the first look, so a change between the two is not lost.
/// Panics after [`PATIENCE`] with the text of `describe`.
pub(crate) async fn until<T>(
    changes: &watch::Sender<()>,
    check: impl FnMut() -> Option<T>,
    describe: impl Fn() -> String,
) -> T {
    until_within(PATIENCE, changes, check, describe).await
}

async fn until_within<T>(
    patience: Duration,
    changes: &watch::Sender<()>,
    mut check: impl FnMut() -> Option<T>,
    describe: impl Fn() -> String,
) -> T {
    let mut changed = changes.subscribe();
    let search = async {
        loop {
            if let Some(found) = check() {
                return found;
            }
            changed.changed().await.expect("the sender outlives this borrow of it");
        }
    };
    match timeout(patience, search).await {
        Ok(found) => found,
        Err(_) => panic!("waited {patience:?} for {}", describe()),
    }
}

/// Fails a piece of I/O that is not done in time.
///
/// # Errors
/// What the work says; `TimedOut` after [`PATIENCE`].
pub(crate) async fn within_patience<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(PATIENCE, work).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[should_panic(expected = "waited 1ms for a change that never comes")]
    async fn endless_wait_fails_with_its_description() {
        let changes = watch::Sender::new(());
        let never = || "a change that never comes".to_owned();
        until_within(Duration::from_millis(1), &changes, || None::<()>, never).await;
    }

    #[tokio::test]
    async fn change_wakes_the_waiting_check() {
        let changes = watch::Sender::new(());
        let mut looks = 0;
        let waiting = until(
            &changes,
            || {
                looks += 1;
                (looks == 2).then_some("seen")
            },
            String::new,
        );
        let change = async {
            tokio::task::yield_now().await;
            changes.send_replace(());
        };
        let (found, ()) = tokio::join!(waiting, change);
        assert_eq!(found, "seen");
    }
}
