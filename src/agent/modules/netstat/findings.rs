//! Hits, and the result in the original's form.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::to_raw_value;

use super::super::ModuleResult;
use super::route::RouteError;
use crate::chain::Chain;
use crate::go::duration;

/// One hit. Fields that are empty or 0 are omitted.
#[derive(Debug, Default, Serialize)]
pub(super) struct NetstatElement {
    /// The hardware address of a link.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) localmacaddr: String,
    /// The hardware address of a neighbour.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) remotemacaddr: String,
    /// An address of this host.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) localaddr: String,
    /// A port of this host.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) localport: u16,
    /// The address of a neighbour or a peer.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) remoteaddr: String,
    /// The port of a peer.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) remoteport: u16,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) namespace: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(port: &u16) -> bool {
    *port == 0
}

#[derive(Debug, Serialize)]
struct NetstatStatistics {
    examined: usize,
    exectime: String,
    totalhits: usize,
}

#[derive(Debug, Default)]
pub(super) struct NetstatFindings {
    /// Hits by kind of search, then by search term; `None` for a term without hits.
    elements: BTreeMap<&'static str, BTreeMap<String, Option<Vec<NetstatElement>>>>,
    /// Number of comparisons.
    examined: usize,
    hits: usize,
    pub(super) errors: Vec<String>,
}

impl NetstatFindings {
    /// Returns the rows of a table. If it cannot be read, records the error and returns no rows.
    pub(super) fn or_report<T>(&mut self, rows: Result<Vec<T>, RouteError>) -> Vec<T> {
        rows.unwrap_or_else(|error| {
            self.errors.push(Chain(&error).to_string());
            Vec::new()
        })
    }

    /// Searches `table` for the term `text`, unless it was searched before.
    pub(super) fn search<'a, T: 'a>(
        &mut self,
        kind: &'static str,
        text: &str,
        table: impl IntoIterator<Item = &'a T>,
        element: impl Fn(&T) -> Option<NetstatElement>,
    ) {
        let of_kind = self.elements.entry(kind).or_default();
        if of_kind.contains_key(text) {
            return;
        }
        let examined = table.into_iter().inspect(|_| self.examined += 1);
        let found: Vec<NetstatElement> = examined.filter_map(element).collect();
        self.hits += found.len();
        of_kind.insert(text.to_owned(), Some(found).filter(|found| !found.is_empty()));
    }

    /// Returns the result of a run that took this long.
    pub(super) fn result(self, took: Duration) -> Result<ModuleResult, serde_json::Error> {
        Ok(ModuleResult {
            foundanything: self.hits > 0,
            success: true,
            elements: to_raw_value(&self.elements)?,
            statistics: to_raw_value(&NetstatStatistics {
                examined: self.examined,
                exectime: duration::text(took),
                totalhits: self.hits,
            })?,
            errors: self.errors,
        })
    }
}
