//! The known name that somebody may have meant.

/// Returns a remark for a message about `name`, which is none of `known`: the one
/// that was probably meant, or else all that there are.
pub(crate) fn remark<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let joined = |text: &str| text.replace(['_', '-'], "");
    let name = &joined(name);
    let near = known
        .clone()
        .map(|candidate| (joined(candidate), candidate))
        .map(|(joined, candidate)| (kinship(name, &joined), distance(name, &joined), candidate))
        .filter(|(kinship, distance, candidate)| {
            *kinship < Kinship::Letters
                || *distance <= candidate.chars().count().div_ceil(LETTERS_PER_SLIP)
        })
        .min();
    match near {
        Some((_, _, candidate)) => format!("did you mean {candidate}?"),
        None => format!("known: {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// Of so many letters one may be wrong.
const LETTERS_PER_SLIP: usize = 3;

/// What two names have in common, what tells most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kinship {
    /// All but one letter.
    Slip,
    /// One is a part of the other.
    Part,
    Letters,
}

fn kinship(name: &str, candidate: &str) -> Kinship {
    if distance(name, candidate) <= 1 {
        Kinship::Slip
    } else if is_inside(name, candidate) {
        Kinship::Part
    } else {
        Kinship::Letters
    }
}

fn is_inside(name: &str, candidate: &str) -> bool {
    name.contains(candidate) || (name.len() > LETTERS_PER_SLIP && candidate.contains(name))
}

/// The number of letters to insert, remove or replace to get from one to the other.
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
    fn counts_letters() {
        for (one, other, expected) in
            [("", "", 0), ("a", "", 1), ("", "ab", 2), ("kitten", "sitting", 3), ("ä", "a", 1)]
        {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn names_what_was_meant() {
        let known = ["schedule", "plugin", "expiry", "directory", "timezone", "plugintimeout"];
        let remark = |name| remark(name, known.iter().copied());
        let all = "known: schedule, plugin, expiry, directory, timezone, plugintimeout";
        assert_eq!(remark("timeout"), "did you mean plugintimeout?");
        assert_eq!(remark("shedule"), "did you mean schedule?");
        assert_eq!(remark("plug_in-timeout"), "did you mean plugintimeout?");
        assert_eq!(remark("plugins"), "did you mean plugin?");
        assert_eq!(remark("rundirectory"), "did you mean directory?");
        assert_eq!(remark("plugntimeout"), "did you mean plugintimeout?");
        let known = ["directory", "checkdirectory"].into_iter();
        assert_eq!(super::remark("chekdirectory", known), "did you mean checkdirectory?");
        assert_eq!(remark("foo"), all);
        assert_eq!(remark(""), all);
    }
}
