//! Assigns the validity periods of actions: each period ends `expiry` from now, and no two actions
//! of the same name have the same period.
//!
//! RSA signatures are deterministic, so two actions with the same name and period would have the
//! same signature, and a search could not distinguish them. Actions that are signed in the same
//! second therefore start in different seconds. Only the start moves, always further back: the
//! platform and its agents check only that it has passed.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::index::Index;
use crate::clock::before;
use crate::spool::Record;
use crate::stage::signed::{Period, whole_seconds};

/// Time for which a period is remembered after its end, in case the clock is set back.
const MEMORY: Duration = Duration::from_secs(3600);
/// Actions signed in the second in which the runner started have a period that starts earlier by
/// this time: an earlier runner may have signed in that second too, and its runs may have left the
/// spool.
const START_MARGIN: Duration = Duration::from_secs(120);

/// The periods of the actions that were signed since the start.
#[derive(Debug)]
pub(super) struct SigningPeriods {
    /// When the engine started.
    started: Timestamp,
    /// End, action name and start of each period.
    periods: BTreeSet<(Timestamp, String, Timestamp)>,
}

impl SigningPeriods {
    /// Returns no periods yet, for an engine that started at this time.
    pub(super) fn new(started: Timestamp) -> SigningPeriods {
        SigningPeriods { started, periods: BTreeSet::new() }
    }

    /// Returns the period of an action that is signed now, and remembers it.
    pub(super) fn assign(&mut self, record: &Record, index: &Index, now: Timestamp) -> Period {
        let name = &record.request.action_name;
        let mut period = Period::starting(now, record.settings.expiry);
        if whole_seconds(now) == whole_seconds(self.started) {
            period.from = before(period.from, START_MARGIN);
        }
        let mut taken = self.starts(name, period.until);
        taken.extend(indexed_starts(index, name, period.until));
        let second = Duration::from_secs(1);
        let mut back = std::iter::successors(Some(period.from), |at| Some(before(*at, second)));
        period.from = back.find(|at| !taken.contains(at)).unwrap_or(period.from);
        self.remember(name, period, now);
        period
    }

    /// Returns the starts of the periods with this action name and end.
    fn starts(&self, action_name: &str, until: Timestamp) -> BTreeSet<Timestamp> {
        let first = (until, action_name.to_owned(), Timestamp::MIN);
        self.periods
            .range(first..)
            .take_while(|(end, name, _)| *end == until && name == action_name)
            .map(|(_, _, from)| *from)
            .collect()
    }

    fn remember(&mut self, action_name: &str, period: Period, now: Timestamp) {
        let oldest = (before(now, MEMORY), String::new(), Timestamp::MIN);
        self.periods = self.periods.split_off(&oldest);
        self.periods.insert((period.until, action_name.to_owned(), period.from));
    }
}

/// Returns the starts of the periods of unfinished runs with this action name and end.
fn indexed_starts(
    index: &Index,
    action_name: &str,
    until: Timestamp,
) -> impl Iterator<Item = Timestamp> {
    let requests = index.iter().map(|(_, run)| &run.facts.request);
    requests
        .filter(move |request| request.expire_after == Some(until))
        .filter(move |request| request.action_name == action_name)
        .filter_map(|request| request.valid_from)
}
