//! `LIKE` and `ILIKE`: `%` is any text, `_` any character.
//!
//! A pattern is split at each `%`. Its first part must begin the text, the last one must end it, and
//! each of the others is searched for once, from left to right, after the one before it. As no part
//! is ever tried again, the time is proportional to the length of the text; in a part with `_`, it
//! is also proportional to the length of the part, but 64 characters of it are compared at once.

use std::collections::HashMap;

/// Number of bits in a word of an [`Automaton`].
const WORD_BITS: usize = 64;

/// A character of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    One(char),
    AnyOne,
}

/// The characters between two `%`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    parts: Vec<Part>,
    search: Search,
}

/// How a segment is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Search {
    /// The segment contains no `_`.
    Text(String),
    Automaton(Automaton),
}

/// The shift-and automaton of a segment: bit `i` of its state is set if the characters read last
/// match the first `i + 1` parts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Automaton {
    /// For each character of the segment, the parts that it matches.
    matching: HashMap<char, Vec<u64>>,
    /// The parts that every other character matches.
    any: Vec<u64>,
    /// The bit of the last part, in the last word.
    last: u64,
}

/// A pattern of `LIKE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// The part before the first `%`.
    begin: Segment,
    /// The parts between two `%` that are not empty.
    middle: Vec<Segment>,
    /// The part after the last `%`; `None` if there is no `%`.
    end: Option<Segment>,
    ignores_case: bool,
}

impl Pattern {
    /// Parses a pattern in which `escape`, if any, makes the next character literal; returns `None`
    /// if nothing follows an escape.
    pub(super) fn new(text: &str, escape: Option<char>, ignores_case: bool) -> Option<Pattern> {
        let mut segments = Vec::new();
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                _ if Some(c) == escape => push(&mut parts, chars.next()?, ignores_case),
                '%' => segments.push(Segment::new(std::mem::take(&mut parts))),
                '_' => parts.push(Part::AnyOne),
                _ => push(&mut parts, c, ignores_case),
            }
        }
        segments.push(Segment::new(parts));
        let mut segments = segments.into_iter();
        let (begin, end) = (segments.next()?, segments.next_back());
        let middle = segments.filter(|segment| !segment.parts.is_empty()).collect();
        Some(Pattern { begin, middle, end, ignores_case })
    }

    /// Returns whether the pattern expects a text that was converted by [`fold`].
    pub(super) fn ignores_case(&self) -> bool {
        self.ignores_case
    }

    /// Returns whether the pattern matches the whole text.
    pub(super) fn matches(&self, text: &str) -> bool {
        let Some(rest) = self.begin.strip_from(text) else { return false };
        let Some(end) = &self.end else { return rest.is_empty() };
        let Some(mut rest) = end.strip_from_end(rest) else { return false };
        for segment in &self.middle {
            match segment.after_first(rest) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        true
    }
}

/// Returns a text in the case in which `ILIKE` compares it.
pub(super) fn fold(text: &str) -> String {
    match text.is_ascii() {
        true => text.to_ascii_lowercase(),
        false => text.chars().flat_map(char::to_lowercase).collect(),
    }
}

fn push(parts: &mut Vec<Part>, c: char, ignores_case: bool) {
    if ignores_case {
        parts.extend(c.to_lowercase().map(Part::One));
    } else {
        parts.push(Part::One(c));
    }
}

impl Part {
    fn matches(self, c: char) -> bool {
        match self {
            Part::One(wanted) => wanted == c,
            Part::AnyOne => true,
        }
    }
}

impl Segment {
    fn new(parts: Vec<Part>) -> Segment {
        let literal = parts.iter().map(|part| match part {
            Part::One(c) => Some(*c),
            Part::AnyOne => None,
        });
        let search = match literal.collect::<Option<String>>() {
            Some(text) => Search::Text(text),
            None => Search::Automaton(Automaton::new(&parts)),
        };
        Segment { parts, search }
    }

    /// Returns the rest of a text that begins with the segment.
    fn strip_from<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut chars = text.chars();
        let begins = self.parts.iter().all(|part| chars.next().is_some_and(|c| part.matches(c)));
        begins.then_some(chars.as_str())
    }

    /// Returns the rest of a text that ends with the segment.
    fn strip_from_end<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut chars = text.chars();
        let mut parts = self.parts.iter().rev();
        let ends = parts.all(|part| chars.next_back().is_some_and(|c| part.matches(c)));
        ends.then_some(chars.as_str())
    }

    /// Returns the rest of the text after the first occurrence of the segment.
    fn after_first<'t>(&self, text: &'t str) -> Option<&'t str> {
        match &self.search {
            Search::Text(wanted) => text.split_once(wanted.as_str()).map(|(_, after)| after),
            Search::Automaton(automaton) => automaton.after_first(text),
        }
    }
}

impl Automaton {
    /// Returns the automaton of a segment that is not empty.
    fn new(parts: &[Part]) -> Automaton {
        let mut any = vec![0; parts.len().div_ceil(WORD_BITS)];
        let mut matching: HashMap<char, Vec<u64>> = HashMap::new();
        let mut last = 0;
        for (at, part) in parts.iter().enumerate() {
            let words = match part {
                Part::One(c) => matching.entry(*c).or_insert_with(|| vec![0; any.len()]),
                Part::AnyOne => &mut any,
            };
            last = 1 << (at % WORD_BITS);
            if let Some(word) = words.get_mut(at / WORD_BITS) {
                *word |= last;
            }
        }
        for words in matching.values_mut() {
            words.iter_mut().zip(&any).for_each(|(word, any)| *word |= any);
        }
        Automaton { matching, any, last }
    }

    fn after_first<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut state = vec![0_u64; self.any.len()];
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let matching = self.matching.get(&c).unwrap_or(&self.any);
            // The first part may match this character, whatever came before.
            let mut carry = 1;
            for (word, matching) in state.iter_mut().zip(matching) {
                let next = *word >> (WORD_BITS - 1);
                *word = ((*word << 1) | carry) & matching;
                carry = next;
            }
            if state.last().is_some_and(|word| word & self.last != 0) {
                return Some(chars.as_str());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

    use super::*;

    /// Matches by trying everything.
    fn matches(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['%', rest @ ..], _) => (0..=text.len()).any(|taken| matches(rest, &text[taken..])),
            (['_', pattern @ ..], [_, text @ ..]) => matches(pattern, text),
            ([wanted, pattern @ ..], [c, text @ ..]) => wanted == c && matches(pattern, text),
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

        #[test]
        fn pattern_matches_what_its_definition_says(pattern in "[ab%_é]{0,9}", text in "[abé]{0,9}") {
            let parsed = Pattern::new(&pattern, Some('\\'), false).unwrap();
            let (wanted, chars): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(parsed.matches(&text), matches(&wanted, &chars));
        }
    }

    #[test]
    fn segment_longer_than_a_word_is_found() {
        let pattern = |rest: &str| {
            let text = format!("%b{}{rest}%", "_a".repeat(70));
            Pattern::new(&text, None, false).unwrap()
        };
        let text = format!("{}b{}c", "b".repeat(100), "xa".repeat(70));
        assert!(pattern("c").matches(&text));
        assert!(!pattern("d").matches(&text));
    }

    #[test]
    fn case_of_other_scripts_is_ignored() {
        let pattern = Pattern::new("%ÄÖ_", None, true).unwrap();
        assert!(pattern.ignores_case() && pattern.matches(&fold("xäÖü")));
        assert!(!pattern.matches(&fold("xäo")));
    }
}
