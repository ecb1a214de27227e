//! The known key that a misspelt one was probably meant to be.

/// Longer keys than this are not looked at: no known key comes near it.
const KEY_BYTES_MAX: usize = 48;

/// The closest of `known`, when it is close: at most a third of its letters differ.
pub(super) fn closest<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if key.len() > KEY_BYTES_MAX {
        return None;
    }
    let key = key.to_ascii_lowercase();
    known
        .map(|name| (distance(&key, &name.to_ascii_lowercase()), name))
        .min()
        .filter(|&(changes, name)| changes <= name.len() / 3)
        .map(|(_, name)| name)
}

/// A key that may be shown: a line that is no setting at all could be part of a pasted secret.
pub(super) fn presentable(key: &str) -> bool {
    key.len() <= KEY_BYTES_MAX
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// Bytes to insert, delete or replace (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_single_changes() {
        for (a, b, changes) in [
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("abc", "axc", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), changes, "{a} {b}");
            assert_eq!(distance(b, a), changes, "{b} {a}");
        }
    }

    #[test]
    fn a_typo_finds_its_key_and_noise_finds_none() {
        let known = || ["webServicePort", "brokerServiceUrl"].into_iter();
        assert_eq!(closest("webservicport", known()), Some("webServicePort"));
        assert_eq!(
            closest("brokerServiceURL", known()),
            Some("brokerServiceUrl")
        );
        assert_eq!(closest("somethingElse", known()), None);
        assert_eq!(closest(&"webServicePort".repeat(9), known()), None);
    }
}
