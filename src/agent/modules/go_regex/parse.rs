//! A pattern of Go → one of the crate `regex` that means the same.
//!
//! The result is written while the pattern is read; what is open is kept on a
//! stack, so that no pattern, however deep, can exhaust the thread's own.

use std::fmt::Write;

use super::class::{self, Rune};
use super::cursor::Cursor;
use super::{Fault, RegexError};

/// The highest count of a repetition, and the highest product of nested ones.
const REPEAT_MAX: u32 = 1000;
/// How many groups may stand within one another: the crate compiles by recursion.
const NESTING_MAX: usize = 40;
/// The depth of what is written for so many groups: each may be a repetition of a group of
/// alternatives of several parts, and the innermost a class with a class in it.
pub(super) const DEPTH_MAX: u32 = 170;

/// What `(?ims)` sets; the flag U, which is about greediness, changes no answer.
#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    fold: bool,
    multi_line: bool,
    dot_is_all: bool,
}

/// A part that a repetition would apply to.
#[derive(Debug)]
struct Atom {
    text: String,
    /// The highest product of the counts of nested repetitions in it.
    repeats: u32,
    /// Whether it is a repetition, which another one cannot follow without a group.
    repeated: bool,
}

impl Atom {
    fn plain(text: impl Into<String>) -> Atom {
        Atom { text: text.into(), repeats: 1, repeated: false }
    }
}

/// A group that is open, or the whole pattern.
#[derive(Debug, Default)]
struct Group {
    /// The alternatives before the last `|`, with it.
    before: String,
    /// The alternative that is being read.
    atoms: Vec<Atom>,
    /// The highest product of repetitions in `before`.
    repeats: u32,
    /// The flags to go back to at its end.
    outer: Flags,
}

impl Group {
    fn flush(&mut self) {
        for atom in self.atoms.drain(..) {
            self.before.push_str(&atom.text);
            self.repeats = self.repeats.max(atom.repeats);
        }
    }

    fn close(mut self) -> Atom {
        self.flush();
        Atom { repeats: self.repeats.max(1), ..Atom::plain(format!("(?:{})", self.before)) }
    }
}

/// A repetition as written.
#[derive(Debug, Clone, Copy)]
struct Counts {
    least: u32,
    /// `None`: any number.
    most: Option<u32>,
    /// Whether it was written in braces; only such are bounded.
    braces: bool,
}

pub(super) fn translate(pattern: &str) -> Result<String, RegexError> {
    let mut parser = Parser {
        cursor: Cursor::new(pattern),
        open: Vec::new(),
        group: Group::default(),
        flags: Flags::default(),
        repeat_at: None,
    };
    while parser.cursor.peek().is_some() {
        parser.step()?;
    }
    if !parser.open.is_empty() {
        return Err(RegexError::new(Fault::MissingParen, pattern));
    }
    Ok(parser.group.close().text)
}

#[derive(Debug)]
struct Parser<'a> {
    cursor: Cursor<'a>,
    /// The groups around the innermost one.
    open: Vec<Group>,
    group: Group,
    flags: Flags,
    /// Where the repetition began that was read last, if it was the last thing read.
    repeat_at: Option<usize>,
}

impl Parser<'_> {
    fn step(&mut self) -> Result<(), RegexError> {
        let last_repeat = self.repeat_at.take();
        match self.cursor.peek() {
            Some('(') if self.cursor.rest().starts_with("(?") => self.perl_group(),
            Some('(') => {
                self.cursor.next();
                self.open_group(self.flags)
            }
            Some(')') => self.close_group(),
            Some('|') => {
                self.cursor.next();
                self.group.flush();
                self.group.before.push('|');
                Ok(())
            }
            Some('*' | '+' | '?' | '{') => self.repeat_or_brace(last_repeat),
            Some('[') => {
                let text = class::bracket(&mut self.cursor, self.flags.fold)?;
                self.push(text);
                Ok(())
            }
            Some('\\') => self.backslash(),
            Some(c) => {
                self.cursor.next();
                self.plain(c);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn push(&mut self, text: impl Into<String>) {
        self.group.atoms.push(Atom::plain(text));
    }

    fn literal(&mut self, rune: Rune) {
        self.push(class::literal(rune, self.flags.fold));
    }

    fn plain(&mut self, c: char) {
        match c {
            '^' if self.flags.multi_line => self.push("(?m:^)"),
            '^' => self.push(r"\A"),
            '$' if self.flags.multi_line => self.push("(?m:$)"),
            '$' => self.push(r"\z"),
            '.' if self.flags.dot_is_all => self.push("(?s:.)"),
            '.' => self.push(r"[^\n]"),
            _ => self.literal(Rune::from(c)),
        }
    }

    fn backslash(&mut self) -> Result<(), RegexError> {
        let start = self.cursor.at();
        if self.cursor.take(r"\A") {
            self.push(r"\A");
        } else if self.cursor.take(r"\z") {
            self.push(r"\z");
        } else if self.cursor.take(r"\b") {
            self.push(r"(?-u:\b)");
        } else if self.cursor.take(r"\B") {
            // By itself the ASCII form would also hold within a character; the other one never does.
            self.push(r"(?:(?-u:\B)(?:\b|\B))");
        } else if self.cursor.take(r"\C") {
            return Err(RegexError::new(Fault::Escape, self.cursor.since(start)));
        } else if self.cursor.take(r"\Q") {
            let quoted = self.cursor.take_until(r"\E").unwrap_or_else(|| self.cursor.take_rest());
            quoted.chars().for_each(|c| self.literal(Rune::from(c)));
        } else if let Some(set) = class::named_set(&mut self.cursor)? {
            self.push(class::class(&set, false, self.flags.fold));
        } else {
            let rune = class::escape(&mut self.cursor)?;
            self.literal(rune);
        }
        Ok(())
    }

    fn open_group(&mut self, flags: Flags) -> Result<(), RegexError> {
        if self.open.len() >= NESTING_MAX {
            return Err(RegexError::new(Fault::Nesting, self.cursor.whole()));
        }
        let inner = Group { outer: self.flags, ..Group::default() };
        self.open.push(std::mem::replace(&mut self.group, inner));
        self.flags = flags;
        Ok(())
    }

    fn close_group(&mut self) -> Result<(), RegexError> {
        let Some(around) = self.open.pop() else {
            return Err(RegexError::new(Fault::UnexpectedParen, self.cursor.whole()));
        };
        self.cursor.next();
        let group = std::mem::replace(&mut self.group, around);
        self.flags = group.outer;
        self.group.atoms.push(group.close());
        Ok(())
    }

    /// Reads `(?P<name>`, `(?flags)` or `(?flags:`.
    fn perl_group(&mut self) -> Result<(), RegexError> {
        let start = self.cursor.at();
        let mut named = self.cursor.clone();
        if named.take("(?P<") && named.peek().is_some() {
            let Some(name) = named.take_until(">") else {
                return Err(RegexError::new(Fault::GroupName, named.from(start)));
            };
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(RegexError::new(Fault::GroupName, named.since(start)));
            }
            self.cursor = named;
            return self.open_group(self.flags);
        }
        self.cursor.take("(?");
        let mut flags = self.flags;
        let (mut value, mut seen) = (true, false);
        while let Some(c) = self.cursor.next() {
            match c {
                'i' => flags.fold = value,
                'm' => flags.multi_line = value,
                's' => flags.dot_is_all = value,
                'U' => {}
                '-' if value => (value, seen) = (false, false),
                // `(?-)` unsets nothing and is refused.
                ':' if value || seen => return self.open_group(flags),
                ')' if value || seen => {
                    self.flags = flags;
                    return Ok(());
                }
                _ => break,
            }
            seen |= c != '-';
        }
        Err(RegexError::new(Fault::PerlSyntax, self.cursor.since(start)))
    }

    /// Reads a repetition, or a brace that is none and stands for itself.
    fn repeat_or_brace(&mut self, last_repeat: Option<usize>) -> Result<(), RegexError> {
        let start = self.cursor.at();
        let counts = match self.cursor.peek() {
            Some('*') => Counts { least: 0, most: None, braces: false },
            Some('+') => Counts { least: 1, most: None, braces: false },
            Some('?') => Counts { least: 0, most: Some(1), braces: false },
            _ => {
                let mut ahead = self.cursor.clone();
                let Some(counts) = braces(&mut ahead) else {
                    self.cursor.next();
                    self.literal(Rune::from('{'));
                    return Ok(());
                };
                self.cursor = ahead;
                let most = counts.most.unwrap_or(counts.least);
                if counts.least.max(most) > REPEAT_MAX || counts.least > most {
                    return Err(RegexError::new(Fault::RepeatCount, self.cursor.since(start)));
                }
                counts
            }
        };
        if !counts.braces {
            self.cursor.next();
        }
        // `a*?` is `a*` that prefers less; what it prefers changes no answer.
        self.cursor.take("?");
        let fault = |fault, from| Err(RegexError::new(fault, self.cursor.since(from)));
        if let Some(last) = last_repeat {
            return fault(Fault::NestedRepeat, last);
        }
        let Some(atom) = self.group.atoms.last_mut() else {
            return fault(Fault::RepeatNothing, start);
        };
        let repeats = product(atom.repeats, counts);
        if counts.braces && repeats > REPEAT_MAX {
            return fault(Fault::RepeatCount, start);
        }
        let most = counts.most.map(|most| most.to_string()).unwrap_or_default();
        if atom.repeated {
            // A flag stood between the two, as in `a*(?i)+`.
            atom.text = format!("(?:{})", atom.text);
        }
        write!(atom.text, "{{{},{most}}}", counts.least).ok();
        (atom.repeats, atom.repeated) = (repeats, true);
        self.repeat_at = Some(start);
        Ok(())
    }
}

/// Returns the product of nested repetitions when what has `inner` is repeated.
fn product(inner: u32, counts: Counts) -> u32 {
    match counts {
        Counts { braces: false, .. } => inner,
        // What is repeated no times is not there.
        Counts { most: Some(0), .. } => 1,
        Counts { least, most, .. } => inner.saturating_mul(most.unwrap_or(least).max(1)),
    }
}

/// Reads `{2}`, `{2,}` or `{2,3}`; any other text in braces is no repetition.
fn braces(cursor: &mut Cursor<'_>) -> Option<Counts> {
    cursor.take("{");
    let least = count(cursor)?;
    let most = if !cursor.take(",") {
        Some(least)
    } else if cursor.peek() == Some('}') {
        None
    } else {
        Some(count(cursor)?)
    };
    cursor.take("}").then_some(Counts { least, most, braces: true })
}

/// Reads a number without leading zeros; one that is too big for its type is too big in any case.
fn count(cursor: &mut Cursor<'_>) -> Option<u32> {
    let rest = cursor.rest();
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let text = rest.get(..digits).filter(|text| !text.is_empty())?;
    if text.len() > 1 && text.starts_with('0') {
        return None;
    }
    cursor.take(text);
    Some(text.parse().unwrap_or(u32::MAX))
}
