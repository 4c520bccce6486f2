//! How does the TIFF library see bytes that were already read?
//!
//! async-tiff asks a reader for bytes. Ours answers from memory only, so its futures are ready at
//! once and the library can run on a blocking thread without touching the network.

use std::ops::Range;

use async_tiff::error::{AsyncTiffError, AsyncTiffResult};
use async_tiff::reader::AsyncFileReader;
use async_trait::async_trait;
use bytes::Bytes;

use crate::scenes::ranges::Part;

/// Parts of one file, in memory.
#[derive(Debug)]
pub(super) struct Parts(Vec<Part>);

impl Parts {
    pub(super) fn new(parts: Vec<Part>) -> Self {
        Self(parts)
    }

    fn slice(&self, range: &Range<u64>) -> Option<Bytes> {
        self.0.iter().find_map(|part| {
            let start = usize::try_from(range.start.checked_sub(part.start)?).ok()?;
            let end = usize::try_from(range.end.checked_sub(part.start)?).ok()?;
            (start <= end && end <= part.bytes.len()).then(|| part.bytes.slice(start..end))
        })
    }
}

#[async_trait]
impl AsyncFileReader for Parts {
    async fn get_bytes(&self, range: Range<u64>) -> AsyncTiffResult<Bytes> {
        self.slice(&range).ok_or_else(|| {
            let held = self.0.iter().map(|part| part.bytes.len() as u64).sum();
            AsyncTiffError::EndOfFile(range.end, held)
        })
    }
}

/// Two parts as one, the second beginning where the first ends.
pub(super) fn join(first: &Part, second: &Part) -> Part {
    let bytes = [first.bytes.as_ref(), second.bytes.as_ref()].concat();
    Part { start: first.start, bytes: bytes.into(), version: first.version.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenes::ranges::Version;

    fn part(start: u64, bytes: &'static [u8]) -> Part {
        let version = Version { etag: None, length: 100 };
        Part { start, bytes: Bytes::from_static(bytes), version }
    }

    #[test]
    fn only_bytes_that_were_read_are_handed_out() {
        let parts = Parts::new(vec![part(0, b"head"), part(50, b"tile")]);
        assert_eq!(parts.slice(&(1..3)).as_deref(), Some(&b"ea"[..]));
        assert_eq!(parts.slice(&(50..54)).as_deref(), Some(&b"tile"[..]));
        for missing in [3..5, 40..52, 53..55, 4..4 + u64::MAX / 2] {
            assert_eq!(parts.slice(&missing), None, "{missing:?}");
        }
    }
}
