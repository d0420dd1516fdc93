//! The known name that somebody may have meant.

/// Returns a remark for a message about `name`, which is none of `known`: the one
/// that was probably meant, or else all that there are.
pub(super) fn remark<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let near = known
        .clone()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, candidate)| is_near(name, candidate, *distance))
        .min();
    match near {
        Some((_, candidate)) => format!("did you mean {candidate}?"),
        None => format!("known: {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// A third of the letters may be wrong; a name inside the other is near at any length.
fn is_near(name: &str, candidate: &str, distance: usize) -> bool {
    distance <= candidate.chars().count().div_ceil(3)
        || name.contains(candidate)
        || (name.len() > 2 && candidate.contains(name))
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
        let known = ["schedule", "plugin", "expiry", "directory"];
        let remark = |name| remark(name, known.iter().copied());
        assert_eq!(remark("shedule"), "did you mean schedule?");
        assert_eq!(remark("plugins"), "did you mean plugin?");
        assert_eq!(remark("rundirectory"), "did you mean directory?");
        assert_eq!(remark("foo"), "known: schedule, plugin, expiry, directory");
        assert_eq!(remark(""), "known: schedule, plugin, expiry, directory");
    }
}
