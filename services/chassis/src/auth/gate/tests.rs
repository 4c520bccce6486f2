//! Who may do without credentials, and what does a request need?
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;
use crate::settings::Settings;

const SECRET: (&str, &str) = ("JWT_SIGNING_KEY", "thirty-two bytes, or some more of them");
const DISABLED: (&str, &str) = ("AUTH_DISABLED", "true");

fn open(listen: &str, pairs: &[(&str, &str)]) -> Result<Auth, AuthError> {
    let mut env = Settings::from_pairs(pairs.iter().copied());
    let settings = AuthSettings::read(&mut env);
    env.finish(&super::super::PREFIXES).unwrap();
    Auth::open(&settings, listen.parse().unwrap(), &Metrics::new().unwrap())
}

#[test]
fn without_credentials_only_this_machine_is_served() {
    for listen in ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
        assert!(open(listen, &[]).unwrap().gate_of("/").is_none(), "{listen}");
        assert!(open(listen, &[SECRET]).unwrap().gate_of("/").is_some(), "{listen}");
    }
    for listen in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80"] {
        let told = open(listen, &[]).unwrap_err().to_string();
        for name in ["INTERNAL_TOKEN_SECRET", "JWT_SIGNING_KEY", "API_KEY_PEPPER", "AUTH_DISABLED"]
        {
            assert!(told.contains(name) && told.starts_with(listen), "{told}");
        }
        assert!(open(listen, &[SECRET]).unwrap().gate_of("/").is_some());
        assert!(open(listen, &[DISABLED]).unwrap().gate_of("/").is_none());
        assert!(open(listen, &[SECRET, DISABLED]).unwrap().gate_of("/").is_none());
    }
}

#[test]
fn bypassed_paths_are_exact() {
    let auth = open("127.0.0.1:80", &[SECRET]).unwrap();
    for (path, is_asked) in [
        ("/healthz", false),
        ("/readyz", false),
        ("/metrics", false),
        ("/healthz/", true),
        ("/metrics/x", true),
        ("//metrics", true),
        ("/", true),
    ] {
        assert_eq!(auth.gate_of(path).is_some(), is_asked, "{path}");
    }
}

#[test]
fn posts_write_unless_their_route_is_named() {
    let auth = Auth::everybody().posts_that_read(&["/ask"]);
    for (method, template, need) in [
        (Method::GET, None, Need::Read),
        (Method::HEAD, Some("/things"), Need::Read),
        (Method::OPTIONS, None, Need::Read),
        (Method::POST, Some("/ask"), Need::Read),
        (Method::POST, Some("/things"), Need::Write),
        (Method::POST, None, Need::Write),
        (Method::PUT, Some("/ask"), Need::Write),
        (Method::DELETE, Some("/ask"), Need::Write),
    ] {
        assert_eq!(auth.need(&method, template), need, "{method} {template:?}");
    }
}

#[test]
fn address_of_the_database_is_not_repeated() {
    let pairs = [("MYSQL_DATABASE_URL", "postgres://u:hidden@h/d"), ("API_KEY_PEPPER", "p")];
    let told = open("127.0.0.1:80", &pairs).unwrap_err();
    assert!(told.to_string().contains("mysql://user:password@host:3306/database"), "{told}");
    assert!(!format!("{told} {told:?}").contains("hidden"));
}
