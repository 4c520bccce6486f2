//! stub
use crate::auth::{NonceError, NonceMemory, UnclaimedNonce};
use crate::clock::Now;
/// n
#[derive(Debug)]
pub struct Nonces(pub NonceMemory);
impl Nonces {
    /// claim
    pub async fn claim(&self, nonce: &UnclaimedNonce, now: Now) -> Result<(), NonceError> {
        self.0.claim(nonce, now)
    }
    /// entries
    pub fn entries(&self) -> usize {
        self.0.entries()
    }
}
