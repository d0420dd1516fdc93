//! Rows, page by page: of a table may be read more than fits into memory.
//!
//! A page begins after the last row of the one before, by the key that the rows
//! are ordered by. So what is added or goes meanwhile shifts no row past the
//! reader, and no transaction is held open while somebody reads.

use super::DataError;

/// What returns a page: the first one, or that after a row.
type Fetch<'a, T> = Box<dyn FnMut(Option<&T>) -> Result<Fetched<T>, DataError> + 'a>;

/// A page of rows.
#[derive(Debug)]
pub(super) struct Fetched<T> {
    /// The rows.
    pub(super) rows: Vec<T>,
    /// Whether no row comes after them.
    is_last: bool,
}

impl<T> Fetched<T> {
    /// Returns a page of which `limit` rows were asked for: one that has fewer is the last.
    pub(super) fn new(rows: Vec<T>, limit: i64) -> Fetched<T> {
        let is_last = i64::try_from(rows.len()).is_ok_and(|count| count < limit);
        Fetched { rows, is_last }
    }
}

/// The rows of a query, of which a page is in memory at a time.
pub(crate) struct Pages<'a, T> {
    fetch: Fetch<'a, T>,
    page: std::vec::IntoIter<T>,
    last: Option<T>,
    is_over: bool,
}

impl<'a, T: Clone> Pages<'a, T> {
    /// Returns the rows that `fetch` returns in pages: the first ones, then those after a row.
    pub(super) fn new(
        fetch: impl FnMut(Option<&T>) -> Result<Fetched<T>, DataError> + 'a,
    ) -> Pages<'a, T> {
        let page = Vec::new().into_iter();
        Pages { fetch: Box::new(fetch), page, last: None, is_over: false }
    }
}

impl<T: Clone> Iterator for Pages<'_, T> {
    type Item = Result<T, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 && !self.is_over {
            match (self.fetch)(self.last.as_ref()) {
                Ok(Fetched { rows, is_last }) => {
                    self.is_over = is_last || rows.is_empty();
                    self.last = rows.last().cloned();
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

    #[test]
    fn every_row_comes_once_and_none_is_looked_for_after_the_last() {
        for rows in [0, 1, 3, 9, 10] {
            let mut fetched = 0;
            let pages = Pages::new(|last: Option<&u32>| {
                fetched += 1;
                let first = last.map_or(0, |last| last + 1);
                Ok(Fetched::new((first..rows).take(3).collect(), 3))
            });
            let found: Result<Vec<u32>, DataError> = pages.collect();
            assert_eq!(found.unwrap(), (0..rows).collect::<Vec<u32>>());
            assert_eq!(fetched, rows / 3 + 1);
        }
    }

    #[test]
    fn a_failure_ends_them() {
        let mut pages = Pages::new(|last: Option<&u32>| match last {
            None => Ok(Fetched::new(vec![1], 1)),
            Some(_) => Err(DataError::Duplicate { query: "q" }),
        });
        assert!(matches!(pages.next(), Some(Ok(1))));
        assert!(matches!(pages.next(), Some(Err(_))));
        assert!(pages.next().is_none());
    }
}
