//! The part of SQL that targets may use, and its evaluation for one agent.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value as Json;

use super::column::{Column, ColumnValue};
use super::like::Pattern;
use super::row::{Row, Value};

/// An expression whose types were checked when it was parsed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    /// The row's value in a column.
    Column(Column),
    Constant(ColumnValue),
    /// `NOT x`.
    Not(Box<Expression>),
    /// `x AND y AND z`.
    All(Vec<Expression>),
    /// `x OR y OR z`.
    Any(Vec<Expression>),
    /// `x IS NULL`.
    IsNull(Box<Expression>),
    /// `x = y` and the like.
    Compare(Box<Expression>, Comparison, Box<Expression>),
    /// `x IN (y, z)`.
    In(Box<Expression>, Vec<Expression>),
    /// `x LIKE y`, `x ILIKE y`.
    Like(Box<Expression>, Box<Pattern>),
    /// `x -> 'key'`, `x ->> 0`, `x #>> '{key,0}'`.
    Json {
        document: Box<Expression>,
        /// The path into the document.
        path: Vec<Step>,
        /// Whether the result is text rather than JSON.
        as_text: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// One step into a JSON document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The member of an object.
    Key(String),
    /// An element of an array, counted from its end if negative.
    Index(i64),
    /// Either of them, as in `#>>`: the member with this name, or the element with this number.
    Either(String),
}

impl Expression {
    /// Returns the value for `row`.
    pub(super) fn value<'a>(&'a self, row: &'a Row<'_>) -> Value<'a> {
        let truth = match self {
            Expression::Column(column) => return row.value(*column),
            Expression::Constant(value) => return value.into(),
            Expression::Json { document, path, as_text } => {
                return json_value(&document.value(row), path, *as_text);
            }
            Expression::Not(inner) => inner.truth(row).map(|truth| !truth),
            Expression::All(parts) => every(parts, row),
            Expression::Any(parts) => some(parts, row),
            Expression::IsNull(inner) => Some(inner.value(row) == Value::Null),
            Expression::Compare(left, comparison, right) => {
                compare(&left.value(row), &right.value(row)).map(|order| comparison.holds(order))
            }
            Expression::In(needle, list) => contains(&needle.value(row), list, row),
            Expression::Like(text, pattern) => match text.value(row) {
                Value::Text(text) if pattern.ignores_case() => {
                    Some(pattern.matches(&row.folded(text)))
                }
                Value::Text(text) => Some(pattern.matches(&text)),
                _ => None,
            },
        };
        truth.map_or(Value::Null, Value::Bool)
    }

    /// Returns the truth value for `row`, `None` if it is unknown.
    fn truth(&self, row: &Row<'_>) -> Option<bool> {
        match self.value(row) {
            Value::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    /// Returns the number of conditions, such as comparisons, of which the expression consists.
    pub(super) fn conditions(&self) -> usize {
        match self {
            Expression::Column(_) | Expression::Constant(_) => 0,
            Expression::Json { document, .. } => document.conditions(),
            Expression::Not(inner) => inner.conditions(),
            Expression::All(parts) | Expression::Any(parts) => {
                parts.iter().map(Expression::conditions).sum()
            }
            Expression::IsNull(inner) | Expression::Like(inner, _) => 1 + inner.conditions(),
            Expression::Compare(left, _, right) => 1 + left.conditions() + right.conditions(),
            Expression::In(needle, list) => {
                1 + needle.conditions() + list.iter().map(Expression::conditions).sum::<usize>()
            }
        }
    }
}

/// Returns false if a part is false, otherwise unknown if a part is unknown.
fn every(parts: &[Expression], row: &Row<'_>) -> Option<bool> {
    let mut truth = Some(true);
    for part in parts {
        match part.truth(row) {
            Some(false) => return Some(false),
            Some(true) => {}
            None => truth = None,
        }
    }
    truth
}

/// Returns true if a part is true, otherwise unknown if a part is unknown.
fn some(parts: &[Expression], row: &Row<'_>) -> Option<bool> {
    let mut truth = Some(false);
    for part in parts {
        match part.truth(row) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => truth = None,
        }
    }
    truth
}

/// Orders two values of one type; the order of null is unknown. Text is ordered by its bytes.
fn compare(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => left.partial_cmp(right),
        (Value::Time(left), Value::Time(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

/// Returns whether an element of `list` equals `needle`: unknown if none does and one is null.
fn contains(needle: &Value<'_>, list: &[Expression], row: &Row<'_>) -> Option<bool> {
    let mut truth = Some(false);
    for element in list {
        match compare(needle, &element.value(row)) {
            Some(Ordering::Equal) => return Some(true),
            Some(_) => {}
            None => truth = None,
        }
    }
    truth
}

fn json_value<'a>(document: &Value<'a>, path: &[Step], as_text: bool) -> Value<'a> {
    let Value::Json(document) = *document else {
        return Value::Null;
    };
    let Some(found) = path.iter().try_fold(document, |at, step| enter(at, step)) else {
        return Value::Null;
    };
    match found {
        _ if !as_text => Value::Json(found),
        Json::Null => Value::Null,
        Json::String(text) => Value::Text(Cow::Borrowed(text)),
        other => Value::Text(Cow::Owned(other.to_string())),
    }
}

fn enter<'a>(at: &'a Json, step: &Step) -> Option<&'a Json> {
    match (at, step) {
        (Json::Object(members), Step::Key(key) | Step::Either(key)) => members.get(key),
        (Json::Array(elements), Step::Index(index)) => element(elements, *index),
        (Json::Array(elements), Step::Either(text)) => element(elements, text.trim().parse().ok()?),
        _ => None,
    }
}

fn element(elements: &[Json], index: i64) -> Option<&Json> {
    let distance = usize::try_from(index.unsigned_abs()).ok()?;
    let index = if index < 0 { elements.len().checked_sub(distance)? } else { distance };
    elements.get(index)
}
