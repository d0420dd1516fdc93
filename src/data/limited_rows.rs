//! Rows of a query that are read until they have a certain size.

use super::row::Row;

#[derive(Debug)]
pub(super) struct LimitedRows {
    rows: Vec<Row>,
    /// The size of the rows.
    bytes: usize,
    bytes_max: usize,
}

impl LimitedRows {
    pub(super) fn new(bytes_max: usize) -> LimitedRows {
        LimitedRows { rows: Vec::new(), bytes: 0, bytes_max }
    }

    /// Returns whether the rows exceed the limit, so that no further one may be added.
    pub(super) fn is_full(&self) -> bool {
        self.bytes > self.bytes_max
    }

    pub(super) fn push(&mut self, row: Row) {
        self.bytes = self.bytes.saturating_add(row.bytes());
        self.rows.push(row);
    }

    pub(super) fn into_rows(self) -> Vec<Row> {
        self.rows
    }
}
