//! Do the commands do what they say, and show a key once?
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use clap::{Parser, error::ErrorKind};
use harness::Directory;
use serde_json::Value;

use super::*;
use crate::state::keys::{Keys, KeysOptions, Unguarded};

#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    command: KeysCommand,
}

struct Bench {
    directory: Directory,
    now: Now,
}

struct Ran {
    code: u8,
    out: String,
    err: String,
}

impl Bench {
    fn new() -> Self {
        let wall = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        Self { directory: Directory::new(), now: Now { wall, ..Now::read() } }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("state/farmgate.sqlite")
    }

    fn run(&self, line: &str) -> Ran {
        let words = line.split(' ').filter(|word| !word.is_empty());
        let command = Line::try_parse_from(["keys"].into_iter().chain(words)).unwrap().command;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut screen = Screen { out: &mut out, err: &mut err };
        let code = run(&command, &self.path(), self.now, &mut screen);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code, out: text(out), err: text(err) }
    }

    /// Makes a key; its id and itself.
    fn create(&self, arguments: &str) -> (String, String) {
        let ran = self.run(&format!("create --json {arguments}"));
        let made: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
        (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
    }

    fn list(&self) -> Value {
        serde_json::from_str(&self.run("list --json").out).unwrap()
    }

    fn holds(&self, key: &str) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let options = KeysOptions { store: Some(self.path()), ..KeysOptions::default() };
            let keys = Keys::open(options).await.unwrap();
            keys.verify(None, key.as_bytes(), &Unguarded, self.now).await.is_ok()
        })
    }
}

#[test]
fn a_new_key_is_printed_alone_and_once() {
    let bench = Bench::new();
    let ran = bench.run("create --name nextcloud --user 7 --scope write,read --expires 90d");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let key = ran.out.trim_end();
    assert!(key.starts_with("wk_live_") && key.len() == 51 && ran.out.lines().count() == 1);
    assert!(ran.err.contains("expires: 2024-02-12T22:13:20Z"), "{}", ran.err);
    assert!(!ran.err.contains(key));
    assert!(bench.holds(key));
    let listed = bench.list();
    assert_eq!(listed[0]["scopes"], serde_json::json!(["read", "write"]));
    assert_eq!(listed[0]["user"], "7");
    for listed in [listed.to_string(), bench.run("list").out] {
        assert!(!listed.contains(&key[12..]) && listed.contains(&key[..12]), "{listed}");
        assert!(!listed.contains("digest"), "{listed}");
    }
}

#[test]
fn the_list_is_an_aligned_table() {
    let bench = Bench::new();
    assert_eq!(bench.run("list").out.lines().count(), 1);
    let (id, _) = bench.create("--name a --scope admin");
    bench.create("--name much-longer --user somebody --expires 2030-01-31T00:00:00Z");
    let ran = bench.run(&format!("rotate {id} --overlap 1h"));
    assert_eq!(ran.code, 0, "{}", ran.err);
    let table = bench.run("list").out;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    let at = lines[0].find("STATE").unwrap();
    let states: Vec<&str> = lines
        .iter()
        .map(|line| line.chars().skip(at).collect::<String>())
        .map(|state| match state.as_str() {
            "STATE" => "head",
            "active" => "active",
            "until 2023-11-14T23:13:20Z" => "until",
            other => panic!("{other:?} in\n{table}"),
        })
        .collect();
    let mut sorted = states.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, ["active", "active", "head", "until"], "{table}");
    assert!(lines.iter().all(|line| !line.ends_with(' ')));
}

#[test]
fn a_rotated_key_keeps_its_id_and_an_overlap_of_zero_ends_the_old_one() {
    let bench = Bench::new();
    let (id, first) = bench.create("--name a");
    let ran = bench.run(&format!("rotate {id} --json"));
    let rotated: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(rotated["id"], id.as_str());
    assert_eq!(rotated["earlier_secrets_end_at"], "2023-11-17T22:13:20Z");
    let second = rotated["key"].as_str().unwrap();
    assert!(bench.holds(&first) && bench.holds(second));
    let ran = bench.run(&format!("rotate {id} --overlap 0s"));
    assert!(!bench.holds(&first) && !bench.holds(second) && bench.holds(ran.out.trim_end()));
    assert_eq!(bench.list().as_array().unwrap().len(), 1);
}

#[test]
fn a_revoked_key_holds_no_longer_and_cannot_be_rotated() {
    let bench = Bench::new();
    let (id, key) = bench.create("--name a");
    for said in ["revoked", "was revoked before"] {
        let ran = bench.run(&format!("revoke {id}"));
        assert_eq!((ran.code, ran.err.trim_end()), (0, &*format!("{id}: {said}")));
    }
    assert!(!bench.holds(&key));
    assert_eq!(bench.list()[0]["state"], "revoked");
    let ran = bench.run(&format!("rotate {id}"));
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("create a new one"), "{}", ran.err);
}

#[test]
fn an_unknown_id_is_answered_with_those_that_are_near() {
    let bench = Bench::new();
    let (id, key) = bench.create("--name nextcloud");
    let slip = format!("{}x", &id[..35]);
    for given in [&id[..8], "nextcloud", &key, &slip] {
        for command in ["revoke", "rotate"] {
            let ran = bench.run(&format!("{command} {given}"));
            assert_eq!((ran.code, ran.out.as_str()), (1, ""));
            let hint = format!("there is no key of this id; did you mean {id} (nextcloud)?");
            assert_eq!(ran.err.trim_end(), format!("farmgate: {hint}"), "{given}");
        }
    }
    let ran = bench.run("revoke elsewhere");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("see `farmgate keys list`"), "{}", ran.err);
    assert!(bench.holds(&key));
}

#[test]
fn what_makes_no_sense_is_refused_and_leaves_no_file() {
    let bench = Bench::new();
    let ran = bench.run("create --name a --expires 2020-01-01T00:00:00Z");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("--expires lies in the past"), "{}", ran.err);
    assert!(!bench.path().exists());
    for (words, kind) in [
        (vec!["create"], ErrorKind::MissingRequiredArgument),
        (vec!["create", "--name", ""], ErrorKind::ValueValidation),
        (vec!["create", "--name", "a\nb"], ErrorKind::ValueValidation),
        (vec!["create", "--name", "a", "--user", "a b"], ErrorKind::ValueValidation),
        (vec!["create", "--name", "a", "--scope", "raed"], ErrorKind::InvalidValue),
        (vec!["create", "--name", "a", "--expires", "soon"], ErrorKind::ValueValidation),
        (vec!["create", "--name", "a", "--expires", "0d"], ErrorKind::ValueValidation),
        (vec!["rotate", "x", "--overlap", "72"], ErrorKind::ValueValidation),
        (vec!["revoke"], ErrorKind::MissingRequiredArgument),
    ] {
        let error = Line::try_parse_from(["keys"].iter().chain(&words)).unwrap_err();
        assert_eq!((error.kind(), error.exit_code()), (kind, 2), "{words:?}");
    }
}

#[test]
fn a_key_that_cannot_be_shown_is_told_by_its_id() {
    struct Full;

    impl Write for Full {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let bench = Bench::new();
    let command = Line::try_parse_from(["keys", "create", "--name", "a"]).unwrap().command;
    let mut err = Vec::new();
    let mut screen = Screen { out: &mut Full, err: &mut err };
    assert_eq!(run(&command, &bench.path(), bench.now, &mut screen), 1);
    let listed = bench.list();
    let id = listed[0]["id"].as_str().unwrap();
    assert!(String::from_utf8(err).unwrap().contains(&format!("\"{id}\" was made but cannot")));
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let bench = Bench::new();
    bench.directory.write("state", "a file where the folder should be");
    let ran = bench.run("list");
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("state/farmgate.sqlite"), "{}", ran.err);
}
