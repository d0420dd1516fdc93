//! The search for the action of a run whose outcome is unknown.
//!
//! **Invariant.** The result is [`Found::None`] only if every action was seen that may be the one
//! searched for: otherwise the run would be posted twice.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::super::answer::{ACTIONS, action};
use super::super::error::ApiError;
use super::super::verdict::is_ours;
use super::super::wanted::Wanted;
use super::super::{Found, Search};
use super::Client;
use crate::clock::{after, before};
use crate::names::ActionId;

/// Maximum number of actions in the response to a search by signature. With this many, some may be
/// missing.
const SEARCH_ROWS: u64 = 1000;
/// Size of the actions in a response, in bytes, from which further ones may be missing: our own
/// platform ends a response after 64 MiB.
const CUT_PAGE_BYTES: usize = 32 << 20;
/// Margin by which the search period exceeds the action's validity period at either end.
const SEARCH_MARGIN_SPAN: Duration = Duration::from_secs(1);

/// The extent of a page of actions.
struct ActionPage {
    rows: u64,
    /// The size of the actions.
    bytes: usize,
}

impl Client {
    /// Searches for a run's action by its signatures.
    pub(super) fn find_action(&self, search: &Search<'_>) -> Result<Found, ApiError> {
        let (mut found, mut rows) = (None, 0);
        loop {
            let page = self.find_page(search, rows, &mut found)?;
            rows += page.rows;
            if page.rows == 0 || page.bytes < CUT_PAGE_BYTES || rows >= SEARCH_ROWS {
                break;
            }
        }
        Ok(match found {
            Some((id, action)) => Found::Action { id, action },
            None if rows < SEARCH_ROWS => Found::None,
            None => Found::TooMany,
        })
    }

    /// Reads the actions from the row `offset` on that may be the one searched for. If several have
    /// our signature, the one that was inserted first counts.
    fn find_page(
        &self,
        search: &Search<'_>,
        offset: u64,
        found: &mut Option<(ActionId, Box<RawValue>)>,
    ) -> Result<ActionPage, ApiError> {
        let (limit, first) = (SEARCH_ROWS.to_string(), offset.to_string());
        let name = like(search.name);
        let begin = seconds(before(search.valid_from, SEARCH_MARGIN_SPAN));
        let end = seconds(after(search.expire_after, SEARCH_MARGIN_SPAN));
        let mut parameters = vec![
            ("type", "action"),
            ("limit", limit.as_str()),
            ("actionname", name.as_str()),
            ("after", begin.as_str()),
            ("before", end.as_str()),
        ];
        if offset > 0 {
            parameters.push(("offset", first.as_str()));
        }
        let mut request = self.get("search", &parameters);
        request.span = self.page_span;
        let mut bytes = 0;
        let rows =
            self.search(&request, ACTIONS, Wanted::Named(|name| name == "action"), &mut |value| {
                bytes += value.text.len();
                let seen = action(value.text)?;
                let id = ActionId(seen.id);
                let is_first = found.as_ref().is_none_or(|(first, _)| id < *first);
                if is_ours(&seen, search.signatures) && !search.taken.contains(&id) && is_first {
                    *found = Some((id, value.to_raw()?));
                }
                Ok(())
            })?;
        Ok(ActionPage { rows, bytes })
    }
}

/// Returns an SQL pattern that matches only `text`, in any case.
fn like(text: &str) -> String {
    text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")
}

/// Formats a time as RFC 3339 with whole seconds.
fn seconds(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}
