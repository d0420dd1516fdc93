//! Rows, page by page: of a table may be read more than fits into memory.
//!
//! A page begins after the last row of the one before, by the key that the rows
//! are ordered by. So what is added or goes meanwhile shifts no row past the
//! reader, and no transaction is held open while somebody reads.

use super::database::Value;
use super::{DataError, Row};

/// What returns a page: the first one, or that after a row with these values in its key.
type Fetch<'a, T> = Box<dyn FnMut(&[Value]) -> Result<Fetched<T>, DataError> + 'a>;

/// A page of rows.
#[derive(Debug)]
pub(super) struct Fetched<T> {
    pub(super) rows: Vec<T>,
    /// The key of the last row, as the database gave it: an odd key leads on as well as any.
    last: Vec<Value>,
    /// Whether no row comes after them.
    is_last: bool,
}

impl<T> Fetched<T> {
    /// Returns a page of which `limit` rows were asked for: one that has fewer is the last. The
    /// columns `key` are what the rows are ordered by.
    pub(super) fn new(rows: Vec<Row>, limit: i64, key: &[usize], read: fn(Row) -> T) -> Fetched<T> {
        let is_last = i64::try_from(rows.len()).is_ok_and(|count| count < limit);
        let last = rows.last().map(|row| row.key(key)).unwrap_or_default();
        Fetched { rows: rows.into_iter().map(read).collect(), last, is_last }
    }
}

/// Returns the condition that `{after}` stands for in a query: none on the first page.
pub(super) fn after<'a>(last: &[Value], condition: &'a str) -> &'a str {
    if last.is_empty() { "1 = 1" } else { condition }
}

/// The rows of a query, of which a page is in memory at a time.
pub(crate) struct Pages<'a, T> {
    fetch: Fetch<'a, T>,
    page: std::vec::IntoIter<T>,
    last: Vec<Value>,
    is_over: bool,
}

impl<'a, T> Pages<'a, T> {
    /// Returns the rows that `fetch` returns in pages: the first ones, then those after a row.
    pub(super) fn new(
        fetch: impl FnMut(&[Value]) -> Result<Fetched<T>, DataError> + 'a,
    ) -> Pages<'a, T> {
        let page = Vec::new().into_iter();
        Pages { fetch: Box::new(fetch), page, last: Vec::new(), is_over: false }
    }
}

impl<T> Iterator for Pages<'_, T> {
    type Item = Result<T, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 && !self.is_over {
            match (self.fetch)(&self.last) {
                Ok(Fetched { rows, last, is_last }) => {
                    self.is_over = is_last || rows.is_empty();
                    self.last = last;
                    self.page = rows.into_iter();
                }
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
            }
        }
        self.page.next().map(Ok)
    }
}

impl<T> std::fmt::Debug for Pages<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages").field("is_over", &self.is_over).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a page of rows that have a number each.
    fn numbers(numbers: impl Iterator<Item = i64>, limit: i64) -> Fetched<i64> {
        let rows = numbers.map(|number| Row::new("q", vec![number.into()])).collect();
        Fetched::new(rows, limit, &[0], |mut row| row.read_number("n"))
    }

    #[test]
    fn every_row_comes_once_and_none_is_looked_for_after_the_last() {
        for rows in [0, 1, 3, 9, 10] {
            let mut fetched = 0;
            let pages = Pages::new(|last: &[Value]| {
                fetched += 1;
                let first = match last {
                    [Value::Number(last)] => last + 1,
                    _ => 0,
                };
                Ok(numbers((first..rows).take(3), 3))
            });
            let found: Result<Vec<i64>, DataError> = pages.collect();
            assert_eq!(found.unwrap(), (0..rows).collect::<Vec<i64>>());
            assert_eq!(fetched, rows / 3 + 1);
        }
    }

    #[test]
    fn a_failure_ends_them() {
        let mut pages = Pages::new(|last: &[Value]| match last {
            [] => Ok(numbers([1].into_iter(), 1)),
            _ => Err(DataError::Duplicate { query: "q" }),
        });
        assert!(matches!(pages.next(), Some(Ok(1))));
        assert!(matches!(pages.next(), Some(Err(_))));
        assert!(pages.next().is_none());
    }
}
