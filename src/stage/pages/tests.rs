//! Pages that come early, late, short, slowly, or not at all.
#![expect(clippy::disallowed_methods, reason = "tests look at what is on the disk")]

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::action::Signature;
use crate::api::{Dashboard, Found, Posted, Search, Seen};
use crate::clock::testing::TestClock;
use crate::disk::{COMMAND_PREFIX, RealFs};

const HEAD: &str = "{\"action\":{},\"commands\":[\n";
/// How long a page waits for another one before the test has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a page does beside giving its commands.
#[derive(Debug, Clone, Copy)]
enum Odd {
    /// It comes after the page at this offset has come.
    After(u64),
    /// It ends after this many commands, and never comes whole.
    Broken(u64),
    /// It takes so long.
    Slow(Duration),
    /// The runner is told to stop after this many commands.
    Stop(u64),
    /// It comes after the page at this offset has come, and its commands are of another action.
    Strange(u64),
}

/// The commands 0, 1, 2, … of an action.
#[derive(Debug)]
struct Source {
    total: u64,
    tells: bool,
    most: u64,
    odd: Mutex<Vec<(u64, Odd)>>,
    asked: Mutex<Vec<(u64, u32)>>,
    given: Mutex<Vec<u64>>,
    changed: Condvar,
    clock: TestClock,
    stop: Stop,
}

impl Source {
    fn of(total: u64) -> Source {
        Source {
            total,
            tells: true,
            most: u64::MAX,
            odd: Mutex::default(),
            asked: Mutex::default(),
            given: Mutex::default(),
            changed: Condvar::new(),
            clock: TestClock::new(Timestamp::UNIX_EPOCH),
            stop: Stop::new(),
        }
    }

    /// Returns the source whose next page at `offset` is odd.
    fn with(self, offset: u64, odd: Odd) -> Source {
        self.odd.lock().unwrap().push((offset, odd));
        self
    }

    fn asked(&self) -> Vec<(u64, u32)> {
        let mut asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked.sort_unstable();
        asked
    }

    fn odd_at(&self, offset: u64) -> Option<Odd> {
        let mut odd = self.odd.lock().unwrap();
        let at = odd.iter().position(|(other, _)| *other == offset)?;
        Some(odd.remove(at).1)
    }

    fn wait_for(&self, offset: u64) {
        let given = self.given.lock().unwrap();
        let is_missing = |given: &mut Vec<u64>| !given.contains(&offset);
        let (given, waited) = self.changed.wait_timeout_while(given, PATIENCE, is_missing).unwrap();
        assert!(!waited.timed_out(), "only {given:?} came");
    }
}

impl Api for Source {
    fn commands(
        &self,
        _id: ActionId,
        offset: u64,
        limit: u32,
        sink: &mut dyn FnMut(&RawValue) -> io::Result<()>,
    ) -> Result<Page, ApiError> {
        self.asked.lock().unwrap().push((offset, limit));
        let broken = ApiError::FormTooLong { bytes: 0, limit: 0 };
        let odd = self.odd_at(offset);
        let mut name = "a";
        match odd {
            Some(Odd::After(other)) => self.wait_for(other),
            Some(Odd::Slow(span)) => self.clock.set(crate::clock::after(self.clock.now(), span)),
            Some(Odd::Strange(other)) => {
                self.wait_for(other);
                name = "b";
            }
            Some(Odd::Broken(_) | Odd::Stop(_)) | None => {}
        }
        let end = self.total.min(offset + u64::from(limit).min(self.most));
        for id in offset..end {
            match odd {
                Some(Odd::Broken(count)) if id == offset + count => return Err(broken),
                Some(Odd::Stop(count)) if id == offset + count => self.stop.ask(),
                _ => {}
            }
            let sent = if self.tells { self.total } else { 0 };
            let text = format!(
                r#"{{"id":{},"action":{{"name":"{name}","counters":{{"sent":{sent}}}}},"status":"success"}}"#,
                id + 1
            );
            // The client says the same of a sink that fails.
            sink(&RawValue::from_string(text).unwrap()).map_err(|_| broken_sink())?;
        }
        if let Some(Odd::Stop(count)) = odd
            && offset + count >= end
        {
            self.stop.ask();
        }
        self.given.lock().unwrap().push(offset);
        self.changed.notify_all();
        let items = end.saturating_sub(offset);
        Ok(Page { items, sent: Some(self.total).filter(|_| self.tells && items > 0) })
    }

    fn post(&self, _: &str, _: &[Signature]) -> Posted {
        unreachable!("a fetch posts nothing")
    }

    fn find(&self, _: &Search<'_>) -> Result<Found, ApiError> {
        unreachable!("a fetch searches nothing")
    }

    fn action(&self, _: ActionId) -> Result<Option<Seen>, ApiError> {
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

struct Place {
    folder: tempfile::TempDir,
    disk: Disk,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().join("unused"), COMMAND_PREFIX);
        Place { folder, disk }
    }

    /// Goes on reading from where the part ends.
    fn read(&self, source: &Source, size: u32) -> End {
        let part = Part::open(&self.disk, &self.folder.path().join(".7.part"), HEAD).unwrap();
        let from = part.len();
        let reader = Reader {
            api: source,
            disk: &self.disk,
            clock: &source.clock,
            stop: &source.stop,
            id: ActionId(7),
            action_name: "a",
            pages: 2,
        };
        reader.read(part, from, size)
    }

    /// Returns the ids in the part, in its order; there is no other file.
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
fn two_pages_are_asked_for_at_once_and_written_in_their_order() {
    let place = Place::new();
    // Were they asked for one after the other, neither would come.
    let source = Source::of(9).with(2, Odd::After(4)).with(6, Odd::After(8));
    let end = place.read(&source, 2);
    assert!(end.failure.is_none(), "{:?}", end.failure);
    assert_eq!((end.sent, end.part.len(), end.page_size), (9, 9, 2));
    assert_eq!(place.ids(), up_to(9));
    assert_eq!(source.asked(), [(0, 2), (2, 2), (4, 2), (6, 2), (8, 2)]);
}

#[test]
fn a_broken_page_keeps_all_before_it_and_nothing_is_asked_for_twice_that_was_kept() {
    let place = Place::new();
    let source = Source::of(12).with(6, Odd::Broken(2)).with(3, Odd::After(0));
    let end = place.read(&source, 3);
    assert!(matches!(end.failure, Some(FetchError::Api(_))), "{:?}", end.failure);
    drop(end);
    assert_eq!(place.ids(), up_to(8));
    let before = source.asked();
    assert!(before.contains(&(6, 3)), "{before:?}");
    drop(place.read(&source, 3));
    assert_eq!(place.ids(), up_to(12));
    // The part tells how many there are: the two pages are asked for at once, and no third.
    assert_eq!(source.asked(), [(8, 3), (11, 3)]);
    drop(place.read(&source, 3));
    assert_eq!(source.asked(), []);
}

#[test]
fn a_page_that_waits_for_one_that_fails_is_let_go() {
    let place = Place::new();
    let source = Source::of(6).with(2, Odd::Strange(4));
    let end = place.read(&source, 2);
    assert!(matches!(end.failure, Some(FetchError::Document(_))), "{:?}", end.failure);
    assert_eq!(place.ids(), up_to(2));
}

#[test]
fn pages_that_take_long_become_smaller_but_not_without_end() {
    let slow = Odd::Slow(Duration::from_secs(11));
    let place = Place::new();
    let source = Source::of(400).with(0, slow);
    let end = place.read(&source, 100);
    assert_eq!(end.page_size, 50);
    let sizes: Vec<u32> = source.asked().iter().map(|(_, size)| *size).collect();
    assert_eq!(sizes, [100, 50, 50, 50, 50, 50, 50]);
    for (size, smaller) in [(49, 25), (25, 25), (10, 10), (1, 1)] {
        let end = Place::new().read(&Source::of(5).with(0, slow), size);
        assert_eq!(end.page_size, smaller, "{size}");
    }
}

#[test]
fn a_server_that_gives_less_or_does_not_count_is_read_to_its_end() {
    let place = Place::new();
    let mut short = Source::of(10);
    short.most = 2;
    assert!(place.read(&short, 4).failure.is_none());
    assert_eq!(place.ids(), up_to(10));
    let place = Place::new();
    let mut silent = Source::of(5);
    silent.tells = false;
    assert_eq!(place.read(&silent, 2).sent, 5);
    assert_eq!(place.ids(), up_to(5));
    assert_eq!(silent.asked(), [(0, 2), (2, 2), (4, 2), (5, 2)]);
    let none = Source::of(0);
    assert_eq!(Place::new().read(&none, 2).sent, 0);
    assert_eq!(none.asked(), [(0, 2)]);
}

#[test]
fn a_stop_ends_a_read_at_the_next_command() {
    let place = Place::new();
    let source = Source::of(100).with(10, Odd::Stop(3));
    let end = place.read(&source, 10);
    assert!(matches!(end.failure, Some(FetchError::Stopped)), "{:?}", end.failure);
    drop(end);
    assert_eq!(place.ids(), up_to(13));
}

#[test]
fn no_page_is_asked_for_after_a_stop() {
    let place = Place::new();
    // The stop comes after the last command of the first page.
    let source = Source::of(100).with(0, Odd::Stop(10));
    let end = place.read(&source, 10);
    assert!(matches!(end.failure, Some(FetchError::Stopped)), "{:?}", end.failure);
    drop(end);
    assert_eq!(source.asked.lock().unwrap().len(), 1);
    assert_eq!(place.ids(), up_to(10));
}

#[test]
fn what_a_crash_left_waiting_is_swept() {
    let place = Place::new();
    let part = place.folder.path().join(".7.part");
    for lane in [0, 7] {
        std::fs::write(early_path(&part, lane), "x").unwrap();
    }
    sweep(&place.disk, &part).unwrap();
    drop(place.read(&Source::of(1), 1));
    assert_eq!(place.ids(), up_to(1));
}
