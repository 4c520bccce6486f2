//! Keys of the configuration and of the key file.

use std::path::PathBuf;

use harness::{Directory, PATIENCE};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::super::{KeyRequest, KeyStore, KeysOptions};
use super::*;
use crate::auth::{ApiKeyRule, ApiKeyTable, KeyDigest};

const HOUR: Duration = Duration::from_secs(3_600);

struct Bench {
    directory: Directory,
    operator: KeyStore,
    keys: Arc<Keys>,
    now: Now,
}

impl Bench {
    async fn new() -> Self {
        let directory = Directory::new();
        let operator = KeyStore::open(&path(&directory)).await.unwrap();
        let keys = Arc::new(open(&directory).await);
        Self { directory, operator, keys, now: Now::read() }
    }

    async fn create(&self, user: Option<&str>) -> (String, String) {
        let (name, user) = ("script".into(), user.map(str::to_owned));
        let request = KeyRequest { name, user, scope: "read,write".into(), expires_at: None };
        let (id, key) = self.operator.create(&request, self.now).await.unwrap();
        (id, key.expose().to_owned())
    }

    /// Verifies at so long after the bench was made.
    async fn ask(&self, key: &str, after: Duration) -> Result<Principal, KeyError> {
        ask(&self.keys, key, self.now.plus(after)).await
    }

    async fn last_used(&self) -> Option<i64> {
        self.operator.list().await.unwrap().iter().filter_map(|key| key.last_used_at).max()
    }
}

fn path(directory: &Directory) -> PathBuf {
    directory.path().join("farmgate.sqlite")
}

async fn open(directory: &Directory) -> Keys {
    let options = KeysOptions { store: Some(path(directory)), ..KeysOptions::default() };
    Keys::open(options).await.unwrap()
}

#[tokio::test]
async fn a_key_made_while_the_gateway_runs_is_taken_over() {
    let bench = Bench::new().await;
    let (id, key) = bench.create(Some("7")).await;
    assert_eq!(bench.ask(&key, Duration::ZERO).await, Err(KeyError::Unknown));
    assert!(bench.keys.refresh().await.unwrap());
    let caller = bench.ask(&key, Duration::ZERO).await.unwrap();
    assert_eq!((&*caller.id, caller.subject.as_deref()), (&*id, Some("7")));
    assert!(caller.has_scope("read") && caller.has_scope("write"));
    assert!(!bench.keys.refresh().await.unwrap());
    assert_eq!(bench.keys.stored(), 1);
}

#[tokio::test]
async fn a_revoked_key_is_refused_once_the_change_is_seen() {
    let bench = Bench::new().await;
    let (id, key) = bench.create(None).await;
    bench.keys.refresh().await.unwrap();
    assert!(bench.ask(&key, Duration::ZERO).await.is_ok());
    bench.operator.revoke(&id, bench.now).await.unwrap();
    assert!(bench.keys.refresh().await.unwrap());
    assert_eq!(bench.ask(&key, Duration::ZERO).await, Err(KeyError::Revoked { id }));
}

#[tokio::test]
async fn both_secrets_hold_during_the_overlap_and_the_id_stays() {
    let bench = Bench::new().await;
    let (id, first) = bench.create(None).await;
    let second = bench.operator.rotate(&id, HOUR, bench.now).await.unwrap();
    bench.keys.refresh().await.unwrap();
    for key in [&first, second.expose()] {
        let caller = bench.ask(key, HOUR - Duration::from_secs(1)).await.unwrap();
        assert_eq!(*caller.id, *id);
    }
    assert_eq!(bench.ask(&first, HOUR).await, Err(KeyError::Expired { id }));
    assert!(bench.ask(second.expose(), HOUR).await.is_ok());
}

#[tokio::test]
async fn the_configuration_decides_before_the_file() {
    let bench = Bench::new().await;
    let (id, key) = bench.create(None).await;
    bench.keys.refresh().await.unwrap();
    let rule = |key: &str, revoked| ApiKeyRule {
        id: "configured".into(),
        user: None,
        digest: KeyDigest::of(key.as_bytes()),
        scopes: String::new(),
        expires_at: None,
        revoked,
    };
    let allowance = Allowance::of(5);
    for (configured, outcome) in [
        (rule(&key, false), Ok("configured".to_owned())),
        (rule(&key, true), Err(KeyError::Revoked { id: "configured".into() })),
        (rule("another", false), Ok(id)),
    ] {
        let table = ApiKeyTable::new([configured]).unwrap();
        let found = bench.keys.verify(Some(&table), key.as_bytes(), &allowance, bench.now).await;
        assert_eq!(found.map(|caller| caller.id.to_string()), outcome);
    }
    assert_eq!(allowance.state(), (4, 1));
}

#[tokio::test]
async fn each_bad_key_costs_one_token_and_good_ones_none() {
    let bench = Bench::new().await;
    let (_, key) = bench.create(None).await;
    bench.keys.refresh().await.unwrap();
    let allowance = Allowance::of(2);
    let ask = |key: String| {
        let allowance = allowance.clone();
        let keys = &bench.keys;
        async move { keys.verify(None, key.as_bytes(), &allowance, bench.now).await }
    };
    assert_eq!(ask("wk_live_unknown-key-1".into()).await, Err(KeyError::Unknown));
    assert_eq!(ask("not a key".into()).await, Err(KeyError::Malformed));
    let refused = Err(KeyError::TooManyFailures { retry_after: RETRY });
    assert_eq!(ask("wk_live_unknown-key-2".into()).await, refused);
    assert!(ask(key).await.is_ok());
    assert_eq!(allowance.state(), (0, 3));
}

#[tokio::test]
async fn the_last_use_is_written_at_most_every_five_minutes_and_at_the_end() {
    let bench = Bench::new().await;
    let (_, key) = bench.create(None).await;
    bench.keys.refresh().await.unwrap();
    let at = |after: u64| bench.now.unix_seconds() + i64::try_from(after).unwrap();
    for (after, written) in [(0, 0), (299, 0), (300, 300), (301, 300), (599, 300), (600, 600)] {
        bench.ask(&key, Duration::from_secs(after)).await.unwrap();
        bench.keys.write_used(false).await;
        assert_eq!(bench.last_used().await, Some(at(written)), "after {after} s");
    }
    bench.ask(&key, Duration::from_secs(700)).await.unwrap();
    // Another table takes over what this one knows.
    bench.create(None).await;
    assert!(bench.keys.refresh().await.unwrap());
    bench.keys.flush().await;
    assert_eq!(bench.last_used().await, Some(at(700)));
}

#[tokio::test]
async fn refused_keys_are_not_counted_as_used() {
    let bench = Bench::new().await;
    let (id, key) = bench.create(None).await;
    bench.operator.revoke(&id, bench.now).await.unwrap();
    bench.keys.refresh().await.unwrap();
    assert!(bench.ask(&key, Duration::ZERO).await.is_err());
    bench.keys.flush().await;
    assert_eq!(bench.last_used().await, None);
}

#[tokio::test]
async fn the_background_takes_over_changes_and_writes_at_the_end() {
    let bench = Bench::new().await;
    let (stop, stopped) = oneshot::channel();
    let keys = bench.keys.clone();
    let background = tokio::spawn(async move {
        keys.run_background(Now::read, async { stopped.await.unwrap() }).await;
    });
    let work = async {
        let (_, key) = bench.create(None).await;
        while bench.ask(&key, Duration::ZERO).await.is_err() {
            tokio::task::yield_now().await;
        }
        stop.send(()).unwrap();
        background.await.unwrap();
    };
    timeout(PATIENCE, work).await.unwrap();
    assert_eq!(bench.last_used().await, Some(bench.now.unix_seconds()));
}

#[tokio::test]
async fn keys_outlive_a_file_that_is_gone() {
    let bench = Bench::new().await;
    let (_, key) = bench.create(None).await;
    bench.keys.refresh().await.unwrap();
    std::fs::remove_file(path(&bench.directory)).unwrap();
    assert!(bench.keys.refresh().await.is_err());
    assert!(bench.ask(&key, Duration::ZERO).await.is_ok());
}

#[test]
fn keys_outlive_the_runtime_that_opened_them() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (directory, first) = (Directory::new(), runtime());
    let keys = first.block_on(open(&directory));
    drop(first);
    assert!(!runtime().block_on(keys.refresh()).unwrap());
}
