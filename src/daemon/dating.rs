//! The periods of actions: each ends `expiry` from now, and no two actions of a name have the same one.
//!
//! RSA signatures are deterministic, so two actions with the same name and period would have the
//! same signature, and a search could not tell them apart. Actions that are signed in the same
//! second therefore begin in different seconds. Only the beginning moves, always further back: the
//! platform and its agents check no more of it than that it has passed.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::engine::Engine;
use super::index::Index;
use crate::clock::before;
use crate::spool::Record;
use crate::stage::signed::{Period, whole_seconds};

/// How long a period is remembered after its end, in case the clock is set back.
const MEMORY: Duration = Duration::from_secs(3600);
/// How much further back actions begin that are signed in the second in which the runner started:
/// an earlier runner may have signed in that second too, and its runs may have left the spool.
const START_MARGIN: Duration = Duration::from_secs(120);

/// The periods of the actions that were signed since the start.
#[derive(Debug, Default)]
pub(super) struct Dated {
    /// End, name and beginning.
    periods: BTreeSet<(Timestamp, String, Timestamp)>,
}

impl Dated {
    /// Returns the beginnings of the actions that have this name and this end.
    fn beginnings(&self, action_name: &str, until: Timestamp) -> BTreeSet<Timestamp> {
        let first = (until, action_name.to_owned(), Timestamp::MIN);
        self.periods
            .range(first..)
            .take_while(|(end, name, _)| *end == until && name == action_name)
            .map(|(_, _, from)| *from)
            .collect()
    }

    /// Remembers the period of an action that is about to be signed.
    fn note(&mut self, action_name: &str, period: Period, now: Timestamp) {
        let oldest = (before(now, MEMORY), String::new(), Timestamp::MIN);
        self.periods = self.periods.split_off(&oldest);
        self.periods.insert((period.until, action_name.to_owned(), period.from));
    }
}

impl Engine {
    /// Returns the period of an action that is signed now, and remembers it.
    pub(super) fn date(&mut self, record: &Record) -> Period {
        let (now, name) = (self.parts.clock.now(), &record.request.action_name);
        let mut period = Period::starting(now, record.settings.expiry);
        if whole_seconds(now) == whole_seconds(self.began) {
            period.from = before(period.from, START_MARGIN);
        }
        let mut taken = self.dated.beginnings(name, period.until);
        taken.extend(on_disk(&self.index, name, period.until));
        let second = Duration::from_secs(1);
        let mut back = std::iter::successors(Some(period.from), |at| Some(before(*at, second)));
        period.from = back.find(|at| !taken.contains(at)).unwrap_or(period.from);
        self.dated.note(name, period, now);
        period
    }
}

/// Returns the beginnings of unfinished runs' actions that have this name and this end.
fn on_disk(index: &Index, action_name: &str, until: Timestamp) -> impl Iterator<Item = Timestamp> {
    let requests = index.iter().map(|(_, live)| &live.facts.request);
    requests
        .filter(move |request| request.expire_after == Some(until))
        .filter(move |request| request.action_name == action_name)
        .filter_map(|request| request.valid_from)
}
