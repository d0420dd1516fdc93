//! The filter `contents`: expressions matched against the lines of a file.
//!
//! A line ends at `\n`; one `\r` before it belongs to the line end. The last line counts even
//! without a line end. A line is held in memory while it is matched, up to a limit. A longer line
//! is not matched; if the result of a test depends on it, the test fails and the line is reported.

use std::io::{self, BufRead, BufReader, Read};

use crate::modules::file::LineTest;

/// Maximum length of a line that is matched, in bytes.
pub(super) const LINE_BYTES_MAX: usize = 8 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineQuantifier {
    /// One matching line is enough.
    Any,
    /// Every line must match, and there must be at least one.
    Every,
}

/// When to stop reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopCondition {
    AllDecided,
    OneFailed,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct LineResults {
    /// For each test whether the file passes it; false if that is unknown.
    pub(super) passed: Vec<bool>,
    /// The number of the first line that was too long, if a result depends on it.
    pub(super) unknown_at: Option<u64>,
}

/// The state of one test after some lines.
#[derive(Debug)]
struct LineTestState<'a> {
    test: &'a LineTest,
    quantifier: LineQuantifier,
    /// Whether no later line can change the result: with `Any` a line matched, with `Every` a line
    /// failed.
    is_decided: bool,
}

impl LineTestState<'_> {
    fn add(&mut self, line: &[u8]) {
        let matches = self.test.regexp.is_match(line);
        self.is_decided |= match self.quantifier {
            LineQuantifier::Any => matches,
            LineQuantifier::Every => matches == self.test.inverse,
        };
    }

    /// Returns whether the file passes if it has only the first `lines` lines.
    fn passes(&self, lines: u64) -> bool {
        match self.quantifier {
            LineQuantifier::Any => self.is_decided != (self.test.inverse ^ self.test.mismatch),
            LineQuantifier::Every => lines > 0 && self.is_decided == self.test.mismatch,
        }
    }

    fn has_failed(&self, lines: u64) -> bool {
        self.is_decided && !self.passes(lines)
    }
}

/// Reads `source` line by line until the results are known.
pub(super) fn scan(
    source: impl Read,
    tests: &[&LineTest],
    quantifier: LineQuantifier,
    stop: StopCondition,
) -> io::Result<LineResults> {
    let start = |test| LineTestState { test, quantifier, is_decided: false };
    let mut states: Vec<LineTestState<'_>> = tests.iter().copied().map(start).collect();
    let mut lines = Lines { source: BufReader::new(source), line: Vec::new() };
    let (mut count, mut long_at) = (0, None);
    while let Some(line) = lines.next()? {
        count += 1;
        match line {
            LineRead::Whole => {
                let open = states.iter_mut().filter(|state| !state.is_decided);
                open.for_each(|state| state.add(&lines.line));
            }
            LineRead::TooLong => long_at = long_at.or(Some(count)),
        }
        let one_failed = || states.iter().any(|state| state.has_failed(count));
        if states.iter().all(|state| state.is_decided)
            || stop == StopCondition::OneFailed && one_failed()
        {
            break;
        }
    }
    let is_known = |state: &LineTestState<'_>| state.is_decided || long_at.is_none();
    // If one failure decides, no result depends on the other tests.
    let is_settled = stop == StopCondition::OneFailed && states.iter().any(|s| s.has_failed(count));
    let is_unknown = !is_settled && states.iter().any(|state| !is_known(state));
    let passed = states.iter().map(|state| is_known(state) && state.passes(count)).collect();
    Ok(LineResults { passed, unknown_at: long_at.filter(|_| is_unknown) })
}

enum LineRead {
    Whole,
    /// The line was skipped.
    TooLong,
}

struct Lines<R> {
    source: BufReader<R>,
    line: Vec<u8>,
}

impl<R: Read> Lines<R> {
    /// Reads a line without its line end; `None` at the end of the source.
    fn next(&mut self) -> io::Result<Option<LineRead>> {
        self.line.clear();
        // Two bytes more, for the line end.
        let limit = u64::try_from(LINE_BYTES_MAX + 2).unwrap_or(u64::MAX);
        if self.source.by_ref().take(limit).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        let has_end = self.line.pop_if(|last| *last == b'\n').is_some();
        self.line.pop_if(|last| *last == b'\r');
        if self.line.len() <= LINE_BYTES_MAX {
            return Ok(Some(LineRead::Whole));
        }
        if !has_end {
            self.source.skip_until(b'\n')?;
        }
        Ok(Some(LineRead::TooLong))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::go::regexp::Regexp;

    fn test(pattern: &str, inverse: bool, mismatch: bool) -> LineTest {
        LineTest { regexp: Regexp::new(pattern).unwrap(), inverse, mismatch }
    }

    fn passes(text: &[u8], test: &LineTest, quantifier: LineQuantifier) -> bool {
        let results = scan(text, &[test], quantifier, StopCondition::AllDecided).unwrap();
        assert_eq!(results.unknown_at, None);
        results.passed[0]
    }

    #[test]
    fn lines_end_as_in_go() {
        let beta = test("^beta$", false, false);
        for text in ["beta", "a\nbeta\r\n", "a\nbeta\r", "beta\nb"] {
            assert!(passes(text.as_bytes(), &beta, LineQuantifier::Any), "{text:?}");
        }
        let empty = test("^$", false, false);
        assert!(!passes(b"a\n", &empty, LineQuantifier::Any), "no line after the last line end");
        assert!(passes(b"\n", &empty, LineQuantifier::Any));
        let returned = test("^a\\r$", false, false);
        assert!(passes(b"a\r\r\n", &returned, LineQuantifier::Any), "only one \\r is removed");
    }

    /// The columns: all lines match, none matches, one of two matches, there are no lines.
    #[test]
    fn quantifier_and_inversions_can_be_combined() {
        let texts: [&[u8]; 4] = [b"x\nx\n", b"y\n", b"x\ny\n", b""];
        for (quantifier, inverse, mismatch, expected) in [
            (LineQuantifier::Any, false, false, [true, false, true, false]),
            (LineQuantifier::Any, true, false, [false, true, false, true]),
            (LineQuantifier::Any, false, true, [false, true, false, true]),
            (LineQuantifier::Any, true, true, [true, false, true, false]),
            (LineQuantifier::Every, false, false, [true, false, false, false]),
            (LineQuantifier::Every, true, false, [false, true, false, false]),
            (LineQuantifier::Every, false, true, [false, true, true, false]),
            (LineQuantifier::Every, true, true, [true, false, true, false]),
        ] {
            let found = texts.map(|text| passes(text, &test("x", inverse, mismatch), quantifier));
            assert_eq!(found, expected, "{quantifier:?} {inverse} {mismatch}");
        }
    }

    #[test]
    fn long_line_is_matched_and_longer_one_is_reported() {
        let mut text = vec![b'x'; LINE_BYTES_MAX];
        text.extend(b"\nneedle\n");
        assert!(passes(&text, &test("^x*$", false, false), LineQuantifier::Any));
        assert!(!passes(&text, &test("^y", false, false), LineQuantifier::Any));
        text.insert(0, b'x');
        let scan = |test: &LineTest, stop| {
            scan(text.as_slice(), &[test], LineQuantifier::Any, stop).unwrap()
        };
        let found = scan(&test("^needle$", false, false), StopCondition::AllDecided);
        assert_eq!(found, LineResults { passed: vec![true], unknown_at: None });
        for inverse in [false, true] {
            let found = scan(&test("^y", inverse, false), StopCondition::AllDecided);
            assert_eq!(
                found,
                LineResults { passed: vec![false], unknown_at: Some(1) },
                "{inverse}"
            );
        }
        let found = scan(&test("^needle$", true, false), StopCondition::OneFailed);
        assert_eq!(found, LineResults { passed: vec![false], unknown_at: None });
    }
}
