//! An ordered stop in the middle of the work: what is under way ends, nothing new begins.

#![expect(clippy::disallowed_methods, reason = "tests break and mend the spool")]

use std::fmt;
use std::sync::Arc;

use crate::action::sign::testing::HashSigner;
use crate::action::{SignError, Signature, Signer, Unknown};
use crate::daemon::testing::Rig;
use crate::spool::{Fate, Folder};
use crate::testing::write_private;
use crate::wake::Stop;

/// A signer during whose work something happens.
struct During<F>(F);

impl<F> fmt::Debug for During<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("During")
    }
}

impl<F: Fn() + Send + Sync> Signer for During<F> {
    fn sign(&self, bytes: &[u8]) -> Result<Signature, SignError> {
        (self.0)();
        HashSigner.sign(bytes)
    }

    fn fingerprint(&self) -> &str {
        HashSigner.fingerprint()
    }

    fn padded(&self, _: &str, _: Unknown) -> Result<Option<Signature>, SignError> {
        Ok(None)
    }
}

/// Puts actions into `action/new`.
fn drop_in(rig: &Rig, count: usize) {
    for number in 0..count {
        let name = format!("spool/action/new/a{number}.json");
        let action = r#"{"name":"by hand","target":"status='online'","operations":[]}"#;
        write_private(&rig.path(&name), action);
    }
}

/// Starts the next runner, without a stop.
fn start_again(rig: &mut Rig) {
    rig.stop();
    (rig.stopper, rig.signer) = (Stop::new(), Arc::new(HashSigner));
    rig.start();
}

fn fates(rig: &Rig) -> Vec<Fate> {
    let ids = rig.spool();
    let ids = ids.iter().filter_map(|entry| entry.strip_prefix("action/new "));
    ids.map(|id| rig.record(Folder::New, id).request.fate).collect()
}

#[test]
fn a_signature_that_arrives_during_a_stop_is_not_posted() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    let stopper = rig.stopper.clone();
    rig.signer = Arc::new(During(move || stopper.ask()));
    rig.start();
    drop_in(&rig, 3);
    rig.at("2026-11-22T12:00:40Z");
    assert_eq!(rig.platform.posts(), 0);
    // Nothing has to be searched for at the next start, which posts at once.
    assert_eq!(fates(&rig), [Fate::Unsent; 3]);
    start_again(&mut rig);
    rig.pass(1);
    assert_eq!((rig.platform.posts(), rig.platform.actions().len()), (3, 3));
}

#[test]
fn a_signature_that_could_not_be_written_before_a_stop_is_not_posted() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    let (scratch, away) = (rig.path("spool/.tmp"), rig.path("away"));
    // The folder in which the spool writes new files goes.
    rig.signer = Arc::new(During(move || {
        std::fs::rename(&scratch, &away).unwrap();
        std::fs::write(&scratch, "").unwrap();
    }));
    rig.start();
    drop_in(&rig, 1);
    rig.at("2026-11-22T12:00:40Z");
    rig.stopper.ask();
    std::fs::remove_file(rig.path("spool/.tmp")).unwrap();
    std::fs::rename(rig.path("away"), rig.path("spool/.tmp")).unwrap();
    start_again(&mut rig);
    // Nothing was posted, and nothing has to be searched for.
    assert_eq!(fates(&rig), [Fate::Unsent]);
    rig.pass(1);
    assert_eq!((rig.platform.posts(), rig.platform.actions().len()), (1, 1));
}

#[test]
fn no_run_is_signed_or_posted_after_a_stop() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.start();
    rig.platform.stop_at_post(&rig.stopper);
    drop_in(&rig, 12);
    rig.at("2026-11-22T12:00:40Z");
    let posts = rig.platform.posts();
    // Two workers post at the same time.
    assert!((1..=2).contains(&posts), "{posts}");
    assert_eq!(rig.platform.actions().len(), posts);
    assert_eq!(fates(&rig).len(), 12 - posts);
    assert!(fates(&rig).iter().all(|fate| matches!(fate, Fate::Unsent | Fate::Refused)));
    start_again(&mut rig);
    rig.pass(1);
    assert_eq!((rig.platform.posts(), rig.platform.actions().len()), (12, 12));
}

#[test]
fn nothing_that_is_due_begins_after_a_stop() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.job("job", "schedule = \"0 0 1 1 *\"\nplugin = p");
    rig.plugin("p", "cat > /dev/null; echo x >> ran");
    rig.platform.answer(1, true);
    rig.start();
    drop_in(&rig, 1);
    rig.at("2026-11-22T12:00:40Z");
    rig.stopper.ask();
    // The action is over; its results are not fetched.
    rig.at("2026-11-22T12:06:00Z");
    assert!(rig.spool().iter().all(|entry| entry.starts_with("action/inflight ")));
    assert!(rig.platform.offsets().is_empty());
    start_again(&mut rig);
    rig.pass(1);
    assert_eq!(rig.platform.offsets(), [0]);
}
