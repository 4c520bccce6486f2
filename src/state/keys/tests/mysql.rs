//! Keys of the operator's tables, on a real server.

use std::num::NonZeroU32;
use std::sync::Mutex;

use apikey::hash::Pepper;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::MariaDb;
use ring::pbkdf2::{PBKDF2_HMAC_SHA256, derive};

use super::super::{
    KeysError, KeysOptions, MysqlOptions, REMEMBER_MIN, RememberedKey, SharedKeyMemory,
};
use super::*;
use crate::auth::generate_key;

const PEPPER: &str = "test-pepper";
const REMEMBER: Duration = Duration::from_secs(600);
/// Quick to compute; the slow ones are where slowness matters.
const FEW: u32 = 10;
const MILLION: u32 = 1_000_000;

/// The columns that are read, as Django's migrations make them.
const SCHEMA: &str = "
CREATE TABLE auth_user (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, username VARCHAR(150) NOT NULL UNIQUE,
    is_active TINYINT(1) NOT NULL);
CREATE TABLE api_keys_apikey (
    id CHAR(32) NOT NULL PRIMARY KEY, name VARCHAR(100) NOT NULL, key_hash VARCHAR(128) NOT NULL,
    prefix VARCHAR(12) NOT NULL, last4 VARCHAR(4) NOT NULL, scope VARCHAR(16) NOT NULL,
    created_at DATETIME(6) NOT NULL, last_used_at DATETIME(6) NULL, expires_at DATETIME(6) NULL,
    revoked_at DATETIME(6) NULL, user_id INT NOT NULL, KEY (prefix, last4));
INSERT INTO auth_user VALUES (1, 'one', 1), (2, 'two', 1), (3, 'gone', 0);
";

struct Bench {
    db: MariaDb,
    keys: Arc<Keys>,
    now: Now,
}

impl Bench {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut KeysOptions)) -> Self {
        let db = MariaDb::start().await;
        db.run(SCHEMA).await;
        let keys = open(&db, change).await;
        Self { db, keys, now: Now::read() }
    }

    /// A new key of a user with its row; the row's id is 32 times `digit`.
    async fn issue(&self, digit: char, user: u32, iterations: u32) -> String {
        let key = generate_key().unwrap();
        self.insert(digit, user, key.expose(), &hash(key.expose(), iterations)).await;
        key.expose().to_owned()
    }

    async fn insert(&self, digit: char, user: u32, key: &str, hash: &str) {
        let id = String::from(digit).repeat(32);
        let (prefix, last4) = (&key[..12], &key[key.len() - 4..]);
        let row = format!(
            "INSERT INTO api_keys_apikey VALUES ('{id}', 'script', '{hash}', '{prefix}', \
             '{last4}', 'read', UTC_TIMESTAMP(6), NULL, NULL, NULL, {user});"
        );
        self.db.run(&row).await;
    }

    async fn update(&self, digit: char, set: &str) {
        let id = String::from(digit).repeat(32);
        self.db.run(&format!("UPDATE api_keys_apikey SET {set} WHERE id = '{id}'")).await;
    }

    async fn ask(&self, key: &str) -> Result<Principal, KeyError> {
        ask(&self.keys, key, self.now).await
    }
}

async fn open(db: &MariaDb, change: impl FnOnce(&mut KeysOptions)) -> Arc<Keys> {
    let mysql = MysqlOptions::new(db.url(), Pepper::new(PEPPER.as_bytes()));
    let mut options = KeysOptions { mysql: Some(mysql), ..KeysOptions::default() };
    change(&mut options);
    Arc::new(Keys::open(options).await.unwrap())
}

fn impatient(options: &mut KeysOptions) {
    options.mysql.as_mut().unwrap().timeout = Duration::from_secs(1);
}

fn hash(key: &str, iterations: u32) -> String {
    let (salt, mut digest) = ("Zx81pQmN4vT7bLkR2cWs9H", [0; 32]);
    let peppered = format!("{PEPPER}:{key}");
    let rounds = NonZeroU32::new(iterations).unwrap();
    derive(PBKDF2_HMAC_SHA256, rounds, salt.as_bytes(), peppered.as_bytes(), &mut digest);
    format!("pbkdf2_sha256${iterations}${salt}${}", STANDARD.encode(digest))
}

/// Another key with the same ends.
fn similar(key: &str, filler: char) -> String {
    let middle = String::from(filler).repeat(key.len() - 16);
    format!("{}{middle}{}", &key[..12], &key[key.len() - 4..])
}

fn dashed(digit: char) -> String {
    [8, 4, 4, 4, 12].map(|length| String::from(digit).repeat(length)).join("-")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_cold_key_of_many_callers_is_hashed_once() {
    let bench = Bench::new().await;
    let keys = [bench.issue('a', 1, MILLION).await, bench.issue('b', 2, MILLION).await];
    let allowance = Allowance::of(2);
    let callers: Vec<_> = (0..64)
        .flat_map(|_| &keys)
        .map(|key| {
            let (keys, key, allowance) = (bench.keys.clone(), key.clone(), allowance.clone());
            let now = bench.now;
            tokio::spawn(async move { keys.verify(None, key.as_bytes(), &allowance, now).await })
        })
        .collect();
    let mut ids = Vec::new();
    for caller in callers {
        ids.push(caller.await.unwrap().unwrap().id.to_string());
    }
    ids.sort();
    assert_eq!(ids, [vec![dashed('a'); 64], vec![dashed('b'); 64]].concat());
    assert_eq!((hashes(&bench.keys), bench.keys.remembered()), (2, 2));
    assert_eq!(allowance.state(), (2, 2), "one token a hash, and each given back");
    for key in &keys {
        assert!(bench.ask(key).await.is_ok());
    }
    assert_eq!(hashes(&bench.keys), 2);
}

#[tokio::test]
async fn a_caller_that_leaves_takes_nobody_along() {
    let bench = Bench::new().await;
    let key = bench.issue('a', 1, MILLION).await;
    let allowance = Allowance::of(1);
    let call = |allowance: Allowance| {
        let (keys, key, now) = (bench.keys.clone(), key.clone(), bench.now);
        async move { keys.verify(None, key.as_bytes(), &allowance, now).await }
    };
    let first = tokio::spawn(call(allowance.clone()));
    while hashes(&bench.keys) == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let caller = call(Allowance::of(0)).await.unwrap();
    assert_eq!(caller.subject.as_deref(), Some("1"));
    assert_eq!((hashes(&bench.keys), allowance.state()), (1, (1, 1)));
}

#[tokio::test]
async fn wrong_keys_pay_before_they_buy_a_hash_and_are_remembered() {
    let bench = Bench::new().await;
    let key = bench.issue('a', 1, FEW).await;
    let allowance = Allowance::of(4);
    let ask = |key: String, after: u64| {
        let (keys, allowance) = (&bench.keys, &allowance);
        let now = bench.now.plus(Duration::from_secs(after));
        async move { keys.verify(None, key.as_bytes(), allowance, now).await }
    };
    // Each with the tokens that are left and the hashes so far.
    for (key, after, outcome, left, hashed) in [
        (similar(&key, 'x'), 0, Err(KeyError::Unknown), 3, 1),
        (similar(&key, 'x'), 59, Err(KeyError::Unknown), 2, 1),
        (format!("wk_live_{}", "y".repeat(43)), 59, Err(KeyError::Unknown), 1, 1),
        (key.clone(), 59, Ok(()), 1, 2),
        (similar(&key, 'x'), 60, Err(KeyError::Unknown), 0, 3),
        (similar(&key, 'x'), 60, Err(KeyError::TooManyFailures { retry_after: RETRY }), 0, 3),
        (similar(&key, 'z'), 60, Err(KeyError::TooManyFailures { retry_after: RETRY }), 0, 3),
        // Remembered keys need no token.
        (key.clone(), 60, Ok(()), 0, 3),
    ] {
        assert_eq!(ask(key.clone(), after).await.map(drop), outcome, "{key} after {after} s");
        assert_eq!((allowance.state().0, hashes(&bench.keys)), (left, hashed), "{key} {after}");
    }
}

#[tokio::test]
async fn whoever_waits_for_a_wrong_key_pays_for_it() {
    let bench = Bench::new().await;
    let key = similar(&bench.issue('a', 1, 20_000).await, 'x');
    let allowances = [Allowance::of(1), Allowance::of(1), Allowance::of(0)];
    let calls = allowances.iter().map(|allowance| {
        let (keys, key, now) = (&bench.keys, &key, bench.now);
        async move { keys.verify(None, key.as_bytes(), allowance, now).await }
    });
    let outcomes = futures::future::join_all(calls).await;
    let limited = Err(KeyError::TooManyFailures { retry_after: RETRY });
    assert_eq!(outcomes, [Err(KeyError::Unknown), Err(KeyError::Unknown), limited]);
    assert_eq!(hashes(&bench.keys), 1);
    assert!(allowances.iter().all(|allowance| allowance.state().0 == 0));
}

#[tokio::test]
async fn a_leader_without_allowance_leaves_the_lead_to_another() {
    let bench = Bench::new().await;
    let key = bench.issue('a', 1, FEW).await;
    let calls = [0, 1].map(|failures| {
        let (keys, key, now) = (&bench.keys, &key, bench.now);
        async move { keys.verify(None, key.as_bytes(), &Allowance::of(failures), now).await }
    });
    let outcomes = futures::future::join_all(calls).await;
    assert_eq!(outcomes[0], Err(KeyError::TooManyFailures { retry_after: RETRY }));
    assert!(outcomes[1].is_ok());
}

#[tokio::test]
async fn withdrawn_keys_are_forgotten_by_the_recheck() {
    let bench = Bench::new().await;
    let changes = [
        ('a', "revoked_at = UTC_TIMESTAMP(6)"),
        ('b', "expires_at = '2001-02-03 04:05:06.789'"),
        ('c', "user_id = 3"),
        ('d', "user_id = 4"),
        ('e', "key_hash = '!'"),
        ('f', "id = REPEAT('9', 32)"),
    ];
    let mut keys = Vec::new();
    for (digit, _) in changes {
        let key = bench.issue(digit, 1, FEW).await;
        assert!(bench.ask(&key).await.is_ok(), "{digit}");
        keys.push(key);
    }
    let kept = bench.issue('0', 1, FEW).await;
    assert!(bench.ask(&kept).await.is_ok());
    assert_eq!(bench.keys.recheck(bench.now).await.unwrap(), 0);
    for (digit, set) in changes {
        bench.update(digit, set).await;
    }
    assert!(bench.ask(&keys[0]).await.is_ok(), "nobody has looked yet");
    assert_eq!(bench.keys.recheck(bench.now).await.unwrap(), changes.len());
    assert_eq!(bench.keys.remembered(), 1);
    let hashed = hashes(&bench.keys);
    assert_eq!(bench.ask(&keys[0]).await, Err(KeyError::Revoked { id: dashed('a') }));
    assert_eq!(bench.ask(&keys[1]).await, Err(KeyError::Expired { id: dashed('b') }));
    assert_eq!(hashes(&bench.keys), hashed, "a withdrawn key is not worth a hash");
    assert_eq!(bench.ask(&keys[2]).await, Err(KeyError::OwnerInactive { id: dashed('c') }));
    assert_eq!(bench.ask(&keys[3]).await, Err(KeyError::OwnerInactive { id: dashed('d') }));
    assert_eq!(bench.ask(&keys[4]).await, Err(KeyError::Unknown));
    assert_eq!(&*bench.ask(&keys[5]).await.unwrap().id, dashed('9'));
    assert!(bench.ask(&kept).await.is_ok());
}

#[tokio::test]
async fn a_key_in_use_that_the_tables_confirm_is_not_hashed_again() {
    let bench = Bench::new().await;
    let (used, idle) = (bench.issue('a', 1, FEW).await, bench.issue('b', 1, FEW).await);
    let at = |seconds| bench.now.plus(Duration::from_secs(seconds));
    for key in [&used, &idle] {
        ask(&bench.keys, key, at(0)).await.unwrap();
    }
    bench.update('a', "scope = 'admin'").await;
    for seconds in [295, 590, 885] {
        ask(&bench.keys, &used, at(seconds)).await.unwrap();
        bench.keys.recheck(at(seconds + 5)).await.unwrap();
    }
    assert_eq!((hashes(&bench.keys), bench.keys.remembered()), (2, 1));
    let caller = ask(&bench.keys, &used, at(890 + REMEMBER.as_secs() - 1)).await.unwrap();
    assert!(caller.has_scope("admin") && !caller.has_scope("read"), "the new scope is taken over");
    assert_eq!(hashes(&bench.keys), 2);
    ask(&bench.keys, &used, at(890 + REMEMBER.as_secs())).await.unwrap();
    ask(&bench.keys, &idle, at(REMEMBER.as_secs())).await.unwrap();
    assert_eq!(hashes(&bench.keys), 4);
}

#[tokio::test]
async fn expiry_is_looked_at_in_every_use() {
    let bench = Bench::new().await;
    let key = bench.issue('a', 1, FEW).await;
    bench.update('a', "expires_at = UTC_TIMESTAMP() + INTERVAL 60 SECOND").await;
    assert!(bench.ask(&key).await.is_ok());
    let later = bench.now.plus(Duration::from_secs(90));
    assert_eq!(ask(&bench.keys, &key, later).await, Err(KeyError::Expired { id: dashed('a') }));
    // Some servers know no times after 2038.
    bench.update('a', "expires_at = '2050-01-01'").await;
    let far = Now { wall: std::time::UNIX_EPOCH + Duration::from_secs(2_524_608_000), ..later };
    bench.keys.recheck(bench.now).await.unwrap();
    assert!(ask(&bench.keys, &key, later).await.is_ok());
    assert_eq!(ask(&bench.keys, &key, far).await, Err(KeyError::Expired { id: dashed('a') }));
}

#[tokio::test]
async fn remembered_keys_outlive_the_database_and_cold_ones_wait_for_it() {
    let mut bench = Bench::with(impatient).await;
    let (warm, cold) = (bench.issue('a', 1, FEW).await, bench.issue('b', 1, FEW).await);
    assert!(bench.ask(&warm).await.is_ok());
    bench.db.kill().await;
    let allowance = Allowance::of(1);
    let unavailable = Err(KeyError::Unavailable { retry_after: Duration::from_secs(1) });
    let answer = bench.keys.verify(None, cold.as_bytes(), &allowance, bench.now).await;
    assert_eq!((answer, allowance.state()), (unavailable.clone(), (1, 1)));
    assert!(!bench.keys.is_up());
    assert!(bench.keys.recheck(bench.now).await.is_err());
    let last = bench.now.plus(REMEMBER - Duration::from_secs(1));
    assert!(ask(&bench.keys, &warm, last).await.is_ok());
    assert!(ask(&bench.keys, &warm, bench.now.plus(REMEMBER)).await.is_err());
    bench.db.restart().await;
    let later = bench.now.plus(REMEMBER * 2);
    for key in [&warm, &cold] {
        assert!(ask(&bench.keys, key, later).await.is_ok());
    }
    assert!(bench.keys.is_up());
}

#[tokio::test]
async fn a_database_that_answers_too_late_is_given_up() {
    let bench = Bench::with(impatient).await;
    let key = bench.issue('a', 1, FEW).await;
    // As long as the session of the client lasts, which is ended by the end of this test.
    let lock = bench.db.run("LOCK TABLES api_keys_apikey WRITE; SELECT SLEEP(2)");
    let asked = async {
        loop {
            // Until the lock is there the key is found, and then forgotten by its own time.
            match ask(&bench.keys, &key, bench.now).await {
                Ok(_) => bench.keys.slow.as_ref().unwrap().memory.clear(),
                Err(error) => return error,
            }
        }
    };
    let (_, error) = tokio::join!(lock, asked);
    assert_eq!(error, KeyError::Unavailable { retry_after: Duration::from_secs(1) });
    let later = bench.now.plus(Duration::from_secs(2));
    assert!(ask(&bench.keys, &key, later).await.is_ok(), "on a connection of its own");
}

#[tokio::test]
async fn odd_rows_let_nobody_in_and_stop_nobody() {
    let bench = Bench::new().await;
    let key = generate_key().unwrap().expose().to_owned();
    let rows = [
        ('1', "!unusable".to_owned()),
        ('2', hash(&key, FEW).replace("pbkdf2_sha256", "argon2")),
        ('3', hash(&key, FEW).replace("$10$", "$4000000000$")),
        ('4', hash(&similar(&key, 'x'), FEW)),
    ];
    for (digit, hash) in rows {
        bench.insert(digit, 2, &key, &hash).await;
    }
    assert_eq!(bench.ask(&key).await, Err(KeyError::Unknown));
    assert_eq!(hashes(&bench.keys), 1);
    bench.insert('5', 1, &key, &hash(&key, FEW)).await;
    bench.update('5', "scope = ''").await;
    let later = bench.now.plus(Duration::from_secs(60));
    let caller = ask(&bench.keys, &key, later).await.unwrap();
    assert!(caller.has_scope("read"), "no scope means read");
    // A collation that takes both cases for the same finds the row; the key is another one.
    let other_case = format!("WK_LIVE_{}", &key[8..]);
    assert_eq!(ask(&bench.keys, &other_case, later).await, Err(KeyError::Unknown));
}

#[tokio::test]
async fn ids_may_be_kept_in_a_type_of_their_own() {
    let bench = Bench::new().await;
    let key = bench.issue('a', 1, FEW).await;
    bench.db.run("ALTER TABLE api_keys_apikey MODIFY id UUID NOT NULL").await;
    assert_eq!(&*bench.ask(&key).await.unwrap().id, dashed('a'));
    assert_eq!(bench.keys.recheck(bench.now).await.unwrap(), 0);
    bench.db.run("UPDATE api_keys_apikey SET revoked_at = UTC_TIMESTAMP(6)").await;
    assert_eq!(bench.keys.recheck(bench.now).await.unwrap(), 1);
}

#[tokio::test]
async fn more_cold_keys_than_may_wait_are_refused_at_once() {
    let bench = Bench::with(|options| options.hash_queue_max = 1).await;
    let mut keys = Vec::new();
    for digit in ['a', 'b', 'c'] {
        keys.push(bench.issue(digit, 1, 100_000).await);
    }
    let allowance = Allowance::of(9);
    let calls = keys.iter().map(|key| {
        let (keys, allowance, now) = (&bench.keys, &allowance, bench.now);
        async move { keys.verify(None, key.as_bytes(), allowance, now).await.map(drop) }
    });
    let outcomes = futures::future::join_all(calls).await;
    let busy = KeyError::Busy { retry_after: Duration::from_secs(1) };
    assert_eq!(outcomes, [Ok(()), Ok(()), Err(busy)]);
    assert_eq!(bench.keys.hashes().unwrap().refused(), 1);
    assert_eq!(allowance.state().0, 9, "being busy is nobody's failure");
    assert!(bench.ask(&keys[2]).await.is_ok());
}

#[tokio::test]
async fn another_process_needs_no_hash_for_a_shared_key() {
    #[derive(Default)]
    struct Shelf(Mutex<Option<([u8; 32], RememberedKey)>>);

    #[async_trait]
    impl SharedKeyMemory for Shelf {
        async fn get(&self, digest: &[u8; 32]) -> Option<RememberedKey> {
            let shelf = self.0.lock().unwrap();
            shelf.as_ref().filter(|(known, _)| known == digest).map(|(_, key)| key.clone())
        }

        async fn put(&self, digest: &[u8; 32], key: &RememberedKey, ttl: Duration) {
            assert_eq!(ttl, REMEMBER);
            *self.0.lock().unwrap() = Some((*digest, key.clone()));
        }
    }

    let shelf = Arc::new(Shelf::default());
    let share = |options: &mut KeysOptions| {
        impatient(options);
        options.shared = shelf.clone();
    };
    let mut bench = Bench::with(share).await;
    let (second, third) = (open(&bench.db, share).await, open(&bench.db, share).await);
    let key = bench.issue('a', 1, FEW).await;
    let caller = bench.ask(&key).await.unwrap();
    assert_eq!(ask(&second, &key, bench.now).await.as_ref(), Ok(&caller));
    assert_eq!((hashes(&bench.keys), hashes(&second)), (1, 0));
    bench.update('a', "revoked_at = UTC_TIMESTAMP(6)").await;
    let revoked = Err(KeyError::Revoked { id: dashed('a') });
    let fourth = open(&bench.db, share).await;
    assert_eq!(ask(&fourth, &key, bench.now).await, revoked);
    bench.db.kill().await;
    // What others have proved saves a hash and no look at the row, which was revoked meanwhile.
    let unknown = ask(&third, &key, bench.now).await;
    assert!(matches!(unknown, Err(KeyError::Unavailable { .. })), "{unknown:?}");
}

#[tokio::test]
async fn keys_that_would_be_forgotten_between_two_uses_are_a_fault() {
    let mysql = MysqlOptions::new("mysql://u@h/d".into(), Pepper::new(*b"pepper"));
    let short = REMEMBER_MIN - Duration::from_secs(1);
    let options = KeysOptions { mysql: Some(mysql), remember: short, ..KeysOptions::default() };
    let error = Keys::open(options).await.err().unwrap();
    assert!(matches!(error, KeysError::RememberTooShort(_)), "{error}");
    assert_eq!(error.to_string(), "API keys are remembered for 300 s; use at least 301 s");
}
