//! Tests with pages that arrive early, late, short, slowly, or not at all.
#![expect(clippy::disallowed_methods, reason = "tests read what was written")]

mod limits;

use std::sync::{Arc, Condvar, Mutex};

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::action::Signature;
use crate::api::{ActionState, Dashboard, Found, Posted, Search};
use crate::clock::testing::TestClock;
use crate::disk::COMMAND_PREFIX;
use crate::disk::counting::CountingFs;
use crate::stage::document::{DocumentError, DocumentLimits};
use crate::testing::retried;

const HEAD: &str = "{\"action\":{},\"commands\":[\n";
/// Time after which a test fails if the page that it waits for did not arrive.
const PATIENCE: Duration = Duration::from_secs(20);

/// Unusual behaviour of a page.
#[derive(Debug, Clone, Copy)]
enum Quirk {
    /// Arrives after the page at this offset.
    After(u64),
    /// Ends with an error after this many commands.
    Broken(u64),
    /// Takes this long.
    Slow(Duration),
    /// Sets the stop flag after this many commands.
    Stop(u64),
    /// Has all the rest of the commands.
    Endless,
    /// Arrives after the page at this offset, with commands of another action.
    Strange(u64),
    /// Makes the fsyncs of files fail.
    FailSyncs,
    /// Arrives after this many fsyncs.
    Synced(usize),
}

/// An API with the commands 0, 1, 2, … of an action.
#[derive(Debug)]
struct FakeApi {
    total: u64,
    reports_total: bool,
    most: u64,
    /// The number of commands with which a page exceeds its limit.
    too_many: u64,
    /// A command that exceeds the limit of a page alone.
    too_large: Option<u64>,
    /// Whether pages have twice as many commands as requested.
    is_generous: bool,
    /// The number of different commands; the API repeats them.
    distinct: u64,
    quirk: Mutex<Vec<(u64, Quirk)>>,
    requested: Mutex<Vec<(u64, u32)>>,
    given: Mutex<Vec<u64>>,
    /// The offsets of the pages that were not read to the end, each with the number of commands
    /// that were read.
    cut: Mutex<Vec<(u64, u64)>>,
    changed: Condvar,
    clock: TestClock,
    stop: Stop,
    fs: Arc<CountingFs>,
}

impl FakeApi {
    fn of(total: u64) -> FakeApi {
        FakeApi {
            total,
            reports_total: true,
            most: u64::MAX,
            too_many: u64::MAX,
            too_large: None,
            is_generous: false,
            distinct: u64::MAX,
            quirk: Mutex::default(),
            requested: Mutex::default(),
            given: Mutex::default(),
            cut: Mutex::default(),
            changed: Condvar::new(),
            clock: TestClock::new(Timestamp::UNIX_EPOCH),
            stop: Stop::new(),
            fs: Arc::default(),
        }
    }

    /// Makes the next page at `offset` behave unusually.
    fn with(self, offset: u64, quirk: Quirk) -> FakeApi {
        self.quirk.lock().unwrap().push((offset, quirk));
        self
    }

    fn requested(&self) -> Vec<(u64, u32)> {
        let mut requested = std::mem::take(&mut *self.requested.lock().unwrap());
        requested.sort_unstable();
        requested
    }

    fn quirk_at(&self, offset: u64) -> Option<Quirk> {
        let mut quirk = self.quirk.lock().unwrap();
        let at = quirk.iter().position(|(other, _)| *other == offset)?;
        Some(quirk.remove(at).1)
    }

    fn give(&self, offset: u64) {
        self.given.lock().unwrap().push(offset);
        self.changed.notify_all();
    }

    fn wait_for(&self, offset: u64) {
        let given = self.given.lock().unwrap();
        let is_missing = |given: &mut Vec<u64>| !given.contains(&offset);
        let (given, waited) = self.changed.wait_timeout_while(given, PATIENCE, is_missing).unwrap();
        assert!(!waited.timed_out(), "only {given:?} came");
    }
}

impl Api for FakeApi {
    fn commands(
        &self,
        _id: ActionId,
        offset: u64,
        limit: u32,
        sink: &mut dyn FnMut(CommandText<'_>) -> io::Result<()>,
    ) -> Result<Page, ApiError> {
        self.requested.lock().unwrap().push((offset, limit));
        let broken = ApiError::FormTooLong { bytes: 0, limit: 0 };
        let quirk = self.quirk_at(offset);
        let mut name = "a";
        match quirk {
            Some(Quirk::After(other)) => self.wait_for(other),
            Some(Quirk::Slow(span)) => self.clock.set(crate::clock::after(self.clock.now(), span)),
            Some(Quirk::FailSyncs) => self.fs.fail_file_syncs(),
            Some(Quirk::Synced(count)) => {
                let is_synced = || if self.fs.syncs() >= count { Ok(()) } else { Err(()) };
                retried(is_synced, |()| true).unwrap();
            }
            Some(Quirk::Strange(other)) => {
                self.wait_for(other);
                name = "b";
            }
            Some(Quirk::Broken(_) | Quirk::Stop(_) | Quirk::Endless) | None => {}
        }
        let limit = u64::from(limit) * if self.is_generous { 2 } else { 1 };
        let end = match quirk {
            Some(Quirk::Endless) => self.total,
            _ => self.total.min(offset + limit.min(self.most)),
        };
        for id in offset..end {
            if id - offset == self.too_many || self.too_large == Some(id) {
                return Err(ApiError::too_long());
            }
            match quirk {
                Some(Quirk::Broken(count)) if id == offset + count => return Err(broken),
                Some(Quirk::Stop(count)) if id == offset + count => self.stop.request(),
                _ => {}
            }
            let sent = if self.reports_total { self.total } else { 0 };
            let text = format!(
                r#"{{"id":{},"action":{{"name":"{name}","counters":{{"sent":{sent}}}}},"status":"success"}}"#,
                id % self.distinct + 1
            );
            // The client reports a sink's error in the same way.
            if sink(CommandText::new(&text, None)).is_err() {
                self.cut.lock().unwrap().push((offset, id - offset));
                self.give(offset);
                return Err(broken_sink());
            }
        }
        if let Some(Quirk::Stop(count)) = quirk
            && offset + count >= end
        {
            self.stop.request();
        }
        self.give(offset);
        let items = end.saturating_sub(offset);
        Ok(Page { items, sent: Some(self.total).filter(|_| self.reports_total && items > 0) })
    }

    fn post(&self, _: &str, _: &[Signature]) -> Posted {
        unreachable!("a fetch posts nothing")
    }

    fn find(&self, _: &Search<'_>) -> Result<Found, ApiError> {
        unreachable!("a fetch searches nothing")
    }

    fn action(&self, _: ActionId) -> Result<Option<ActionState>, ApiError> {
        Ok(None)
    }

    fn dashboard(&self) -> Result<Dashboard, ApiError> {
        unreachable!("a fetch needs no dashboard")
    }

    fn skew(&self) -> Option<SignedDuration> {
        None
    }
}

fn broken_sink() -> ApiError {
    ApiError::FormTooLong { bytes: 1, limit: 0 }
}

struct Scratch {
    folder: tempfile::TempDir,
    disk: Disk,
    fs: Arc<CountingFs>,
}

impl Scratch {
    fn new() -> Scratch {
        let folder = tempfile::tempdir().unwrap();
        let fs = Arc::new(CountingFs::default());
        let disk = Disk::new(fs.clone(), folder.path().join("unused"), COMMAND_PREFIX);
        Scratch { folder, disk, fs }
    }

    /// Reads on from the end of the part.
    fn read(&self, api: &FakeApi, size: u32) -> ReadEnd {
        self.read_within(api, size, DocumentLimits::STANDARD)
    }

    fn read_within(&self, api: &FakeApi, size: u32, limits: DocumentLimits) -> ReadEnd {
        let path = self.folder.path().join(".7.part");
        let part = PartialDocument::open(&self.disk, &path, HEAD).unwrap().limited_to(limits);
        let from = part.len();
        let reader = PageReader {
            api,
            disk: &self.disk,
            clock: &api.clock,
            stop: &api.stop,
            id: ActionId(7),
            action_name: "a",
            pages: 2,
        };
        reader.read(part, from, size)
    }

    /// Returns the ids in the part, in order, and checks that no other file exists.
    fn ids(&self) -> Vec<u64> {
        let names: Vec<_> = self.folder.path().read_dir().unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
        let text = std::fs::read_to_string(self.folder.path().join(".7.part")).unwrap();
        let lines = text.strip_prefix(HEAD).unwrap().lines();
        lines
            .map(|line| {
                let command: serde_json::Value =
                    serde_json::from_str(line.trim_start_matches(',')).unwrap();
                command["id"].as_u64().unwrap() - 1
            })
            .collect()
    }
}

fn up_to(end: u64) -> Vec<u64> {
    (0..end).collect()
}

#[test]
fn two_pages_are_requested_at_once_and_written_in_order() {
    let scratch = Scratch::new();
    // If pages were requested one after the other, these two would never arrive.
    let api = FakeApi::of(9).with(2, Quirk::After(4)).with(6, Quirk::After(8));
    let end = scratch.read(&api, 2);
    assert!(end.failure.is_none(), "{:?}", end.failure);
    assert_eq!((end.sent, end.part.len(), end.page_size), (9, 9, 2));
    assert_eq!(scratch.ids(), up_to(9));
    assert_eq!(api.requested(), [(0, 2), (2, 2), (4, 2), (6, 2), (8, 2)]);
}

#[test]
fn commands_before_a_failure_are_kept_and_not_requested_again() {
    let scratch = Scratch::new();
    let api = FakeApi::of(12).with(6, Quirk::Broken(2)).with(3, Quirk::After(0));
    let end = scratch.read(&api, 3);
    assert!(matches!(end.failure, Some(FetchError::Api(_))), "{:?}", end.failure);
    drop(end);
    assert_eq!(scratch.ids(), up_to(8));
    let before = api.requested();
    assert!(before.contains(&(6, 3)), "{before:?}");
    drop(scratch.read(&api, 3));
    assert_eq!(scratch.ids(), up_to(12));
    // The part knows the total: the two remaining pages are requested at once, and no third.
    assert_eq!(api.requested(), [(8, 3), (11, 3)]);
    drop(scratch.read(&api, 3));
    assert_eq!(api.requested(), []);
}

#[test]
fn page_that_waits_for_a_failed_page_is_dropped() {
    let scratch = Scratch::new();
    let api = FakeApi::of(6).with(2, Quirk::Strange(4));
    let end = scratch.read(&api, 2);
    assert!(matches!(end.failure, Some(FetchError::Document(_))), "{:?}", end.failure);
    assert_eq!(scratch.ids(), up_to(2));
}

#[test]
fn slow_pages_become_smaller_down_to_a_limit() {
    let slow = Quirk::Slow(Duration::from_secs(11));
    let scratch = Scratch::new();
    let api = FakeApi::of(400).with(0, slow);
    let end = scratch.read(&api, 100);
    assert_eq!(end.page_size, 50);
    let sizes: Vec<u32> = api.requested().iter().map(|(_, size)| *size).collect();
    assert_eq!(sizes, [100, 50, 50, 50, 50, 50, 50]);
    for (size, smaller) in [(49, 25), (25, 25), (10, 10), (1, 1)] {
        let end = Scratch::new().read(&FakeApi::of(5).with(0, slow), size);
        assert_eq!(end.page_size, smaller, "{size}");
    }
}

#[test]
fn server_with_short_pages_or_without_counts_is_read_to_the_end() {
    let scratch = Scratch::new();
    let mut short = FakeApi::of(10);
    short.most = 2;
    assert!(scratch.read(&short, 4).failure.is_none());
    assert_eq!(scratch.ids(), up_to(10));
    let scratch = Scratch::new();
    let mut silent = FakeApi::of(5);
    silent.reports_total = false;
    assert_eq!(scratch.read(&silent, 2).sent, 5);
    assert_eq!(scratch.ids(), up_to(5));
    assert_eq!(silent.requested(), [(0, 2), (2, 2), (4, 2), (5, 2)]);
    let none = FakeApi::of(0);
    assert_eq!(Scratch::new().read(&none, 2).sent, 0);
    assert_eq!(none.requested(), [(0, 2)]);
}

#[test]
fn stored_pages_are_synced_while_others_are_read() {
    let scratch = Scratch::new();
    let api = FakeApi { fs: scratch.fs.clone(), ..FakeApi::of(12) };
    // The first page is synced before the others are requested.
    let end = scratch.read(&api.with(10, Quirk::Synced(2)), 2);
    assert!(end.failure.is_none(), "{:?}", end.failure);
    assert_eq!(scratch.ids(), up_to(12));
}

#[test]
fn failed_sync_of_a_page_ends_the_read() {
    let scratch = Scratch::new();
    let api = FakeApi { fs: scratch.fs.clone(), ..FakeApi::of(40) };
    let api = api.with(2, Quirk::FailSyncs).with(20, Quirk::Synced(2));
    let failure = scratch.read(&api, 2).failure;
    let is_disk = matches!(failure, Some(FetchError::Document(DocumentError::Disk { .. })));
    assert!(is_disk, "{failure:?}");
}

#[test]
fn stop_ends_a_read_at_the_next_command() {
    let scratch = Scratch::new();
    let api = FakeApi::of(100).with(10, Quirk::Stop(3));
    let end = scratch.read(&api, 10);
    assert!(matches!(end.failure, Some(FetchError::Stopped)), "{:?}", end.failure);
    drop(end);
    assert_eq!(scratch.ids(), up_to(13));
}

#[test]
fn no_page_is_requested_after_a_stop() {
    let scratch = Scratch::new();
    // The stop comes after the last command of the first page.
    let api = FakeApi::of(100).with(0, Quirk::Stop(10));
    let end = scratch.read(&api, 10);
    assert!(matches!(end.failure, Some(FetchError::Stopped)), "{:?}", end.failure);
    drop(end);
    assert_eq!(api.requested.lock().unwrap().len(), 1);
    assert_eq!(scratch.ids(), up_to(10));
}

#[test]
fn early_pages_left_by_a_crash_are_removed() {
    let scratch = Scratch::new();
    let part = scratch.folder.path().join(".7.part");
    for lane in [0, 7] {
        std::fs::write(early_path(&part, lane), "x").unwrap();
    }
    sweep(&scratch.disk, &part).unwrap();
    drop(scratch.read(&FakeApi::of(1), 1));
    assert_eq!(scratch.ids(), up_to(1));
}

#[test]
fn more_commands_than_requested_are_stored_once() {
    let scratch = Scratch::new();
    let mut api = FakeApi::of(20);
    api.is_generous = true;
    let end = scratch.read(&api, 4);
    assert!(end.failure.is_none(), "{:?}", end.failure);
    assert_eq!((end.sent, scratch.ids()), (20, up_to(20)));
}
