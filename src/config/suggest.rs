//! Which known word did the operator probably mean?

/// The candidate nearest to `word`, if one is near enough to be what was meant.
///
/// Near is the optimal string alignment distance (Damerau-Levenshtein, where no piece is edited
/// twice): inserting, dropping, changing or swapping one letter costs 1. Case, and `-` for `_`, cost
/// nothing. One edit is allowed for every three letters, three at the most; a tie goes to the
/// candidate that comes first.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = letters(word)?;
    let edits_max = (word.len() / 3).clamp(1, EDITS_MAX);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let letters = letters(candidate)?;
            if letters.len().abs_diff(word.len()) > edits_max {
                return None;
            }
            Some((distance(&word, &letters), candidate))
        })
        .filter(|(edits, _)| *edits <= edits_max && *edits < word.len())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// The letters that are compared; none for a text too long to be a mistyped word.
fn letters(word: &str) -> Option<Vec<char>> {
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    Some(
        word.chars().flat_map(char::to_lowercase).map(|c| if c == '-' { '_' } else { c }).collect(),
    )
}

/// The optimal string alignment distance of two words, row by row.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut row_before_last: Vec<usize> = Vec::new();
    let mut last_row: Vec<usize> = (0..=to.len()).collect();
    let mut from_before = None;
    for (i, &x) in from.iter().enumerate() {
        let mut left = i + 1;
        let mut row = vec![left];
        let mut to_before = None;
        for (j, (&y, pair)) in to.iter().zip(last_row.windows(2)).enumerate() {
            let &[diagonal, above] = pair else { continue };
            let mut edits = (diagonal + usize::from(x != y)).min(above + 1).min(left + 1);
            if from_before == Some(y) && to_before == Some(x) {
                let swapped = j.checked_sub(1).and_then(|column| row_before_last.get(column));
                edits = swapped.map_or(edits, |before| edits.min(before + 1));
            }
            row.push(edits);
            left = edits;
            to_before = Some(y);
        }
        from_before = Some(x);
        row_before_last = std::mem::replace(&mut last_row, row);
    }
    last_row.last().copied().unwrap_or(0)
}

/// The longest word for which a suggestion is looked for.
const WORD_BYTES_MAX: usize = 64;
/// The most edits after which two words still count as one word mistyped.
const EDITS_MAX: usize = 3;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn edits(from: &str, to: &str) -> usize {
        distance(&letters(from).unwrap(), &letters(to).unwrap())
    }

    #[test]
    fn each_kind_of_typo_costs_one_edit() {
        assert_eq!(edits("pool", "pool"), 0);
        assert_eq!(edits("pol", "pool"), 1);
        assert_eq!(edits("poool", "pool"), 1);
        assert_eq!(edits("poal", "pool"), 1);
        assert_eq!(edits("opol", "pool"), 1);
        assert_eq!(edits("", "pool"), 4);
        assert_eq!(edits("pool", ""), 4);
        assert_eq!(edits("ca", "abc"), 3);
    }

    #[test]
    fn the_nearest_candidate_is_suggested() {
        let pools = ["ndvi", "weather", "leather"];
        assert_eq!(closest("wether", pools), Some("weather"));
        assert_eq!(closest("leater", pools), Some("leather"));
        assert_eq!(closest("ndiv", pools), Some("ndvi"));
    }

    #[test]
    fn case_and_hyphen_do_not_count_as_edits() {
        assert_eq!(closest("Body-Bytes-Max", ["body_bytes_max"]), Some("body_bytes_max"));
    }

    #[test]
    fn an_unrelated_word_gets_no_suggestion() {
        assert_eq!(closest("listeners", ["pool", "auth"]), None);
        assert_eq!(closest("x", ["y", "ab"]), None);
        assert_eq!(closest("", ["a"]), None);
        assert_eq!(closest(&"a".repeat(1000), ["a"]), None);
    }

    proptest! {
        #[test]
        fn the_distance_is_the_same_both_ways(a in "[a-d]{0,7}", b in "[a-d]{0,7}") {
            prop_assert_eq!(edits(&a, &b), edits(&b, &a));
            prop_assert_eq!(edits(&a, &b) == 0, a == b);
        }
    }
}
