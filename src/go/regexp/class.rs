//! Single characters and sets of them: escapes, `\d`, `\p{…}`, `[…]`.
//!
//! A set is written in the form that it has within brackets.

use super::names::{CATEGORIES, SCRIPTS};
use super::translate::Rest;

/// The highest code point.
const RUNE_MAX: u32 = 0x10_ffff;
/// Code points that do not occur in text. Go allows them in patterns, where they match nothing.
const SURROGATES: std::ops::Range<u32> = 0xd800..0xe000;
/// A class without characters.
const EMPTY: &str = r"[^\x{0}-\x{10ffff}]";
/// Escapes, and the sets that they stand for. In Go, the sets contain only ASCII characters.
const PERL_SETS: [(&str, &str); 6] = [
    (r"\d", "[:digit:]"),
    (r"\D", "[:^digit:]"),
    (r"\s", r"\t\n\f\r\x{20}"),
    (r"\S", r"[^\t\n\f\r\x{20}]"),
    (r"\w", "[:word:]"),
    (r"\W", "[:^word:]"),
];
/// Names in `[:…:]`; the crate's sets of these names contain the same characters.
const POSIX_SETS: &str =
    "alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit";

/// Returns the characters from `first` to `last` in a form that is valid within brackets. If
/// `first` equals `last`, the form is valid outside brackets too.
pub(super) fn range(first: u32, last: u32) -> String {
    let first = if SURROGATES.contains(&first) { SURROGATES.end } else { first };
    let last = if SURROGATES.contains(&last) { SURROGATES.start - 1 } else { last };
    if first > last {
        EMPTY.to_owned()
    } else if first == last {
        format!(r"\x{{{first:x}}}")
    } else {
        format!(r"\x{{{first:x}}}-\x{{{last:x}}}")
    }
}

/// Reads a class in brackets.
pub(super) fn bracket(rest: &mut Rest<'_>) -> Result<String, String> {
    rest.take("[");
    let mut class = if rest.take("^") { "[^".to_owned() } else { "[".to_owned() };
    // A closing bracket in the first position stands for itself.
    let mut is_first = true;
    while is_first || !rest.take("]") {
        is_first = false;
        let set = match posix(rest)? {
            None => named(rest)?,
            set => set,
        };
        if let Some(set) = set {
            class.push_str(&set);
            continue;
        }
        let first = bracket_rune(rest)?;
        let is_range = rest.0.starts_with('-') && !rest.0.starts_with("-]");
        let last = if is_range && rest.take("-") { bracket_rune(rest)? } else { first };
        if last < first {
            return Err("reversed range in a character class".to_owned());
        }
        class.push_str(&range(first, last));
    }
    Ok(class + "]")
}

fn bracket_rune(rest: &mut Rest<'_>) -> Result<u32, String> {
    if rest.peek() == Some('\\') {
        return escape(rest);
    }
    rest.next().map(u32::from).ok_or_else(|| "unclosed character class".to_owned())
}

/// Reads `[:alpha:]` or `[:^alpha:]`, if one of them comes next.
fn posix(rest: &mut Rest<'_>) -> Result<Option<String>, String> {
    let mut ahead = *rest;
    let name = if ahead.take("[:") { ahead.take_until(":]") } else { None };
    let Some(name) = name else { return Ok(None) };
    *rest = ahead;
    let base = name.strip_prefix('^').unwrap_or(name);
    if POSIX_SETS.split(' ').any(|known| known == base) {
        return Ok(Some(format!("[:{name}:]")));
    }
    Err(format!("unknown character class [:{name}:]"))
}

/// Reads `\d`, `\pL`, `\p{Greek}`, `\p{^Greek}` and the like, if one of them comes next.
pub(super) fn named(rest: &mut Rest<'_>) -> Result<Option<String>, String> {
    if let Some((_, set)) = PERL_SETS.iter().find(|(escape, _)| rest.take(escape)) {
        return Ok(Some((*set).to_owned()));
    }
    let is_negated = rest.take(r"\P");
    if !is_negated && !rest.take(r"\p") {
        return Ok(None);
    }
    let letter = rest.peek().map_or(0, char::len_utf8);
    let name = if rest.take("{") { rest.take_until("}") } else { Some(rest.advance(letter)) };
    let name = name.unwrap_or_default();
    let base = name.strip_prefix('^').unwrap_or(name);
    let sign = if is_negated == name.starts_with('^') { 'p' } else { 'P' };
    let mut known = CATEGORIES.split_whitespace().chain(SCRIPTS.split_whitespace());
    match base {
        // The crate does not know the category of surrogates.
        "Cs" if sign == 'p' => Ok(Some(EMPTY.to_owned())),
        "Cs" => Ok(Some(r"\p{any}".to_owned())),
        "Any" => Ok(Some(format!(r"\{sign}{{any}}"))),
        _ if known.any(|known| known == base) => Ok(Some(format!(r"\{sign}{{{base}}}"))),
        _ => Err(format!("unknown Unicode class {name:?}")),
    }
}

/// Reads an escape that stands for one character; the backslash comes next.
pub(super) fn escape(rest: &mut Rest<'_>) -> Result<u32, String> {
    let start = rest.0;
    rest.take("\\");
    let rune = match rest.next().ok_or_else(|| "trailing backslash".to_owned())? {
        c @ '0'..='7' => octal(rest, c),
        'x' => hex(rest),
        'a' => Some(0x07),
        'f' => Some(0x0c),
        'n' => Some(0x0a),
        'r' => Some(0x0d),
        't' => Some(0x09),
        'v' => Some(0x0b),
        c => (c.is_ascii() && !c.is_ascii_alphanumeric()).then_some(c.into()),
    };
    let read = start.len() - rest.0.len();
    rune.ok_or_else(|| format!("invalid escape {}", start.get(..read).unwrap_or(start)))
}

/// Reads up to two more octal digits. A single digit from 1 to 7 would be a backreference, which an
/// engine that matches in linear time does not support.
fn octal(rest: &mut Rest<'_>, first: char) -> Option<u32> {
    let digits = rest.0.chars().take(2).take_while(|c| c.is_digit(8)).count();
    let more = rest.advance(digits);
    let is_rune = first == '0' || digits > 0;
    u32::from_str_radix(&format!("{first}{more}"), 8).ok().filter(|_| is_rune)
}

/// Reads two hexadecimal digits, or any number of them in braces.
fn hex(rest: &mut Rest<'_>) -> Option<u32> {
    let has_braces = rest.take("{");
    let digits = if has_braces { rest.take_until("}")? } else { rest.advance(2) };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_whole = is_number && (has_braces || digits.len() == 2);
    let rune = u32::from_str_radix(digits, 16).ok().filter(|_| is_whole);
    rune.filter(|rune| *rune <= RUNE_MAX)
}
