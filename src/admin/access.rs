//! May whoever asks see the cache and change it?

use http::{HeaderMap, StatusCode, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use super::Answer;
use crate::config::scalar::Secret;

/// Refuses whoever does not send the token as `Authorization: Bearer`; everybody, where there is
/// none.
pub(super) fn check(token: Option<&Secret>, headers: &HeaderMap) -> Result<(), Answer> {
    let Some(token) = token else {
        let problem = "the cache endpoints need a token: set `admin: {token: env:ADMIN_TOKEN}` in the \
                       configuration and reload";
        return Err(Answer::error(StatusCode::FORBIDDEN, problem));
    };
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, sent) = value.as_bytes().split_first_chunk::<7>()?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(sent)
    });
    // Of digests, so that also the length of the token takes no time to compare.
    let is_known =
        |sent: &[u8]| bool::from(Sha256::digest(sent).ct_eq(&Sha256::digest(token.as_bytes())));
    if sent.is_some_and(is_known) {
        return Ok(());
    }
    let problem = "send the token of `admin.token` as `Authorization: Bearer <token>`";
    let refused = Answer::error(StatusCode::UNAUTHORIZED, problem);
    Err(refused.with(header::WWW_AUTHENTICATE, "Bearer"))
}
