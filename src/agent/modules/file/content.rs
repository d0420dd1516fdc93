//! The filter `contents`: expressions that lines of a file match.
//!
//! A line ends at `\n`; one `\r` before it belongs to the end. The last line
//! counts without an end as well. A line is held in memory while it is matched, up
//! to a limit; of a longer one nothing is known, and what depends on it is not
//! answered but reported.

use std::io::{self, BufRead, BufReader, Read};

use super::super::go_regex::GoRegex;

/// The longest line that is matched.
pub(super) const LINE_BYTES_MAX: usize = 8 << 20;

/// What is asked of the lines of a file.
#[derive(Debug)]
pub(super) struct LineTest {
    pub(super) regex: GoRegex,
    /// Whether it was written with `!`: no line may match.
    pub(super) inverse: bool,
    /// Whether the answer is turned round.
    pub(super) mismatch: bool,
}

/// How lines are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    /// One line that matches is enough.
    Any,
    /// Every line must match, and there must be one.
    Every,
}

/// When reading can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// Each test has an answer.
    EachAnswered,
    /// One test has failed.
    OneFailed,
}

/// The answers to several tests.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answers {
    /// For each test whether it holds; false where it is not known.
    pub(super) holds: Vec<bool>,
    /// The number of the first line that was too long, if an answer depended on it.
    pub(super) blind_at: Option<u64>,
}

/// What the lines so far say of one test.
#[derive(Debug)]
struct Tally<'a> {
    test: &'a LineTest,
    quantity: Quantity,
    /// Whether a line settled it: with `Any` one that matches, with `Every` one that does not do as it must.
    settled: bool,
}

impl Tally<'_> {
    fn see(&mut self, line: &[u8]) {
        let matches = self.test.regex.is_match(line);
        self.settled |= match self.quantity {
            Quantity::Any => matches,
            Quantity::Every => matches == self.test.inverse,
        };
    }

    /// Whether it holds if no other line follows `lines`.
    fn holds(&self, lines: u64) -> bool {
        match self.quantity {
            Quantity::Any => self.settled != (self.test.inverse ^ self.test.mismatch),
            Quantity::Every => lines > 0 && self.settled == self.test.mismatch,
        }
    }
}

/// Reads `source` by lines until all that was asked is known.
pub(super) fn scan(
    source: impl Read,
    tests: &[&LineTest],
    quantity: Quantity,
    until: Until,
) -> io::Result<Answers> {
    let mut tallies: Vec<Tally<'_>> =
        tests.iter().map(|test| Tally { test, quantity, settled: false }).collect();
    let mut lines = Lines { source: BufReader::new(source), line: Vec::new() };
    let (mut count, mut long_at) = (0, None);
    while let Some(line) = lines.next()? {
        count += 1;
        match line {
            Line::Whole => {
                let open = tallies.iter_mut().filter(|tally| !tally.settled);
                open.for_each(|tally| tally.see(&lines.line));
            }
            Line::Long => long_at = long_at.or(Some(count)),
        }
        let over = match until {
            Until::EachAnswered => tallies.iter().all(|tally| tally.settled),
            Until::OneFailed => {
                tallies.iter().all(|tally| tally.settled)
                    || tallies.iter().any(|tally| tally.settled && !tally.holds(count))
            }
        };
        if over {
            break;
        }
    }
    let known = |tally: &Tally<'_>| tally.settled || long_at.is_none();
    let failed = |tally: &Tally<'_>| tally.settled && !tally.holds(count);
    // Where one failure decides, nothing depends on the others.
    let decided = until == Until::OneFailed && tallies.iter().any(failed);
    let blind = !decided && tallies.iter().any(|tally| !known(tally));
    let holds = tallies.iter().map(|tally| known(tally) && tally.holds(count)).collect();
    Ok(Answers { holds, blind_at: long_at.filter(|_| blind) })
}

/// Whether a line is at hand.
enum Line {
    Whole,
    /// It was too long, and was passed over.
    Long,
}

struct Lines<R> {
    source: BufReader<R>,
    line: Vec<u8>,
}

impl<R: Read> Lines<R> {
    /// Reads a line without its end; `None` at the end of the source.
    fn next(&mut self) -> io::Result<Option<Line>> {
        self.line.clear();
        // Room for the two bytes of its end.
        let limit = u64::try_from(LINE_BYTES_MAX + 2).unwrap_or(u64::MAX);
        if self.source.by_ref().take(limit).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        let ended = self.line.pop_if(|last| *last == b'\n').is_some();
        self.line.pop_if(|last| *last == b'\r');
        if self.line.len() <= LINE_BYTES_MAX {
            return Ok(Some(Line::Whole));
        }
        if !ended {
            self.source.skip_until(b'\n')?;
        }
        Ok(Some(Line::Long))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(pattern: &str, inverse: bool, mismatch: bool) -> LineTest {
        LineTest { regex: GoRegex::new(pattern).unwrap(), inverse, mismatch }
    }

    fn holds(text: &[u8], test: &LineTest, quantity: Quantity) -> bool {
        let answers = scan(text, &[test], quantity, Until::EachAnswered).unwrap();
        assert_eq!(answers.blind_at, None);
        answers.holds[0]
    }

    #[test]
    fn lines_end_as_in_go() {
        for text in ["beta", "a\nbeta\r\n", "a\nbeta\r", "beta\nb"] {
            assert!(
                holds(text.as_bytes(), &test("^beta$", false, false), Quantity::Any),
                "{text:?}"
            );
        }
        assert!(
            !holds(b"a\n", &test("^$", false, false), Quantity::Any),
            "no line after the last end"
        );
        assert!(holds(b"\n", &test("^$", false, false), Quantity::Any));
        assert!(holds(b"a\r\r\n", &test("^a\\r$", false, false), Quantity::Any), "one return goes");
    }

    /// Any or every; plain, `!`, mismatch, both; for lines that match, do not, some of each, none at all.
    #[test]
    fn all_ways_to_ask() {
        let texts: [&[u8]; 4] = [b"x\nx\n", b"y\n", b"x\ny\n", b""];
        for (quantity, inverse, mismatch, expected) in [
            (Quantity::Any, false, false, [true, false, true, false]),
            (Quantity::Any, true, false, [false, true, false, true]),
            (Quantity::Any, false, true, [false, true, false, true]),
            (Quantity::Any, true, true, [true, false, true, false]),
            (Quantity::Every, false, false, [true, false, false, false]),
            (Quantity::Every, true, false, [false, true, false, false]),
            (Quantity::Every, false, true, [false, true, true, false]),
            (Quantity::Every, true, true, [true, false, true, false]),
        ] {
            let found = texts.map(|text| holds(text, &test("x", inverse, mismatch), quantity));
            assert_eq!(found, expected, "{quantity:?} {inverse} {mismatch}");
        }
    }

    #[test]
    fn a_long_line_is_matched_and_one_too_long_reported() {
        let mut text = vec![b'x'; LINE_BYTES_MAX];
        text.extend(b"\nneedle\n");
        assert!(holds(&text, &test("^x*$", false, false), Quantity::Any));
        assert!(!holds(&text, &test("^y", false, false), Quantity::Any));
        text.insert(0, b'x');
        let ask = |test: &LineTest, until| scan(text.as_slice(), &[test], Quantity::Any, until);
        let found = ask(&test("^needle$", false, false), Until::EachAnswered).unwrap();
        assert_eq!(found, Answers { holds: vec![true], blind_at: None });
        for inverse in [false, true] {
            let found = ask(&test("^y", inverse, false), Until::EachAnswered).unwrap();
            assert_eq!(found, Answers { holds: vec![false], blind_at: Some(1) }, "{inverse}");
        }
        let found = ask(&test("^needle$", true, false), Until::OneFailed).unwrap();
        assert_eq!(found, Answers { holds: vec![false], blind_at: None });
    }
}
