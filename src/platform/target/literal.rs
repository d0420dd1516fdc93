//! Conversion of a literal's text to the required type, as PostgreSQL converts it.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::column::{ColumnKind, ColumnValue};

/// Converts `text` to a value of type `kind`, if possible.
pub(super) fn read(text: &str, kind: ColumnKind) -> Option<ColumnValue> {
    match kind {
        ColumnKind::Text => Some(ColumnValue::Text(text.to_owned())),
        ColumnKind::Number => number(text).map(ColumnValue::Number),
        ColumnKind::Bool => truth(text).map(ColumnValue::Bool),
        ColumnKind::Time => time(text).map(ColumnValue::Time),
        ColumnKind::Json => serde_json::from_str(text).ok().map(ColumnValue::Json),
    }
}

/// Parses a decimal number.
pub(super) fn number(text: &str) -> Option<f64> {
    let text = text.trim_ascii();
    // Rust's parser also accepts words, such as "inf".
    let decimal = text.chars().all(|c| matches!(c, '0'..='9' | '.' | 'e' | 'E' | '+' | '-'));
    text.parse().ok().filter(|number: &f64| decimal && number.is_finite())
}

/// Parses a truth value: an unambiguous prefix of `true`, `false`, `yes`, `no`, `on` or `off`, or a
/// digit.
fn truth(text: &str) -> Option<bool> {
    let text = text.trim_ascii().to_ascii_lowercase();
    let begins = |word: &str, least: usize| text.len() >= least && word.starts_with(&text);
    if begins("true", 1) || begins("yes", 1) || text == "on" || text == "1" {
        return Some(true);
    }
    let no = begins("false", 1) || begins("no", 1) || begins("off", 2) || text == "0";
    no.then_some(false)
}

/// Parses a time in ISO form, in UTC if it has no zone, or one of the words `epoch`, `infinity` and
/// `-infinity`.
fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim_ascii();
    match text.to_ascii_lowercase().as_str() {
        "epoch" => return Some(Timestamp::UNIX_EPOCH),
        "infinity" => return Some(Timestamp::MAX),
        "-infinity" => return Some(Timestamp::MIN),
        _ => {}
    }
    // With a zone, without one, or a date alone.
    let zoned = text.parse::<Timestamp>().ok();
    zoned.or_else(|| Offset::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok())
}

/// Parses the path of `#>>`: the elements of an array in braces, such as `{a,"b c",0}`. Returns
/// `None` if the text is not such an array; an element is `None` if it is null.
pub(super) fn path(text: &str) -> Option<Vec<Option<String>>> {
    let mut rest = text.trim_ascii().strip_prefix('{')?.strip_suffix('}')?.trim_ascii();
    let mut path = Vec::new();
    while !rest.is_empty() || !path.is_empty() {
        let (element, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted).map(|(element, after)| (Some(element), after))?,
            None => bare(rest)?,
        };
        path.push(element);
        match after.trim_ascii_start() {
            "" => break,
            more => rest = more.strip_prefix(',')?.trim_ascii_start(),
        }
    }
    Some(path)
}

/// Parses up to the closing quote; returns the element and the rest.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut element = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((element, chars.as_str())),
            '\\' => element.push(chars.next()?),
            c => element.push(c),
        }
    }
}

/// Parses an element without quotes; returns the element and the rest.
fn bare(text: &str) -> Option<(Option<String>, &str)> {
    let end = text.find(',').unwrap_or(text.len());
    let (element, after) = text.split_at_checked(end)?;
    let element = element.trim_ascii_end();
    if element.is_empty() || element.contains(['"', '{', '}', '\\']) {
        return None;
    }
    let null = element.eq_ignore_ascii_case("null");
    Some(((!null).then(|| element.to_owned()), after))
}
