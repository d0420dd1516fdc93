//! Rows, page by page: of a table may be read more than fits into memory.
//!
//! A page begins after the last row of the one before, by the key that the rows
//! are ordered by. So what is added or goes meanwhile shifts no row past the
//! reader, and no transaction is held open while somebody reads.

use super::DataError;

/// What returns a page: the first one, or that after a row.
type Fetch<'a, T> = Box<dyn FnMut(Option<&T>) -> Result<Vec<T>, DataError> + 'a>;

/// The rows of a query, of which a page is in memory at a time.
pub(crate) struct Pages<'a, T> {
    fetch: Fetch<'a, T>,
    page: std::vec::IntoIter<T>,
    last: Option<T>,
    is_over: bool,
}

impl<'a, T: Clone> Pages<'a, T> {
    /// Returns the rows that `fetch` returns in pages: the first ones, then those after a row. A page
    /// of none is the end.
    pub(super) fn new(
        fetch: impl FnMut(Option<&T>) -> Result<Vec<T>, DataError> + 'a,
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
                Ok(page) => {
                    self.is_over = page.is_empty();
                    self.last = page.last().cloned();
                    self.page = page.into_iter();
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
    fn every_row_comes_once_and_a_failure_ends_them() {
        let pages = Pages::new(|last: Option<&u32>| {
            let first = last.map_or(0, |last| last + 1);
            Ok((first..10).take(3).collect())
        });
        let rows: Result<Vec<u32>, DataError> = pages.collect();
        assert_eq!(rows.unwrap(), (0..10).collect::<Vec<u32>>());
        let mut pages = Pages::new(|last: Option<&u32>| match last {
            None => Ok(vec![1]),
            Some(_) => Err(DataError::Duplicate { query: "q" }),
        });
        assert!(matches!(pages.next(), Some(Ok(1))));
        assert!(matches!(pages.next(), Some(Err(_))));
        assert!(pages.next().is_none());
    }
}
