//! Rows read page by page: a table may have more rows than fit into memory.
//!
//! A page begins after the last row of the previous page, by the key that the rows are ordered by.
//! Rows that are added or deleted meanwhile therefore do not make the reader skip or repeat other
//! rows, and no transaction stays open between pages.

use super::error::DataError;
use super::row::Row;
use super::value::SqlValue;

/// Fetches a page: the first one, or the one after the row with these values in its key.
type Fetch<'a, T> = Box<dyn FnMut(&[SqlValue]) -> Result<FetchedPage<T>, DataError> + 'a>;

#[derive(Debug)]
pub(super) struct FetchedPage<T> {
    pub(super) rows: Vec<T>,
    /// The key of the last row, as the database returned it: an invalid value works as well.
    last: Vec<SqlValue>,
    /// Whether no further page exists.
    is_last: bool,
}

impl<T> FetchedPage<T> {
    /// Returns a page for which at most `limit` rows were requested: a page with fewer rows is the
    /// last. The rows are ordered by the columns `key`.
    pub(super) fn new(
        rows: Vec<Row>,
        limit: i64,
        key: &[usize],
        read: fn(Row) -> T,
    ) -> FetchedPage<T> {
        let is_last = i64::try_from(rows.len()).is_ok_and(|count| count < limit);
        let last = rows.last().map(|row| row.key(key)).unwrap_or_default();
        FetchedPage { rows: rows.into_iter().map(read).collect(), last, is_last }
    }
}

/// Returns the text for `{after}` in a query: no restriction on the first page.
pub(super) fn after<'a>(last: &[SqlValue], condition: &'a str) -> &'a str {
    if last.is_empty() { "1 = 1" } else { condition }
}

/// An iterator over the rows of a query, which holds one page in memory at a time.
pub(crate) struct Pages<'a, T> {
    fetch: Fetch<'a, T>,
    page: std::vec::IntoIter<T>,
    last: Vec<SqlValue>,
    is_finished: bool,
}

impl<'a, T> Pages<'a, T> {
    pub(super) fn new(
        fetch: impl FnMut(&[SqlValue]) -> Result<FetchedPage<T>, DataError> + 'a,
    ) -> Pages<'a, T> {
        let page = Vec::new().into_iter();
        Pages { fetch: Box::new(fetch), page, last: Vec::new(), is_finished: false }
    }
}

impl<T> Iterator for Pages<'_, T> {
    type Item = Result<T, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 && !self.is_finished {
            match (self.fetch)(&self.last) {
                Ok(FetchedPage { rows, last, is_last }) => {
                    self.is_finished = is_last || rows.is_empty();
                    self.last = last;
                    self.page = rows.into_iter();
                }
                Err(error) => {
                    self.is_finished = true;
                    return Some(Err(error));
                }
            }
        }
        self.page.next().map(Ok)
    }
}

impl<T> std::fmt::Debug for Pages<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages").field("is_finished", &self.is_finished).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a page of rows with one number each.
    fn numbers(numbers: impl Iterator<Item = i64>, limit: i64) -> FetchedPage<i64> {
        let rows = numbers.map(|number| Row::new("q", vec![number.into()])).collect();
        FetchedPage::new(rows, limit, &[0], |mut row| row.read_number("n"))
    }

    #[test]
    fn every_row_is_returned_once_until_the_last_page() {
        for rows in [0, 1, 3, 9, 10] {
            let mut fetched = 0;
            let pages = Pages::new(|last: &[SqlValue]| {
                fetched += 1;
                let first = match last {
                    [SqlValue::Number(last)] => last + 1,
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
    fn error_ends_the_rows() {
        let mut pages = Pages::new(|last: &[SqlValue]| match last {
            [] => Ok(numbers([1].into_iter(), 1)),
            _ => Err(DataError::Duplicate { query: "q" }),
        });
        assert!(matches!(pages.next(), Some(Ok(1))));
        assert!(matches!(pages.next(), Some(Err(_))));
        assert!(pages.next().is_none());
    }
}
