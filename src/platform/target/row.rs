//! A row while a target is evaluated: each column is read, and the case of each text is folded, once.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use jiff::Timestamp;

use super::column::{AgentProperties, Column, ColumnValue};
use super::like;

/// A value that an expression has for a row. It borrows from the row or from the expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'a, str>),
    Time(Timestamp),
    Json(&'a serde_json::Value),
}

impl<'a> From<&'a ColumnValue> for Value<'a> {
    fn from(value: &'a ColumnValue) -> Value<'a> {
        match value {
            ColumnValue::Null => Value::Null,
            ColumnValue::Bool(truth) => Value::Bool(*truth),
            ColumnValue::Number(number) => Value::Number(*number),
            ColumnValue::Text(text) => Value::Text(Cow::Borrowed(text)),
            ColumnValue::Time(time) => Value::Time(*time),
            ColumnValue::Json(json) => Value::Json(json),
        }
    }
}

/// A row whose values are kept as long as it is evaluated.
pub(super) struct Row<'a> {
    properties: &'a dyn AgentProperties,
    values: [OnceCell<ColumnValue>; Column::ALL.len()],
    /// Folded texts, by address and length of the text in the row or in the expression.
    folded: RefCell<HashMap<(*const u8, usize), Rc<str>>>,
}

impl<'a> Row<'a> {
    pub(super) fn new(properties: &'a dyn AgentProperties) -> Row<'a> {
        Row { properties, values: Default::default(), folded: RefCell::default() }
    }

    /// Returns the value in a column.
    pub(super) fn value(&self, column: Column) -> Value<'_> {
        let cell = self.values.get(column as usize);
        let read = || self.properties.value(column);
        cell.map_or(Value::Null, |cell| Value::from(cell.get_or_init(read)))
    }

    /// Returns a text with its case folded.
    pub(super) fn folded(&self, text: Cow<'_, str>) -> Rc<str> {
        match text {
            // Such a text stays where it is until the evaluation ends.
            Cow::Borrowed(text) => {
                let mut folded = self.folded.borrow_mut();
                let known = folded.entry((text.as_ptr(), text.len()));
                Rc::clone(known.or_insert_with(|| like::fold(text).into()))
            }
            Cow::Owned(text) => like::fold(&text).into(),
        }
    }
}
