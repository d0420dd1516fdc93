//! Single characters and sets of them: escapes, `\d`, `\p{…}`, `[…]`.
//!
//! A set is written as what stands between the brackets of a class of the crate
//! `regex`. Characters are always written as `\x{…}`, so that nothing has to be
//! escaped; negated sets within a class become classes of their own.

use super::cursor::Cursor;
use super::unicode::{CATEGORIES, SCRIPTS};
use super::{Fault, RegexError};

/// A code point as Go sees it: it may be a surrogate, which no text ever holds.
pub(super) type Rune = u32;

const SURROGATE_FIRST: Rune = 0xd800;
const SURROGATE_LAST: Rune = 0xdfff;
const RUNE_MAX: Rune = 0x10_ffff;

/// What Go calls a POSIX class; the crate's classes of these names hold the same ASCII characters.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// Returns a class of the characters from `first` to `last`, written as between brackets.
fn range(first: Rune, last: Rune) -> String {
    let surrogate = SURROGATE_FIRST..=SURROGATE_LAST;
    let first = if surrogate.contains(&first) { SURROGATE_LAST + 1 } else { first };
    let last = if surrogate.contains(&last) { SURROGATE_FIRST - 1 } else { last };
    if first > last { String::new() } else { format!("\\x{{{first:x}}}-\\x{{{last:x}}}") }
}

/// Returns an expression for one character.
pub(super) fn literal(rune: Rune, fold: bool) -> String {
    class(&range(rune, rune), false, fold)
}

/// Returns an expression for one character of the set, or of those outside it.
pub(super) fn class(set: &str, negated: bool, fold: bool) -> String {
    let class = match (set.is_empty(), negated) {
        // A set of surrogates only. An empty class is written so: what is no character and is one.
        (true, false) => r"[^\x{0}-\x{10ffff}]".to_owned(),
        (true, true) => r"[\x{0}-\x{10ffff}]".to_owned(),
        (false, false) => format!("[{set}]"),
        (false, true) => format!("[^{set}]"),
    };
    if fold { format!("(?i:{class})") } else { class }
}

/// Reads `\d`, `\pL`, `\p{Greek}` and the like, if one comes next, as a set.
pub(super) fn named_set(cursor: &mut Cursor<'_>) -> Result<Option<String>, RegexError> {
    for (escape, set) in [
        (r"\d", "[:digit:]"),
        (r"\D", "[:^digit:]"),
        (r"\s", r"\t\n\f\r\x{20}"),
        (r"\S", r"[^\t\n\f\r\x{20}]"),
        (r"\w", "[:word:]"),
        (r"\W", "[:^word:]"),
    ] {
        if cursor.take(escape) {
            return Ok(Some(set.to_owned()));
        }
    }
    if cursor.rest().starts_with(r"\p") || cursor.rest().starts_with(r"\P") {
        return unicode_set(cursor).map(Some);
    }
    Ok(None)
}

/// Reads `\pL`, `\PL`, `\p{Greek}`, `\p{^Greek}`; that one begins here is known.
fn unicode_set(cursor: &mut Cursor<'_>) -> Result<String, RegexError> {
    let start = cursor.at();
    let upper = cursor.take(r"\P");
    if !upper {
        cursor.take(r"\p");
    }
    let name_at = cursor.at();
    let name = if cursor.take("{") {
        match cursor.take_until("}") {
            Some(name) => name,
            None => return Err(RegexError::new(Fault::ClassRange, cursor.from(start))),
        }
    } else {
        cursor.next();
        cursor.since(name_at)
    };
    let (caret, name) = match name.strip_prefix('^') {
        Some(name) => (true, name),
        None => (false, name),
    };
    let sign = if upper == caret { 'p' } else { 'P' };
    match name {
        // Surrogates: no text ever holds one.
        "Cs" => Ok(if sign == 'p' { String::new() } else { r"\p{any}".to_owned() }),
        "Any" => Ok(format!("\\{sign}{{any}}")),
        _ if CATEGORIES.contains(&name) || SCRIPTS.contains(&name) => {
            Ok(format!("\\{sign}{{{name}}}"))
        }
        _ => Err(RegexError::new(Fault::ClassRange, cursor.since(start))),
    }
}

/// Reads a class; the opening bracket comes next.
pub(super) fn bracket(cursor: &mut Cursor<'_>, fold: bool) -> Result<String, RegexError> {
    let start = cursor.at();
    cursor.take("[");
    let negated = cursor.take("^");
    let mut set = String::new();
    // A closing bracket in the first place is a character like others.
    let mut first = true;
    while first || !cursor.take("]") {
        first = false;
        if let Some(posix) = posix_set(cursor)? {
            set.push_str(posix);
        } else if let Some(named) = named_set(cursor)? {
            set.push_str(&named);
        } else {
            set.push_str(&class_range(cursor, start)?);
        }
    }
    Ok(class(&set, negated, fold))
}

/// Reads `[:alpha:]` or `[:^alpha:]`, if one comes next.
fn posix_set<'a>(cursor: &mut Cursor<'a>) -> Result<Option<&'a str>, RegexError> {
    let start = cursor.at();
    let mut ahead = cursor.clone();
    if !ahead.take("[:") {
        return Ok(None);
    }
    let Some(name) = ahead.take_until(":]") else {
        return Ok(None);
    };
    *cursor = ahead;
    let known = POSIX.contains(&name.strip_prefix('^').unwrap_or(name));
    if known {
        return Ok(Some(cursor.since(start)));
    }
    Err(RegexError::new(Fault::ClassRange, cursor.since(start)))
}

/// Reads a character or a range of them; `class_at` is where the class began.
fn class_range(cursor: &mut Cursor<'_>, class_at: usize) -> Result<String, RegexError> {
    let start = cursor.at();
    let first = class_rune(cursor, class_at)?;
    // In `[a-]` the hyphen is a character.
    let rest = cursor.rest();
    if !rest.starts_with('-') || rest == "-" || rest.starts_with("-]") {
        return Ok(range(first, first));
    }
    cursor.take("-");
    let last = class_rune(cursor, class_at)?;
    if last < first {
        return Err(RegexError::new(Fault::ClassRange, cursor.since(start)));
    }
    Ok(range(first, last))
}

fn class_rune(cursor: &mut Cursor<'_>, class_at: usize) -> Result<Rune, RegexError> {
    match cursor.peek() {
        None => Err(RegexError::new(Fault::MissingBracket, cursor.from(class_at))),
        Some('\\') => escape(cursor),
        Some(c) => {
            cursor.next();
            Ok(Rune::from(c))
        }
    }
}

/// Reads an escape that stands for one character; the backslash comes next.
pub(super) fn escape(cursor: &mut Cursor<'_>) -> Result<Rune, RegexError> {
    let start = cursor.at();
    cursor.take("\\");
    let Some(c) = cursor.next() else {
        return Err(RegexError::new(Fault::TrailingBackslash, ""));
    };
    let rune = match c {
        '0' => Some(octal(cursor, 0)),
        // A single digit but zero would refer back to a group, which linear time rules out.
        '1'..='7' if cursor.peek().is_some_and(|next| next.is_digit(8)) => {
            c.to_digit(8).map(|digit| octal(cursor, digit))
        }
        'x' => hex(cursor),
        'a' => Some(0x07),
        'f' => Some(0x0c),
        'n' => Some(0x0a),
        'r' => Some(0x0d),
        't' => Some(0x09),
        'v' => Some(0x0b),
        _ if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(Rune::from(c)),
        _ => None,
    };
    rune.ok_or_else(|| RegexError::new(Fault::Escape, cursor.since(start)))
}

/// Reads up to two more octal digits after `rune`.
fn octal(cursor: &mut Cursor<'_>, mut rune: Rune) -> Rune {
    for _ in 0..2 {
        let Some(digit) = cursor.peek().and_then(|c| c.to_digit(8)) else {
            break;
        };
        cursor.next();
        rune = rune * 8 + digit;
    }
    rune
}

/// Reads what follows `\x`: two hexadecimal digits, or any number of them in braces.
fn hex(cursor: &mut Cursor<'_>) -> Option<Rune> {
    let digit = |c: char| c.to_digit(16);
    if !cursor.take("{") {
        // Both are read before either is judged: Go's message quotes both.
        let (high, low) = (cursor.next()?, cursor.next());
        return Some(digit(high)? * 16 + digit(low?)?);
    }
    let mut rune = None;
    loop {
        match cursor.next()? {
            '}' => return rune,
            c => rune = Some(rune.unwrap_or(0) * 16 + digit(c)?).filter(|rune| *rune <= RUNE_MAX),
        }
        rune?;
    }
}
