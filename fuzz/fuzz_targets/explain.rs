//! Is a captured request read as it stands, and its explanation true?
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use farmgate::auth::explain::{Asked, Explanation, SecretText, explain, printable_text};
use farmgate::auth::is_nonce;
use farmgate::cli::Captured;
use farmgate_fuzz::signing::METHODS;
use farmgate_fuzz::{EARLIER, at, has_control};
use http::HeaderValue;
use http::request::Parts;
use libfuzzer_sys::fuzz_target;

/// The secret of the third vector, and one that is not base64.
const SECRETS: [&str; 2] = ["Z29sZGVuLXNlY3JldC0wMTIzNDU2Nzg5", "not base64"];

static TEXTS: LazyLock<[SecretText; 2]> = LazyLock::new(|| SECRETS.map(SecretText::new));

fuzz_target!(|data: &[u8]| {
    let (capture, claimed) = halves(data);
    let Ok(captured) = Captured::read(capture) else { return };
    assert!(captured.body.len() <= capture.len());
    let Ok(head) = captured.parts() else { return };
    let claimed = claimed.and_then(|claimed| std::str::from_utf8(claimed).ok());
    let explained = explain_it(&head, &captured.body, claimed);
    check(&explained, data);
    check_expected(&explained, head, &captured.body);
});

/// Behind a line `%%` stands the string that the client says it has signed.
fn halves(data: &[u8]) -> (&[u8], Option<&[u8]>) {
    let at = data.windows(4).position(|window| window == b"\n%%\n");
    at.map_or((data, None), |at| (&data[..at], Some(&data[at + 4..])))
}

fn explain_it(head: &Parts, body: &[u8], claimed: Option<&str>) -> Explanation {
    let skew = Duration::from_secs(300);
    let asked = Asked { secrets: &*TEXTS, methods: &METHODS, skew, claimed };
    explain(head, body, &asked, at(EARLIER)).expect("the skew and the secrets are right")
}

fn check(explained: &Explanation, data: &[u8]) {
    assert_eq!(explained.holds, explained.answer.code.is_none());
    assert_eq!(explained.answer.status, explained.answer.code.map(|_| 403));
    assert!(!explained.verdict.is_empty() && !has_control(&explained.verdict));
    assert!(!explained.holds || explained.deviations.is_empty());
    assert!(explained.advice.iter().chain(&explained.notes).all(|text| !has_control(text)));
    assert!(!has_control(&printable_text(&explained.canonical)));
    let told = format!("{explained:?}");
    let [secret, _] = SECRETS;
    let was_sent = data.windows(secret.len()).any(|sent| sent == secret.as_bytes());
    assert!(was_sent || !told.contains(secret));
}

/// The signature that is said to hold holds, as long as nothing but the signature was wrong.
fn check_expected(explained: &Explanation, mut head: Parts, body: &[u8]) {
    let only_signature = matches!(
        explained.answer.code,
        None | Some("sig_mismatch" | "method_mismatch" | "path_mismatch" | "body_hash_mismatch")
    );
    let nonces = ["x-nc-nonce", "x-nonce"].map(|name| head.headers.get(name));
    let nonce = nonces.into_iter().flatten().find(|nonce| !nonce.is_empty());
    let has_nonce = nonce.and_then(|nonce| nonce.to_str().ok()).is_some_and(is_nonce);
    if !only_signature || !has_nonce {
        return;
    }
    let expected = explained.expected.as_ref().expect("the first secret can be read");
    let text: String = expected.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    head.headers.remove("x-signature");
    head.headers.insert("x-nc-signature", HeaderValue::from_str(&text).expect("hex is a field"));
    let signed = explain_it(&head, body, None);
    assert!(signed.holds, "{}", signed.verdict);
}
