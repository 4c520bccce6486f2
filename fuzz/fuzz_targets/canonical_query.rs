//! Does a query have one canonical form, whoever writes it down?
#![no_main]

use farmgate::auth::{canonical_path, canonical_query};
use farmgate_fuzz::reference;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let canonical = canonical_query(&text);
    assert_eq!(canonical, reference::query(&text), "the contract's form");
    assert_eq!(canonical_query(&canonical), canonical, "a form of its own form");
    assert_eq!(reference::meaning(&canonical), reference::meaning(&text), "the same pairs");
    check_form(&canonical);

    let mut pairs: Vec<&str> = text.split('&').collect();
    pairs.reverse();
    assert_eq!(canonical_query(&pairs.join("&")), canonical, "whatever the order");
    let half = pairs.len() / 2;
    pairs.rotate_left(half);
    assert_eq!(canonical_query(&pairs.join("&&")), canonical, "and with empty pairs");

    let path = canonical_path(&text);
    assert_eq!(path, reference::decoded(text.as_bytes(), false), "the decoded path");
});

/// Sorted pairs of one alphabet, each with one `=`.
fn check_form(canonical: &str) {
    let pairs: Vec<(&str, &str)> = canonical
        .split('&')
        .filter(|_| !canonical.is_empty())
        .map(|pair| pair.split_once('=').expect("each pair has its ="))
        .collect();
    assert!(pairs.is_sorted());
    for text in pairs.iter().flat_map(|(key, value)| [key, value]) {
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            if byte != b'%' {
                assert!(reference::is_unreserved(byte), "{canonical}");
                continue;
            }
            let digits: Vec<u8> = rest.by_ref().take(2).collect();
            let escaped = std::str::from_utf8(&digits).ok().filter(|digits| digits.len() == 2);
            let escaped = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            assert!(escaped.is_some_and(|byte| !reference::is_unreserved(byte)), "{canonical}");
            assert!(!digits.iter().any(u8::is_ascii_lowercase), "{canonical}");
        }
    }
}
