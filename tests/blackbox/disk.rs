//! Does what the cache keeps on disk come back after the process was killed, whole and right?

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harness::{Answer, Gateway, Origin, Recorded, Reply, Request, launch};

use crate::fixtures::{KEPT, OPEN, conf, gateway, serve, time_passes, wait_for_metric};

const ENTRIES: &str = "farmgate_cache_disk_entries";
const TIER_HITS: &str = "farmgate_cache_tier_hits_total";

/// Keys of the load, bodies of which are more than memory and disk hold together.
const KEYS: usize = 400;
const CLIENTS: usize = 6;
const KILLS: usize = 20;
const ANSWERS_BEFORE_A_KILL: usize = 150;

/// A cache with this memory, this disk and a policy of these times.
fn tiers(memory: &str, disk: &str, policy: &str) -> String {
    format!("cache: {{memory: {memory}, disk: {{{disk}}}, policies: {{kept: {{{policy}}}}}}}")
}

async fn start(disk: &str) -> (Origin, Gateway) {
    serve(&tiers("1MiB", disk, "fresh: 1h"), &[KEPT]).await
}

async fn wait_for_entries(gw: &Gateway, entries: usize) {
    wait_for_metric(gw, ENTRIES, &[], |found| found == entries as f64).await;
}

async fn killed_and_restarted(mut gw: Gateway) -> Gateway {
    gw.kill().await;
    gw.restart().await
}

fn assert_hit(reply: &Reply) {
    let status = reply.header("cache-status").unwrap_or_default();
    assert!(status.starts_with("farmgate; hit;"), "{status}");
}

/// The files of answers in a folder of the gateway's directory.
fn segments(gw: &Gateway, folder: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(gw.directory().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("answers-"))
        .collect();
    found.sort();
    found
}

/// A body that says whose it is and whether it is whole: a path, a filling, and a sum over both.
fn summed(path: &str) -> String {
    let number: usize = path.bytes().map(usize::from).sum::<usize>() * 7_919 + path.len();
    let filling: String = path.chars().cycle().take(200 + number % 20_000).collect();
    format!("{path} {filling} {:016x}", sum(path, &filling))
}

fn sum(path: &str, filling: &str) -> u64 {
    // FNV-1a.
    path.bytes().chain(filling.bytes()).fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

#[track_caller]
fn assert_whole(path: &str, body: &str) {
    let parts: Vec<&str> = body.split(' ').collect();
    let [whose, filling, written] = parts[..] else { panic!("{path}: {} parts", parts.len()) };
    assert_eq!(whose, path);
    assert_eq!(written, format!("{:016x}", sum(whose, filling)), "{path}");
}

#[tokio::test]
async fn hot_answer_is_a_hit_after_kill_9_with_all_its_variants() {
    let (origin, gw) = start("size: 16MiB").await;
    let vary = Answer::json(r#"{"a":1}"#).header("Vary", "Accept-Language");
    origin.on("/vary", vary.header("X-Own", "\u{e9}"));
    for language in ["de", "fr"] {
        gw.get("/vary").header("accept-language", language).send().await.expect_status(200);
    }
    let first = gw.get("/hot").send().await;
    wait_for_entries(&gw, 2).await;
    let gw = killed_and_restarted(gw).await;
    let calls = origin.calls_total();
    for language in ["de", "fr"] {
        let reply = gw.get("/vary").header("accept-language", language).send().await;
        assert_hit(&reply.expect_status(200).expect_body(r#"{"a":1}"#));
    }
    let again = gw.get("/hot").send().await;
    assert_hit(&again);
    for name in ["etag", "content-type", "content-length"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    assert_eq!(origin.calls_total(), calls);
    assert_eq!(gw.metric(TIER_HITS, &[("tier", "disk")]).await, Some(2.0));
    assert_hit(&gw.get("/hot").send().await);
    assert_eq!(gw.metric(TIER_HITS, &[("tier", "disk")]).await, Some(2.0));
}

#[tokio::test]
async fn answer_on_disk_keeps_its_age_and_its_end() {
    let conf = tiers("1MiB", "size: 16MiB", "fresh: 2s");
    let (origin, gw) = serve(&conf, &[KEPT]).await;
    gw.get("/a").send().await.expect_status(200);
    wait_for_entries(&gw, 1).await;
    let began = Instant::now();
    let gw = killed_and_restarted(gw).await;
    time_passes(Duration::from_millis(2_050).saturating_sub(began.elapsed())).await;
    let reply = gw.get("/a").send().await;
    assert_eq!(reply.header("cache-status").unwrap().split(';').nth(1), Some(" fwd=uri-miss"));
    assert_eq!(origin.calls("/a"), 2);
}

#[tokio::test]
async fn who_waits_for_one_entry_waits_for_one_reading_and_no_upstream() {
    let (origin, gw) = start("size: 16MiB").await;
    gw.get("/a").send().await.expect_status(200);
    wait_for_entries(&gw, 1).await;
    let gw = killed_and_restarted(gw).await;
    let get = gw.get("/a");
    for reply in launch(30, move |_| get.clone().send()).await.unwrap() {
        assert_hit(&reply.expect_status(200));
    }
    assert_eq!(origin.calls("/a"), 1);
}

#[tokio::test]
async fn what_changed_before_kill_9_stays_invalid_after() {
    let (origin, gw) = start("size: 16MiB").await;
    for path in ["/changed", "/other"] {
        gw.get(path).send().await.expect_status(200);
    }
    wait_for_entries(&gw, 2).await;
    gw.post("/changed").body("{}").send().await.expect_status(200);
    let gw = killed_and_restarted(gw).await;
    assert_hit(&gw.get("/other").send().await);
    let before = origin.calls("/changed");
    gw.get("/changed").send().await.expect_status(200);
    assert_eq!(origin.calls("/changed"), before + 1);
}

/// Asks for keys in an order of its own and looks at every body, until the connection ends.
async fn read_until_killed(gateway: SocketAddr, seed: usize, answers: Arc<AtomicUsize>) {
    let mut number = seed.wrapping_mul(7_919);
    loop {
        // Half of what is asked for is a tenth of the keys.
        number =
            number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick = number >> 33;
        let key = if pick.is_multiple_of(2) { pick / 2 % (KEYS / 10) } else { pick / 2 % KEYS };
        let path = format!("/{key}");
        match Request::to(gateway, "GET", &path).try_send().await {
            Ok(reply) => assert_whole(&path, &reply.expect_status(200).text()),
            Err(_) => return,
        }
        answers.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn no_kill_under_load_makes_a_body_wrong() {
    let origin = Origin::start().await;
    for key in 0..KEYS {
        origin.rule(&format!("/{key}"), |asked: &Recorded, _| {
            Answer::status(200).body(summed(asked.path()))
        });
    }
    let sections = tiers("512KiB", "size: 2MiB", "fresh: 700ms, stale_while_revalidate: 1h");
    let launcher = gateway().with(conf(&sections, &[KEPT])).pool("service", origin.address());
    let mut gw = launcher.start().await;
    let mut from_disk = 0.0;
    for round in 0..KILLS {
        let answers = Arc::new(AtomicUsize::new(0));
        let (address, counted) = (gw.address(), answers.clone());
        let clients = launch(CLIENTS, move |client| {
            read_until_killed(address, round * CLIENTS + client, counted.clone())
        });
        while answers.load(Ordering::Relaxed) < ANSWERS_BEFORE_A_KILL {
            assert!(!clients.is_finished(), "a client ended before the kill");
            tokio::task::yield_now().await;
        }
        from_disk += gw.metric(TIER_HITS, &[("tier", "disk")]).await.unwrap();
        assert_eq!(gw.metric("farmgate_cache_disk_damaged_total", &[]).await, Some(0.0));
        let bytes = gw.metric("farmgate_cache_disk_bytes", &[]).await.unwrap();
        assert!(bytes <= 2.0 * 1024.0 * 1024.0, "{bytes}");
        gw.kill().await;
        clients.await.expect("clients that saw only whole bodies");
        let sizes = segments(&gw, "var/cache")
            .iter()
            .map(|path| fs::metadata(path).unwrap().len())
            .sum::<u64>();
        assert!(sizes <= 2 << 20, "{sizes}");
        gw = gw.restart().await;
    }
    assert!(from_disk > 100.0, "{from_disk}: the disk is there to be used");
}

#[tokio::test]
async fn damaged_file_serves_nothing_wrong_and_costs_only_what_is_damaged() {
    let origin = Origin::start().await;
    let paths: Vec<String> = (0..20).map(|key| format!("/{key}")).collect();
    for path in &paths {
        origin.on(path, Answer::status(200).body(summed(path)));
    }
    let conf = conf(&tiers("4MiB", "size: 16MiB", "fresh: 1h"), &[KEPT]);
    let mut gw = gateway().with(conf).pool("service", origin.address()).start().await;
    for path in &paths {
        gw.get(path).send().await.expect_status(200);
    }
    wait_for_entries(&gw, paths.len()).await;
    gw.kill().await;
    let file = segments(&gw, "var/cache").pop().unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let (half, cut) = (bytes.len() / 2, bytes.len() - 100);
    bytes[half] ^= 0x10;
    bytes.truncate(cut);
    fs::write(&file, bytes).unwrap();
    let gw = gw.restart().await;
    for path in &paths {
        assert_whole(path, &gw.get(path).send().await.expect_status(200).text());
    }
    // One flipped bit, and one that was cut off.
    assert_eq!(origin.calls_total(), paths.len() + 2);
    assert_eq!(gw.metric("farmgate_cache_disk_damaged_total", &[]).await, Some(1.0));
}

#[tokio::test]
async fn disk_holds_what_its_size_says_in_the_folder_that_is_named() {
    let (origin, gw) = start("size: 1MiB, dir: '{dir}/elsewhere'").await;
    origin.otherwise(Answer::status(200).body("x".repeat(20_000)));
    for key in 0..200 {
        gw.get(&format!("/{key}")).send().await.expect_status(200);
    }
    wait_for_metric(&gw, "farmgate_cache_disk_evictions_total", &[], |gone| gone > 100.0).await;
    let size = gw.metric("farmgate_cache_disk_bytes", &[]).await.unwrap();
    assert!(size <= 1_048_576.0 && size > 524_288.0, "{size}");
    assert_eq!(gw.metric("farmgate_cache_disk_bytes_max", &[]).await, Some(1_048_576.0));
    let bytes: u64 =
        segments(&gw, "elsewhere").iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(bytes <= 1_048_576, "{bytes}");
    assert!(!gw.directory().join("var/cache").exists());
}

#[tokio::test]
async fn disk_that_is_gone_fails_no_request() {
    let (origin, gw) = start("size: 16MiB").await;
    let folder = gw.directory().join("var/cache");
    fs::remove_dir_all(&folder).unwrap();
    for path in ["/a", "/a", "/b"] {
        gw.get(path).send().await.expect_status(200);
    }
    wait_for_metric(&gw, "farmgate_cache_disk_errors_total", &[], |errors| errors >= 1.0).await;
    wait_for_metric(&gw, "farmgate_cache_disk_writes_dropped_total", &[], |lost| lost == 2.0).await;
    gw.wait_for_log(|line| line.contains("cannot be written to disk")).await;
    assert_eq!(origin.calls_total(), 2);
}

#[tokio::test]
async fn disk_needs_a_folder_and_a_size_that_holds_something() {
    let open = conf("cache: {disk: {size: 1KiB}}\nstate: {}", &[OPEN]);
    let found = gateway().with(open).finish("check").await.expect_code(78);
    let said = format!("{found:?}");
    assert!(said.contains("cache.disk.size: write 1MiB or more"), "{said}");
    assert!(said.contains("the cache on disk needs a folder"), "{said}");
}
