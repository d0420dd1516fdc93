//! `LIKE` and `ILIKE`: `%` is any text, `_` any character.

/// A part of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    One(char),
    AnyOne,
    AnyText,
}

/// A pattern of `LIKE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    parts: Vec<Part>,
    ignores_case: bool,
}

impl Pattern {
    /// Parses a pattern in which `escape`, if any, makes the next character literal; returns `None`
    /// if nothing follows an escape.
    pub(super) fn new(text: &str, escape: Option<char>, ignores_case: bool) -> Option<Pattern> {
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                _ if Some(c) == escape => push(&mut parts, chars.next()?, ignores_case),
                '%' => parts.push(Part::AnyText),
                '_' => parts.push(Part::AnyOne),
                _ => push(&mut parts, c, ignores_case),
            }
        }
        Some(Pattern { parts, ignores_case })
    }

    /// Returns whether the pattern matches the whole text.
    pub(super) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = if self.ignores_case {
            text.chars().flat_map(char::to_lowercase).collect()
        } else {
            text.chars().collect()
        };
        let (mut at, mut part) = (0, 0);
        // Where to continue after a mismatch: the last `%` matches one character more. The parts
        // before it are never tried again, so the time is at worst quadratic.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            let fits = match (self.parts.get(part), text.get(at)) {
                (None, None) => return true,
                (Some(Part::AnyText), _) => {
                    retry = Some((at, part));
                    part += 1;
                    continue;
                }
                (Some(Part::AnyOne), Some(_)) => true,
                (Some(Part::One(wanted)), Some(c)) => wanted == c,
                (Some(Part::AnyOne | Part::One(_)), None) => return false,
                (None, Some(_)) => false,
            };
            if fits {
                (at, part) = (at + 1, part + 1);
            } else if let Some((taken, any)) = retry {
                retry = Some((taken + 1, any));
                (at, part) = (taken + 1, any + 1);
            } else {
                return false;
            }
        }
    }
}

fn push(parts: &mut Vec<Part>, c: char, ignores_case: bool) {
    if ignores_case {
        parts.extend(c.to_lowercase().map(Part::One));
    } else {
        parts.push(Part::One(c));
    }
}
