//! An orderly stop in the middle of the work: tasks under way end, and no new one begins.

#![expect(clippy::disallowed_methods, reason = "tests break and repair the spool")]

use std::fmt;
use std::sync::Arc;

use crate::action::sign::testing::HashSigner;
use crate::action::{SignError, Signature, Signer, UnknownKey};
use crate::daemon::testing::Rig;
use crate::spool::{Fate, Folder};
use crate::testing::write_private;
use crate::wake::Stop;

/// A signer that calls a function for each signature.
struct HookedSigner<F>(F);

impl<F> fmt::Debug for HookedSigner<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HookedSigner")
    }
}

impl<F: Fn() + Send + Sync> Signer for HookedSigner<F> {
    fn sign(&self, bytes: &[u8]) -> Result<Signature, SignError> {
        (self.0)();
        HashSigner.sign(bytes)
    }

    fn fingerprint(&self) -> &str {
        HashSigner.fingerprint()
    }

    fn padded(&self, _: &str, _: UnknownKey) -> Result<Option<Signature>, SignError> {
        Ok(None)
    }
}

/// Puts action files into `action/new`.
fn drop_in(rig: &Rig, count: usize) {
    for number in 0..count {
        let name = format!("spool/action/new/a{number}.json");
        let action = r#"{"name":"by hand","target":"status='online'","operations":[]}"#;
        write_private(&rig.path(&name), action);
    }
}

/// Stops the engine, and starts the next one.
fn restart(rig: &mut Rig) {
    rig.stop();
    (rig.stop_flag, rig.signer) = (Stop::new(), Arc::new(HashSigner));
    rig.start();
}

fn fates(rig: &Rig) -> Vec<Fate> {
    let ids = rig.spool();
    let ids = ids.iter().filter_map(|entry| entry.strip_prefix("action/new "));
    ids.map(|id| rig.record(Folder::New, id).request.fate).collect()
}

#[test]
fn signature_made_during_a_stop_is_not_posted() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    let stop = rig.stop_flag.clone();
    rig.signer = Arc::new(HookedSigner(move || stop.request()));
    rig.start();
    drop_in(&rig, 3);
    rig.run_at("2026-11-22T12:00:40Z");
    assert_eq!(rig.platform.post_count(), 0);
    // The next start needs no search, and posts at once.
    assert_eq!(fates(&rig), [Fate::Unsent; 3]);
    restart(&mut rig);
    rig.advance(1);
    assert_eq!((rig.platform.post_count(), rig.platform.action_names().len()), (3, 3));
}

#[test]
fn signature_that_was_not_recorded_before_a_stop_is_not_posted() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    let (scratch, away) = (rig.path("spool/.tmp"), rig.path("away"));
    // The scratch folder, in which the spool writes new files, becomes unusable.
    rig.signer = Arc::new(HookedSigner(move || {
        std::fs::rename(&scratch, &away).unwrap();
        std::fs::write(&scratch, "").unwrap();
    }));
    rig.start();
    drop_in(&rig, 1);
    rig.run_at("2026-11-22T12:00:40Z");
    rig.stop_flag.request();
    std::fs::remove_file(rig.path("spool/.tmp")).unwrap();
    std::fs::rename(rig.path("away"), rig.path("spool/.tmp")).unwrap();
    restart(&mut rig);
    // Nothing was posted, and the next start needs no search.
    assert_eq!(fates(&rig), [Fate::Unsent]);
    rig.advance(1);
    assert_eq!((rig.platform.post_count(), rig.platform.action_names().len()), (1, 1));
}

#[test]
fn nothing_is_signed_or_posted_after_a_stop() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.start();
    rig.platform.stop_at_post(&rig.stop_flag);
    drop_in(&rig, 12);
    rig.run_at("2026-11-22T12:00:40Z");
    let posts = rig.platform.post_count();
    // Two workers post at the same time.
    assert!((1..=2).contains(&posts), "{posts}");
    assert_eq!(rig.platform.action_names().len(), posts);
    assert_eq!(fates(&rig).len(), 12 - posts);
    assert!(fates(&rig).iter().all(|fate| matches!(fate, Fate::Unsent | Fate::Refused)));
    restart(&mut rig);
    rig.advance(1);
    assert_eq!((rig.platform.post_count(), rig.platform.action_names().len()), (12, 12));
}

#[test]
fn no_fetch_begins_after_a_stop() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.write_job("job", "schedule = \"0 0 1 1 *\"\nplugin = p");
    rig.write_plugin("p", "cat > /dev/null; echo x >> ran");
    rig.platform.set_agents(1, true);
    rig.start();
    drop_in(&rig, 1);
    rig.run_at("2026-11-22T12:00:40Z");
    rig.stop_flag.request();
    // The action has expired; its results are not fetched.
    rig.run_at("2026-11-22T12:06:00Z");
    assert!(rig.spool().iter().all(|entry| entry.starts_with("action/inflight ")));
    assert!(rig.platform.requested_offsets().is_empty());
    restart(&mut rig);
    rig.advance(1);
    assert_eq!(rig.platform.requested_offsets(), [0]);
}
