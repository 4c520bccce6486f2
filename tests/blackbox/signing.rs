//! What `farmgate sign` and `farmgate explain-signature` say, and whether the gateway agrees.

use harness::{Directory, Finished, Message, Program, unix_now};
use serde_json::{Value, json};

use crate::fixtures::{nextcloud, serve};

const EXIT_USAGE: i32 = 2;
const SECRET: &str = "c2VjcmV0IG9mIHRoZSB0ZXN0cw==";
const PING: &str = "/api/v1/integrations/nextcloud/ping/";

fn farmgate(arguments: &[&str]) -> Program {
    let program = Program::at(env!("CARGO_BIN_EXE_farmgate")).clean_env();
    program.args(arguments.iter().copied())
}

/// Runs a command with a request that is right but for what `more` says.
async fn run(command: &str, more: &[&str]) -> Finished {
    let request = ["--method", "GET", "--path", PING, "--timestamp", "1700000000"];
    farmgate(&[&[command], &request[..], &["--nonce", "n-1"], more].concat()).run().await
}

/// The one object on stdout.
fn object(finished: &Finished) -> Value {
    assert_eq!(finished.stdout.len(), 1, "{:?}", finished.stdout);
    assert!(finished.stderr.is_empty(), "{:?}", finished.stderr);
    serde_json::from_str(&finished.stdout[0]).unwrap()
}

/// The signature that is right for [`run`].
async fn right(more: &[&str]) -> Value {
    object(&run("sign", &[&["--secret-base64", SECRET], more].concat()).await.expect_code(0))
}

#[tokio::test]
async fn recorded_vectors_come_out_byte_for_byte() {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../data/hmac_vectors.json")).unwrap();
    assert_eq!(vectors.len(), 3);
    let directory = Directory::new();
    for vector in &vectors {
        let text = |key: &str| vector[key].as_str().unwrap();
        assert_eq!(text("body_b64"), "", "write the body of {} to the file", text("name"));
        let body = directory.write("body", "").display().to_string();
        let secret_file = directory.write("secret", format!("{}\n", text("secret_b64")));
        let place = format!("file:{}", secret_file.display());
        let env_file = directory.write(".env", format!("S='{}'\n", text("secret_b64")));
        let env_file = env_file.display().to_string();
        let timestamp = vector["timestamp"].to_string();
        let request = [
            "sign",
            "--method",
            text("method"),
            "--path",
            text("path"),
            "--query",
            text("query"),
            "--timestamp",
            &timestamp,
            "--nonce",
            text("nonce"),
            "--body-file",
            &body,
        ];
        let expected = format!(
            r#"{{"canonical":{},"hex":"{}","base64":"{}"}}"#,
            vector["canonical"],
            text("sig_hex"),
            text("sig_b64")
        );
        for secret in [
            &["--secret-base64", text("secret_b64")][..],
            &["--secret", &place],
            &["--secret", "env:S", "--env-file", &env_file],
        ] {
            let finished = farmgate(&[&request, secret].concat()).run().await.expect_code(0);
            assert_eq!(finished.stdout, [expected.as_str()], "{}", text("name"));
        }
    }
}

#[tokio::test]
async fn body_counts_for_every_method_but_get() {
    let directory = Directory::new();
    let body = directory.write("body", "{\"a\":1}").display().to_string();
    let empty = right(&[]).await;
    assert_eq!(right(&["--body-file", &body]).await, empty);
    let request = ["sign", "--method", "post", "--path", "/a", "--secret-base64", SECRET];
    let more = ["--timestamp", "1", "--nonce", "n", "--body-file", &body];
    let posted = farmgate(&[&request[..], &more].concat()).run().await.expect_code(0);
    let posted = object(&posted);
    let hash = "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862";
    assert_eq!(posted["canonical"], format!("POST\n/a\n\n1\nn\n{hash}"));
    let script = format!(
        "printf '{{\"a\":1}}' | \"$0\" sign --method POST --path /a --timestamp 1 --nonce n \
         --secret-base64 {SECRET} --body-file -"
    );
    let piped = Program::at("/bin/sh").args(["-c", &script, env!("CARGO_BIN_EXE_farmgate")]);
    assert_eq!(object(&piped.run().await.expect_code(0)), posted);
}

#[tokio::test]
async fn printed_header_fields_open_a_signed_route() {
    let sections = "auth: {hmac: {clients: [{id: nextcloud, secrets: ['env:HMAC_SECRET']}]}}";
    let route = "{name: signed, path_prefix: /, pool: service, auth: {any: [hmac]}}";
    let (origin, gw) = serve(sections, &[route]).await;
    let secret = nextcloud().secret_base64();
    for (family, encoding) in [("nc", "base64"), ("alias", "hex")] {
        let request = [
            "sign",
            "--method",
            "GET",
            "--path",
            "/caf%C3%A9/",
            "--query",
            "b=2&a=x+y",
            "--secret",
            "env:HMAC",
            "--headers",
            family,
            "--encoding",
            encoding,
            "--client-id",
            "nextcloud",
        ];
        let finished = farmgate(&request).env("HMAC", &secret).run().await.expect_code(0);
        let fields: Vec<(String, String)> = finished
            .stdout
            .iter()
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        let expected = match family {
            "nc" => ["X-NC-CLIENT-ID", "X-NC-TIMESTAMP", "X-NC-NONCE", "X-NC-SIGNATURE"],
            _ => ["X-Client-Id", "X-Timestamp", "X-Nonce", "X-Signature"],
        };
        assert_eq!(names, expected);
        assert_eq!(fields[3].1.len(), if encoding == "hex" { 64 } else { 44 });
        gw.get("/caf%C3%A9/?b=2&a=x+y").headers(fields).send().await.expect_status(200);
    }
    assert_eq!(origin.calls("/caf%C3%A9/"), 2);
}

#[tokio::test]
async fn arguments_that_are_wrong_are_told_and_never_repeat_a_secret() {
    let sign = ["--secret-base64", SECRET];
    for (more, words) in [
        (vec![], "<--secret-base64 <BASE64>|--secret <PLACE>>"),
        (vec!["--secret-base64", "hunter2-_"], "not standard base64 with padding"),
        (vec!["--secret-base64", ""], "empty secret"),
        (vec!["--secret", "hunter2"], "write env:NAME or file:PATH"),
        (vec!["--secret", "env:UNSET"], "UNSET is not set"),
        (vec!["--secret", "file:no.hunter"], "cannot be read"),
        ([&sign[..], &["--secret", "env:hunter2"]].concat(), "cannot be used with"),
        ([&sign[..], &["--query", "?a=1"]].concat(), "without its ?"),
        ([&sign[..], &["--body-file", "/no/file"]].concat(), "/no/file cannot be read"),
        ([&sign[..], &["--headers", "nc"]].concat(), "--client-id"),
        ([&sign[..], &["--headers", "nc", "--client-id", "a b"]].concat(), "without spaces"),
        ([&sign[..], &["--env-file", "/no/file"]].concat(), "/no/file: cannot be read"),
    ] {
        let finished = run("sign", &more).await.expect_code(EXIT_USAGE);
        let said = finished.stderr.join("\n");
        assert!(said.contains(words), "{more:?}: {said}");
        assert!(!said.contains("hunter2") && !said.contains(SECRET), "{said}");
        assert!(finished.stdout.is_empty());
    }
    for (name, value, words) in [
        ("--path", "ping", "begins with /"),
        ("--path", "/a?b", "as --query"),
        ("--path", "/a\nb", "percent-encoded"),
        ("--timestamp", "+1700000000", "plain digits"),
        ("--timestamp", "1_700", "plain digits"),
        ("--timestamp", "", "plain digits"),
        ("--nonce", " n", "no space at its ends"),
        ("--nonce", "n\u{e9}", "printable ASCII"),
        ("--method", "GE T", "such as GET"),
    ] {
        let mut request = vec!["sign", "--secret-base64", SECRET];
        let usual = [("--method", "GET"), ("--path", "/"), ("--timestamp", "1"), ("--nonce", "n")];
        for (usual, right) in usual {
            request.extend([usual, if usual == name { value } else { right }]);
        }
        let finished = farmgate(&request).run().await.expect_code(EXIT_USAGE);
        let said = finished.stderr.join("\n");
        assert!(said.contains(words), "{name} {value}: {said}");
    }
}

#[tokio::test]
async fn signature_that_holds_is_said_to_hold() {
    let signature = right(&[]).await;
    for encoding in ["hex", "base64"] {
        let signature = signature[encoding].as_str().unwrap();
        let more = ["--signature", signature, "--secret-base64", SECRET, "--now", "1700000299"];
        let finished = run("explain-signature", &more).await.expect_code(0);
        assert_eq!(finished.stdout[0], "the signature holds");
        assert!(!finished.stdout.join("\n").contains(SECRET));
    }
}

#[tokio::test]
async fn slash_that_was_not_signed_is_explained_without_showing_what_is_secret() {
    let short = PING.trim_end_matches('/');
    let request = ["sign", "--method", "GET", "--path", short, "--timestamp", "1700000000"];
    let signed = [&request[..], &["--nonce", "n-1", "--secret-base64", SECRET]].concat();
    let signature = object(&farmgate(&signed).run().await.expect_code(0));
    let expected = right(&[]).await;
    let more = [
        "--signature",
        signature["hex"].as_str().unwrap(),
        "--secret",
        "env:S",
        "--now",
        "1700000000",
    ];
    let explain = async |extra: &[&str]| {
        let more = [&more[..], extra].concat();
        let request = ["--method", "GET", "--path", PING, "--timestamp", "1700000000"];
        let all = [&["explain-signature"], &request[..], &["--nonce", "n-1"], &more].concat();
        farmgate(&all).env("S", SECRET).run().await.expect_code(1)
    };
    let text = explain(&[]).await.stdout;
    assert_eq!(
        text[0],
        format!(
            "it was made for the path without its trailing slash: the client signed `{short}`, the \
             gateway received `{PING}`"
        )
    );
    assert!(text.iter().any(|line| line.starts_with("The gateway's answer: 403 path_mismatch")));
    assert!(text.contains(&format!("  {PING}\\n")) && text.contains(&"  1700000000\\n".into()));
    let report = object(&explain(&["--json"]).await);
    assert_eq!(report["holds"], json!(false));
    assert_eq!(report["answer"]["code"], json!("path_mismatch"));
    assert_eq!(report["answer"]["status"], json!(403));
    assert_eq!(report["canonical"], expected["canonical"]);
    let deviation = &report["deviations"][0];
    assert_eq!((&deviation["part"], &deviation["signed"]), (&json!("path"), &json!(short)));
    let shown = [text.join("\n"), report.to_string()].concat();
    let secrets = [SECRET, "secret of the tests"];
    let signatures = ["hex", "base64"].map(|encoding| expected[encoding].as_str().unwrap());
    for hidden in secrets.iter().chain(&signatures) {
        assert!(!shown.contains(hidden), "{hidden} in {shown}");
    }
    let shown = explain(&["--show-expected"]).await.stdout.join("\n");
    assert!(signatures.iter().all(|signature| shown.contains(signature)), "{shown}");
    assert!(!secrets.iter().any(|secret| shown.contains(secret)), "{shown}");
    let report = object(&explain(&["--json", "--show-expected"]).await);
    assert_eq!(report["expected_signature"]["base64"], expected["base64"]);
}

#[tokio::test]
async fn captured_request_is_read_and_flags_win_over_it() {
    let directory = Directory::new();
    let signature = right(&[]).await;
    let capture = format!(
        "GET {PING} HTTP/1.1\nHost: farm.example\nX-Client-Id: nc\nX-Timestamp: 1700000000\n\
         X-NC-Nonce: n-1\nX-Signature: {}\n\nignored by GET",
        signature["base64"].as_str().unwrap()
    );
    let explain = async |capture: &str, more: &[&str]| {
        let file = directory.write("request", capture).display().to_string();
        let usual = ["explain-signature", "--request", &file, "--secret-base64", SECRET];
        let now: &[&str] = if more.contains(&"--now") { &[] } else { &["--now", "1700000000"] };
        farmgate(&[&usual[..], now, more].concat()).run().await
    };
    explain(&capture, &[]).await.expect_code(0);
    explain(&capture.replace('\n', "\r\n"), &[]).await.expect_code(0);
    let other = explain(&capture, &["--nonce", "N-1"]).await.expect_code(1);
    assert!(other.stdout[0].contains("the nonce in lower case"), "{}", other.stdout[0]);
    let other = explain(&capture, &["--query", "a=1"]).await.expect_code(1);
    assert!(other.stdout[0].contains("made without the query"), "{}", other.stdout[0]);
    let other = explain(&capture, &["--method", "HEAD", "--json"]).await.expect_code(1);
    assert_eq!(object(&other)["answer"]["code"], json!("method_mismatch"));
    let missing = explain(&capture.replace("X-Client-Id: nc\n", ""), &["--json"]).await;
    let missing = object(&missing.expect_code(1));
    assert_eq!(missing["answer"]["code"], json!("missing_headers"));
    assert!(missing["verdict"].as_str().unwrap().contains("X-NC-CLIENT-ID"), "{missing}");
    let late = explain(&capture, &["--skew", "1s", "--now", "1700000002"]).await.expect_code(1);
    assert!(late.stdout[0].contains("2 s away from the gateway's clock"), "{}", late.stdout[0]);
    let wide = explain(&capture, &["--skew", "2h"]).await.expect_code(EXIT_USAGE);
    assert!(wide.stderr[0].contains("use at most 3600"), "{:?}", wide.stderr);
    let long = explain(&"x".repeat(1024 * 1024 + 1), &[]).await.expect_code(EXIT_USAGE);
    assert!(long.stderr[0].contains("more than 1048576 bytes"), "{:?}", long.stderr);
    let broken = explain("nonsense", &[]).await.expect_code(EXIT_USAGE);
    assert!(broken.stderr[0].contains("no request line"), "{:?}", broken.stderr);
    let usual = ["explain-signature", "--secret-base64", SECRET, "--path", "/"];
    let nothing = farmgate(&usual).run().await.expect_code(EXIT_USAGE);
    assert!(nothing.stderr[0].contains("--method is not known"), "{:?}", nothing.stderr);
}

#[tokio::test]
async fn canonical_string_of_the_client_is_compared_line_by_line() {
    let directory = Directory::new();
    let signed = right(&["--query", "b=1&a=2&c=3"]).await;
    let canonical = signed["canonical"].as_str().unwrap();
    let file = directory.write("canonical", format!("{canonical}\n")).display().to_string();
    let more = [
        "--signature",
        signed["hex"].as_str().unwrap(),
        "--secret-base64",
        SECRET,
        "--query",
        "b=1&a=3",
        "--now",
        "1700000000",
        "--expected-canonical",
        &file,
    ];
    let text = run("explain-signature", &more).await.expect_code(1).stdout;
    assert_eq!(
        text[0],
        "the canonical strings differ in the query: the client signed `a=2&b=1&c=3`, the gateway \
         received `a=3&b=1`"
    );
    assert!(text.contains(&"  - query      a=2&b=1&c=3".into()), "{text:#?}");
    assert!(text.contains(&"  +            a=3&b=1".into()));
    assert!(text.contains(&"  = nonce      n-1".into()));
    assert!(text.contains(&"  * the signature was made from the client's string".into()));
}

/// What is explained of `POST /a/?b=9` with the body `{}`, sent with this signature.
async fn explained(timestamp: &str, signature: &str, secret: &str) -> Value {
    let directory = Directory::new();
    let body = directory.write("body", "{}").display().to_string();
    let request = ["explain-signature", "--method", "POST", "--path", "/a/", "--query", "b=9"];
    let fields = ["--timestamp", timestamp, "--nonce", "n-1", "--signature", signature];
    let more = ["--body-file", &body, "--secret-base64", secret, "--route-methods", "GET,POST"];
    let all = [&request[..], &fields, &more, &["--json"]].concat();
    object(&farmgate(&all).run().await)
}

#[tokio::test]
async fn gateway_gives_the_code_that_was_explained() {
    let sections = "auth: {hmac: {clients: [{id: nextcloud, secrets: ['env:HMAC_SECRET']}]}}";
    let route = "{name: signed, path_prefix: /, methods: [GET, POST], pool: service, \
                 auth: {any: [hmac]}}";
    let (_origin, gw) = serve(sections, &[route]).await;
    let now = unix_now();
    let usual = || Message {
        method: "POST",
        path: "/a/",
        query: "b=9",
        timestamp: now,
        nonce: "n-1",
        body: b"{}",
    };
    // A wrong timestamp is sent; any other part is signed, but not sent.
    let cases = [
        (usual(), None),
        (Message { method: "GET", ..usual() }, Some("method_mismatch")),
        (Message { method: "PUT", ..usual() }, Some("sig_mismatch")),
        (Message { path: "/a", ..usual() }, Some("path_mismatch")),
        (Message { path: "/b/", ..usual() }, Some("sig_mismatch")),
        (Message { query: "", ..usual() }, Some("sig_mismatch")),
        (Message { body: b"", ..usual() }, Some("body_hash_mismatch")),
        (Message { timestamp: now - 4_000, ..usual() }, Some("skew")),
        (Message { timestamp: now + 4_000, ..usual() }, Some("skew")),
        (Message { nonce: "n-2", ..usual() }, Some("sig_mismatch")),
    ];
    for (message, code) in cases {
        let timestamp = message.timestamp.to_string();
        let signature = nextcloud().sign(&message).hex();
        let said = explained(&timestamp, &signature, &nextcloud().secret_base64()).await;
        assert_eq!(said["answer"]["code"], json!(code));
        let fields = [
            ("X-NC-CLIENT-ID", "nextcloud"),
            ("X-NC-TIMESTAMP", &timestamp),
            ("X-NC-NONCE", "n-1"),
            ("X-NC-SIGNATURE", &signature),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let reply = gw.post("/a/?b=9").body("{}").headers(fields).send().await;
        match code {
            None => drop(reply.expect_status(200)),
            Some(code) => drop(reply.expect_status(403).expect_json("/errors/reason", code)),
        }
    }
}
