//! Suggests the known name closest to a misspelt one.

/// Returns a hint for a message about the unknown `name`: the closest of the `known` names, or all
/// of them if none is close.
pub(crate) fn hint<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let joined = |text: &str| text.replace(['_', '-'], "");
    let name = &joined(name);
    let near = known
        .clone()
        .map(|candidate| (joined(candidate), candidate))
        .map(|(joined, candidate)| (similarity(name, &joined), distance(name, &joined), candidate))
        .filter(|(similarity, distance, candidate)| {
            *similarity < Similarity::Letters
                || *distance <= candidate.chars().count().div_ceil(LETTERS_PER_EDIT)
        })
        .min();
    match near {
        Some((_, _, candidate)) => format!("did you mean {candidate}?"),
        None => format!("known: {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// A known name is close if at most one letter in this many differs.
const LETTERS_PER_EDIT: usize = 3;

/// The similarity of two names, closest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Similarity {
    /// At most one letter differs.
    OneLetter,
    /// One contains the other.
    Contained,
    Letters,
}

fn similarity(name: &str, candidate: &str) -> Similarity {
    if distance(name, candidate) <= 1 {
        Similarity::OneLetter
    } else if is_inside(name, candidate) {
        Similarity::Contained
    } else {
        Similarity::Letters
    }
}

fn is_inside(name: &str, candidate: &str) -> bool {
    name.contains(candidate) || (name.len() > LETTERS_PER_EDIT && candidate.contains(name))
}

/// Returns the number of letters to insert, remove or replace to get from one name to the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, b) in row.iter_mut().skip(1).zip(other.chars()) {
            let replaced = diagonal + usize::from(a != b);
            diagonal = *cell;
            *cell = replaced.min(diagonal + 1).min(left + 1);
            left = *cell;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (one, other, expected) in
            [("", "", 0), ("a", "", 1), ("", "ab", 2), ("kitten", "sitting", 3), ("ä", "a", 1)]
        {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn closest_name_is_suggested() {
        let known = ["schedule", "plugin", "expiry", "directory", "timezone", "plugintimeout"];
        let hint = |name| hint(name, known.iter().copied());
        let all = "known: schedule, plugin, expiry, directory, timezone, plugintimeout";
        assert_eq!(hint("timeout"), "did you mean plugintimeout?");
        assert_eq!(hint("shedule"), "did you mean schedule?");
        assert_eq!(hint("plug_in-timeout"), "did you mean plugintimeout?");
        assert_eq!(hint("plugins"), "did you mean plugin?");
        assert_eq!(hint("rundirectory"), "did you mean directory?");
        assert_eq!(hint("plugntimeout"), "did you mean plugintimeout?");
        let known = ["directory", "checkdirectory"].into_iter();
        assert_eq!(super::hint("chekdirectory", known), "did you mean checkdirectory?");
        assert_eq!(hint("foo"), all);
        assert_eq!(hint(""), all);
    }
}
