//! In which other ways do clients read their secret, and write their signature?

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::STANDARD};
use percent_encoding::percent_decode;

use super::recipe::{Change, Guess};
use super::report::Part;

const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const LENIENT: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY_PADDING);

/// What may have been the key in place of the bytes that the secret's base64 stands for.
pub(super) fn keys(secrets: &[&str]) -> Vec<Guess> {
    let mut guesses = Vec::new();
    for secret in secrets {
        let text = secret.trim();
        let strict = STANDARD.decode(text).ok();
        let mut add = |what: &'static str, key: Option<Vec<u8>>, advice: &'static str| {
            if let Some(key) = key.filter(|key| !key.is_empty() && Some(key) != strict.as_ref()) {
                guesses.push(Guess::new(Part::Secret, what, Change::Key(key), advice));
            }
        };
        let decode = "decode the secret's base64, and use the bytes as the key";
        add("made with the secret's base64 text as the key", Some(text.into()), decode);
        let with_end = Some(format!("{text}\n").into());
        add("made with the secret's base64 text and a line feed as the key", with_end, decode);
        let standard = "give the secret to both sides in standard base64 with padding";
        add("made with a secret in base64 without padding", LENIENT.decode(text).ok(), standard);
        add("made with a secret in url-safe base64", URL_SAFE.decode(text).ok(), standard);
        let hex_text = hex::decode(text).ok();
        add("made with a secret in hex", hex_text, standard);
        let Some(bytes) = &strict else { continue };
        let end = "a line feed got into the secret (echo adds one, printf %s does not)";
        let longer = Some([bytes.as_slice(), b"\n"].concat());
        add("made with a line feed at the end of the secret", longer, end);
        let shorter = bytes.strip_suffix(b"\n").map(<[u8]>::to_vec);
        add("made without the line feed at the end of the secret", shorter, end);
        add("made with the secret decoded twice", STANDARD.decode(bytes).ok(), decode);
        let as_hex = Some(hex::encode(bytes).into());
        add("made with the secret's bytes as hex text", as_hex, decode);
    }
    guesses
}

/// What a signature may stand for that is not written as the contract wants it, and the signature
/// of the other family of fields.
pub(super) fn signatures<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<Guess> {
    let mut guesses = Vec::new();
    for (index, text) in texts.enumerate() {
        for (what, bytes) in readings(text) {
            let Some(bytes) = bytes else { continue };
            let advice = "send the signature as hex, or as standard base64 with padding";
            let change = match bytes.len() {
                32 => Change::Signature(bytes),
                64 => Change::Sha512(bytes),
                _ => continue,
            };
            let is_long = matches!(change, Change::Sha512(_));
            // The plain reading is no deviation, but for SHA-512 and for the other family.
            let guess = match (what, is_long, index) {
                (Some(what), false, _) => Guess::new(Part::Signature, what, change, advice),
                (_, true, _) => {
                    let (what, advice) = ("made with SHA-512", "use HMAC-SHA256");
                    Guess::new(Part::Digest, what, change, advice)
                }
                (None, false, 1..) => {
                    let what = "in the other family of fields";
                    let advice = "send each field once: X-NC-* wins over the other";
                    Guess::new(Part::Signature, what, change, advice)
                }
                (None, false, 0) => continue,
            };
            guesses.push(guess);
        }
    }
    guesses
}

type Reading = (Option<&'static str>, Option<Vec<u8>>);

fn readings(text: &str) -> Vec<Reading> {
    let plain = |text: &str| hex::decode(text).or_else(|_| STANDARD.decode(text)).ok();
    let twice = |bytes: Option<Vec<u8>>| plain(std::str::from_utf8(&bytes?).ok()?);
    let trimmed = text.trim();
    let unquoted = trimmed.trim_matches(['"', '\'']);
    let prefixed = ["sha256=", "sha256:", "hmac-sha256=", "HMAC-SHA256 ", "v1=", "0x"];
    let unprefixed = prefixed.iter().find_map(|prefix| unquoted.strip_prefix(prefix));
    let unescaped = percent_decode(trimmed.as_bytes()).decode_utf8_lossy();
    vec![
        (None, plain(text)),
        (Some("written with white space around it"), plain(trimmed)),
        (Some("written in base64 without padding"), LENIENT.decode(trimmed).ok()),
        (Some("written in url-safe base64"), URL_SAFE.decode(trimmed).ok()),
        (Some("written as the base64 of its hex text"), twice(STANDARD.decode(trimmed).ok())),
        (Some("written as the hex of its base64 text"), twice(hex::decode(trimmed).ok())),
        (Some("written between quotes"), plain(unquoted)),
        (Some("written behind a prefix"), unprefixed.and_then(plain)),
        (Some("written with percent-encoding"), plain(&unescaped)),
        (Some("written with spaces where its base64 has +"), plain(&trimmed.replace(' ', "+"))),
    ]
}
