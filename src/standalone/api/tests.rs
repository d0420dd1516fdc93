//! The API without a socket, asked what a real platform was asked and more.

mod ground;
mod mends;
mod recording;
mod replay;
mod world;

use ground::{Ground, Open};
use recording::Exchange;

use super::*;
use crate::clock::testing::TestClock;
use crate::data::Permissions;
use crate::disk::{Disk, HAND_PREFIX, RealFs};
use crate::pgp::Verifier;

/// The key of the recordings' investigator.
const FINGERPRINT: &str = "2CA9781D5F6BC6C6873ABDF631F89439081B6A31";

/// An API on a database.
struct Rig {
    ground: Ground,
    clock: Arc<TestClock>,
    api: Api,
    _folder: tempfile::TempDir,
}

impl Rig {
    /// Returns an API whose only investigator is that of the recordings.
    fn new() -> Rig {
        let rig = Rig::on(ground::sqlite);
        let key = Exchange::of("01-publickey").answer;
        let created = "2026-11-22T00:52:55.039818Z".parse().unwrap();
        rig.api
            .store
            .insert_investigator(
                "runner",
                FINGERPRINT,
                key.as_bytes(),
                Permissions::RUNNER,
                created,
            )
            .unwrap();
        rig
    }

    /// Returns an API that nobody may use, with a database made by `open`.
    fn on(open: Open) -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), HAND_PREFIX);
        let home = folder.path().join("gnupg");
        disk.make_folder(&home).unwrap();
        // The recordings' key is younger than the clock of some machines.
        disk.create(&home.join("gpg.conf"), b"ignore-time-conflict\nignore-valid-from\n").unwrap();
        let database = folder.path().join("database");
        disk.make_folder(&database).unwrap();
        let ground = open(&database);
        let begin = "2026-11-22T00:52:55Z".parse().unwrap();
        let log = slog::Logger::root(slog::Discard, slog::o!());
        let store = || Arc::clone(&ground.store);
        let clock = Arc::new(TestClock::new(begin));
        let api = Api {
            store: store(),
            signers: Arc::new(Signers::new(store(), Verifier::new(&home), log.clone())),
            ids: Arc::new(Ids::new(begin, Id::new(28_052_900_000_000))),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            place: "linux.this-host".to_owned(),
            base: "http://127.0.0.1:51664".to_owned(),
            log,
        };
        Rig { ground, clock, api, _folder: folder }
    }

    fn answer(&self, exchange: &Exchange) -> Answer {
        self.clock.set(exchange.time);
        self.api.answer(&exchange.request())
    }
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

#[test]
fn an_action_that_two_signatures_of_one_make_impossible_leaves_nothing() {
    let rig = Rig::new();
    let highest = rig.api.store.highest_id().unwrap();
    assert_eq!(rig.answer(&Exchange::of("03-sig-duplicated")).status, 500);
    assert_eq!(rig.api.store.highest_id().unwrap(), highest);
}

#[test]
fn a_disabled_investigator_and_one_without_the_right_are_turned_away() {
    let mut rig = Rig::new();
    let post = Exchange::of("04-client-set-id");
    assert_eq!(rig.answer(&post).status, 202);
    rig.ground.hand.run("update investigators set permissions = 59;");
    let answer = rig.answer(&post);
    assert_eq!(answer.status, 401);
    assert!(answer.body.contains("Insufficient permissions to access endpoint"), "{}", answer.body);
    rig.ground.hand.run("update investigators set permissions = 63, status = 'disabled';");
    let answer = rig.answer(&post);
    assert_eq!(answer.status, 401);
    assert!(answer.body.contains("signature made by unknown entity"), "{}", answer.body);
}

#[test]
fn a_body_that_is_too_long_is_told_so() {
    let rig = Rig::new();
    let exchange = Exchange::of("04-client-set-id");
    rig.clock.set(exchange.time);
    let answer = rig.api.answer(&Request { body: Body::TooLarge, ..exchange.request() });
    assert!(answer.status == 500 && answer.body.contains("http: POST too large"), "{answer:?}");
}

#[test]
fn a_path_that_is_written_differently_is_told_its_own_form() {
    for (path, clean) in [
        ("/", "/"),
        ("//", "/"),
        ("/api/v1/./search", "/api/v1/search"),
        ("/api/../v1//x/", "/v1/x/"),
        ("/../..", "/"),
    ] {
        assert_eq!(super::clean(path), clean, "{path}");
    }
}
