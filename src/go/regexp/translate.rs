//! The translation of a pattern, token by token.
//!
//! The output is written while the pattern is read, without recursion, so that no pattern can
//! exhaust the stack. Literal characters are always written as `\x{…}`, so that none needs an
//! escape.

use std::fmt::Write;

use super::class::{self, range};

/// Maximum count of a repetition, and maximum product of nested counts.
const REPEAT_MAX: u32 = 1000;
/// Assertions that are written as escapes, and their translations. The ASCII form of `\B` alone
/// would also match between the bytes of one character; the Unicode forms never do.
const ASSERTIONS: [(&str, &str); 4] =
    [(r"\A", r"\A"), (r"\z", r"\z"), (r"\b", r"(?-u:\b)"), (r"\B", r"(?:(?-u:\B)(?:\b|\B))")];

/// Translates a pattern to the dialect of the crate, or returns the reason why Go rejects it.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    let mut translator = Translator { rest: Rest(pattern), last: 1, ..Translator::default() };
    while let Some(next) = translator.rest.peek() {
        translator.token(next)?;
    }
    Ok(translator.output)
}

/// The part of a pattern that has not been read yet.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rest<'a>(pub(super) &'a str);

impl<'a> Rest<'a> {
    pub(super) fn peek(&self) -> Option<char> {
        self.0.chars().next()
    }

    /// Reads a number of bytes, or all that are left.
    pub(super) fn advance(&mut self, bytes: usize) -> &'a str {
        let (read, rest) = self.0.split_at_checked(bytes).unwrap_or((self.0, ""));
        self.0 = rest;
        read
    }

    /// Reads the next character.
    pub(super) fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.advance(next.len_utf8());
        Some(next)
    }

    /// Reads `prefix` if it comes next.
    pub(super) fn take(&mut self, prefix: &str) -> bool {
        let rest = self.0.strip_prefix(prefix);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Reads up to and including `end`, and returns the text before it.
    pub(super) fn take_until(&mut self, end: &str) -> Option<&'a str> {
        let (before, rest) = self.0.split_once(end)?;
        self.0 = rest;
        Some(before)
    }
}

#[derive(Debug, Default)]
struct Translator<'a> {
    rest: Rest<'a>,
    output: String,
    /// Flags such as `(?i)` that are not written yet: a repetition applies to the atom before them.
    flags: String,
    /// Whether the last token was a repetition, which another one cannot follow directly.
    repeated: bool,
    /// Product of the nested counts in the last atom.
    last: u32,
    /// Highest such product in the earlier atoms of the innermost group.
    earlier: u32,
    /// Highest such product in each enclosing group, the outermost first.
    outer: Vec<u32>,
}

impl Translator<'_> {
    fn token(&mut self, next: char) -> Result<(), String> {
        let repeated = std::mem::take(&mut self.repeated);
        if let Some((least, most)) = repetition(&mut self.rest) {
            return match repeated {
                true => Err("repetition of a repetition".to_owned()),
                false => self.repeat(least, most),
            };
        }
        match next {
            '(' if self.rest.take("(?") => return self.perl_group(),
            '\\' => return self.backslash(),
            '[' => {
                let class = class::bracket(&mut self.rest)?;
                self.atom(&class);
                return Ok(());
            }
            '(' => self.open("(?:"),
            ')' => {
                self.write(")");
                self.last = self.earlier.max(self.last);
                // Without an open group the crate rejects the pattern.
                self.earlier = self.outer.pop().unwrap_or(1);
            }
            '|' => self.atom("|"),
            '^' | '$' | '.' => self.atom(next.encode_utf8(&mut [0; 4])),
            _ => self.atom(&range(next.into(), next.into())),
        }
        self.rest.next();
        Ok(())
    }

    fn write(&mut self, text: &str) {
        self.output.push_str(&std::mem::take(&mut self.flags));
        self.output.push_str(text);
    }

    fn atom(&mut self, text: &str) {
        self.write(text);
        self.earlier = self.earlier.max(self.last);
        self.last = 1;
    }

    fn open(&mut self, text: &str) {
        self.atom(text);
        self.outer.push(self.earlier);
        self.earlier = 1;
    }

    fn repeat(&mut self, least: u32, most: Option<u32>) -> Result<(), String> {
        // `a*?` is `a*` with another preference, which does not change whether a text matches.
        self.rest.take("?");
        let highest = most.unwrap_or(least).max(1);
        // Atoms that are repeated 0 times do not count.
        self.last = if most == Some(0) { 1 } else { self.last.saturating_mul(highest) };
        if least > REPEAT_MAX || self.last > REPEAT_MAX || most.is_some_and(|most| least > most) {
            return Err(format!("reversed repetition counts, or counts over {REPEAT_MAX}"));
        }
        let most = most.map(|most| most.to_string()).unwrap_or_default();
        write!(self.output, "{{{least},{most}}}").ok();
        self.repeated = true;
        Ok(())
    }

    /// Reads the rest of `(?P<name>`, `(?flags)` or `(?flags:`.
    fn perl_group(&mut self) -> Result<(), String> {
        if self.rest.take("P<") {
            let name = self.rest.take_until(">").unwrap_or_default();
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err("invalid group name".to_owned());
            }
            self.open("(?:");
            return Ok(());
        }
        let unknown = || "unknown flag or kind of group".to_owned();
        let end = self.rest.0.find([':', ')']).ok_or_else(unknown)?;
        let flags = self.rest.advance(end);
        let (set, cleared) = match flags.split_once('-') {
            Some((_, "")) => return Err(unknown()),
            Some(both) => both,
            None => (flags, ""),
        };
        if !set.chars().chain(cleared.chars()).all(|flag| "imsU".contains(flag)) {
            return Err(unknown());
        }
        // The flag U changes only which match is preferred.
        let cleared = "ims".replace(|flag| !cleared.contains(flag), "");
        let set = "ims".replace(|flag| !set.contains(flag) || cleared.contains(flag), "");
        let sign = if cleared.is_empty() { "" } else { "-" };
        if self.rest.take(":") {
            self.open(&format!("(?{set}{sign}{cleared}:"));
        } else if self.rest.take(")") && !(set.is_empty() && cleared.is_empty()) {
            write!(self.flags, "(?{set}{sign}{cleared})").ok();
        }
        Ok(())
    }

    fn backslash(&mut self) -> Result<(), String> {
        if let Some((_, assertion)) = ASSERTIONS.iter().find(|(escape, _)| self.rest.take(escape)) {
            self.atom(assertion);
        } else if self.rest.take(r"\Q") {
            let all = self.rest.0;
            let quoted =
                self.rest.take_until(r"\E").unwrap_or_else(|| self.rest.advance(all.len()));
            quoted.chars().for_each(|c| self.atom(&range(c.into(), c.into())));
        } else if let Some(set) = class::named(&mut self.rest)? {
            self.atom(&format!("[{set}]"));
        } else {
            let rune = class::escape(&mut self.rest)?;
            self.atom(&range(rune, rune));
        }
        Ok(())
    }
}

/// Reads `*`, `+`, `?`, `{2}`, `{2,}` or `{2,3}` as its least and highest count. Any other `{`
/// stands for itself.
fn repetition(rest: &mut Rest<'_>) -> Option<(u32, Option<u32>)> {
    let (bytes, counts) = match rest.peek()? {
        '*' => (1, (0, None)),
        '+' => (1, (1, None)),
        '?' => (1, (0, Some(1))),
        '{' => {
            let (braces, _) = rest.0.strip_prefix('{')?.split_once('}')?;
            let (least, most) = braces.split_once(',').unwrap_or((braces, braces));
            let most = if most.is_empty() { None } else { Some(count(most)?) };
            (braces.len() + 2, (count(least)?, most))
        }
        _ => return None,
    };
    rest.advance(bytes);
    Some(counts)
}

/// Reads a number without leading zeros. One that is too high for its type is over the limit
/// anyway.
fn count(digits: &str) -> Option<u32> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_padded = digits.len() > 1 && digits.starts_with('0');
    (is_number && !is_padded).then(|| digits.parse().unwrap_or(u32::MAX))
}
