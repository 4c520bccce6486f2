//! stub
use crate::auth::{ApiKeyTable, KeyError, Principal};
use crate::clock::Now;
/// k
#[derive(Debug, Default)]
pub struct Keys;
impl Keys {
    /// verify
    pub async fn verify(
        &self,
        t: &ApiKeyTable,
        key: &[u8],
        now: Now,
    ) -> Result<Principal, KeyError> {
        t.verify(key, now)
    }
}
