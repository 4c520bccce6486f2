//! Where does processor work run, so that the async threads stay free?

use std::sync::Arc;

use tokio::sync::Semaphore;

/// A bounded share of the blocking threads.
#[derive(Clone, Debug)]
pub struct Compute {
    permits: Arc<Semaphore>,
}

impl Compute {
    /// At most `jobs_max` jobs at a time; more wait in the order of their arrival.
    #[must_use]
    pub fn new(jobs_max: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(jobs_max)) }
    }

    /// Runs `job` on a blocking thread and waits for it.
    ///
    /// The permit travels with the job: a caller that gives up does not make room for another
    /// job while its own still runs.
    ///
    /// # Errors
    /// [`ComputeError`] when the job panics, which hostile file contents may provoke in a decoder.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ComputeError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| ComputeError)?;
        tokio::task::spawn_blocking(move || {
            let result = job();
            drop(permit);
            result
        })
        .await
        .map_err(|_panicked| ComputeError)
    }
}

/// The job ended without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the computation ended without a result")]
pub struct ComputeError;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is a failed test")]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn panic_of_a_job_is_an_error_and_frees_its_place() {
        let compute = Compute::new(1);
        assert_eq!(compute.run(|| panic!("broken tile")).await, Err::<(), _>(ComputeError));
        assert_eq!(compute.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn no_more_jobs_than_allowed_run_at_once() {
        let compute = Compute::new(2);
        let (running, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let jobs = (0..16).map(|_| {
            let (running, peak) = (Arc::clone(&running), Arc::clone(&peak));
            compute.run(move || {
                peak.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
            })
        });
        futures::future::try_join_all(jobs).await.unwrap();
        assert!(peak.load(Ordering::SeqCst) <= 2);
    }
}
