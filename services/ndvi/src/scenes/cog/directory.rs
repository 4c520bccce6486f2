//! Does the directory of a TIFF announce more than its file can hold?
//!
//! The library makes room for as many entries and values as are announced before it looks for them;
//! a file of a few bytes could ask for all the memory there is, and a process that cannot get it
//! ends. TIFF 6.0, section 2; BigTIFF has the same fields, wider.

use super::HEADER_BYTES_MAX;

/// Most entries of one directory; a Sentinel-2 band has about 20.
const ENTRIES_MAX: u64 = 4_096;

/// How wide the fields of a directory are.
struct Form {
    is_little: bool,
    is_big: bool,
}

/// Checks the first directory as far as it lies in these bytes from the file's start.
///
/// # Errors
/// What is too much. What lies beyond the bytes is left to the reader, which asks for it.
pub(super) fn check(start: &[u8]) -> Result<(), &'static str> {
    let Some((form, at)) = first(start) else { return Ok(()) };
    let (count_bytes, entry_bytes, value_bytes) = if form.is_big { (8, 20, 8) } else { (2, 12, 4) };
    let Some(count) = form.number(start, at, count_bytes) else { return Ok(()) };
    if count > ENTRIES_MAX {
        return Err("its directory announces too many entries");
    }
    for entry in 0..count {
        let at = at + count_bytes + entry * entry_bytes;
        let kind = form.number(start, at + 2, 2);
        let (Some(kind), Some(values)) = (kind, form.number(start, at + 4, value_bytes)) else {
            return Ok(());
        };
        if values.saturating_mul(size_of_value(kind)) > HEADER_BYTES_MAX {
            return Err("an entry of its directory announces too many values");
        }
    }
    Ok(())
}

/// The form of the file, and where its first directory begins.
fn first(start: &[u8]) -> Option<(Form, u64)> {
    let is_little = match start.get(..2)? {
        b"II" => true,
        b"MM" => false,
        _ => return None,
    };
    let narrow = Form { is_little, is_big: false };
    match narrow.number(start, 2, 2)? {
        42 => narrow.number(start, 4, 4).map(|at| (narrow, at)),
        43 => {
            let at = narrow.number(start, 8, 8)?;
            // Far beyond what is held, and near the end of what can be counted.
            (at <= u64::from(u32::MAX)).then_some((Form { is_little, is_big: true }, at))
        }
        _ => None,
    }
}

/// Bytes of one value of a type; the widest for one that is not known.
fn size_of_value(kind: u64) -> u64 {
    match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        _ => 8,
    }
}

impl Form {
    fn number(&self, bytes: &[u8], at: u64, width: u64) -> Option<u64> {
        let at = usize::try_from(at).ok()?;
        let bytes = bytes.get(at..at.checked_add(usize::try_from(width).ok()?)?)?;
        let push = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
        Some(if self.is_little {
            bytes.iter().rev().fold(0, push)
        } else {
            bytes.iter().fold(0, push)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCL: &[u8] = include_bytes!("../../../tests/data/scl/S2A_29RKH_20200219_0_L2A_SCL.tif");

    /// A BigTIFF whose directory has this many entries, the first with this many bytes.
    fn big(entries: u64, values: u64) -> Vec<u8> {
        let mut file = b"II\x2b\0\x08\0\0\0".to_vec();
        file.extend(16_u64.to_le_bytes());
        file.extend(entries.to_le_bytes());
        file.extend([0, 1, 1, 0]);
        file.extend(values.to_le_bytes());
        file.extend([0; 8]);
        file
    }

    #[test]
    fn real_directory_passes_whole_and_cut() {
        for length in [0, 1, 8, 100, 300, SCL.len()] {
            assert_eq!(check(SCL.get(..length).unwrap_or_default()), Ok(()), "{length} bytes");
        }
        assert_eq!(check(&big(1, 8)), Ok(()));
    }

    #[test]
    fn directory_that_announces_more_than_a_header_holds_is_refused() {
        for file in [big(1 << 34, 8), big(1, 1 << 50), big(u64::MAX, u64::MAX)] {
            assert!(check(&file).is_err(), "{file:?}");
        }
        let mut narrow = b"MM\0\x2a\0\0\0\x08\0\x01".to_vec();
        narrow.extend([1, 0, 0, 12, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        assert!(check(&narrow).is_err());
    }
}
