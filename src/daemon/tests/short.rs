//! What the platform refuses because a signature's number has the wrong length.

use super::*;
use crate::pgp::testing::short::SHORT;

#[test]
fn a_run_whose_signature_is_refused_for_its_length_is_signed_again() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.job("job", "schedule = \"1 12 * * *\"\nexpiry = 10m");
    rig.start();
    rig.platform.expect(&[Mood::CallShort; 3]);
    rig.at("2026-11-22T12:01:00Z");
    let mut made = vec![rig.record(Folder::New, ID).request];
    for crash in [false, true, false] {
        if crash {
            rig.crash();
            rig.start();
        }
        let posts = rig.platform.posts();
        while rig.platform.posts() == posts {
            rig.pass(1);
        }
        assert!(!rig.spool().iter().any(|entry| entry.contains("invalid")), "{:?}", rig.spool());
        let folder = if rig.platform.posts() < 4 { Folder::New } else { Folder::ActionInflight };
        made.push(rig.record(folder, ID).request);
    }
    assert_eq!(rig.spool(), [format!("action/inflight {ID}")]);
    // Each time another signature, over another second.
    assert_eq!(made.last().unwrap().signatures.len(), 4);
    let mut begins: Vec<_> = made.iter().map(|request| request.valid_from.unwrap()).collect();
    begins.dedup();
    assert_eq!(begins.len(), 4, "{begins:?}");
    assert_eq!(rig.platform.actions().len(), 1);
}

#[test]
fn an_action_signed_elsewhere_that_cannot_be_mended_is_handed_back_to_its_signers() {
    // The key that signs here pads nothing of others.
    let mut rig = Rig::new("2026-11-30T04:00:30Z");
    rig.start();
    write_private(&rig.path("spool/action/new/mine.json"), SHORT[0].action);
    for _ in 0..6 {
        rig.pass(10);
    }
    let [entry] = rig.spool().try_into().unwrap();
    let id = entry.strip_prefix("action/invalid ").unwrap_or_else(|| panic!("{entry}"));
    let reason = rig.record(Folder::Invalid, id).reason.unwrap();
    assert!(reason.contains("those who signed the action must sign it again"), "{reason}");
    assert_eq!(rig.platform.actions(), [""; 0]);
}

#[test]
fn an_action_signed_elsewhere_that_is_called_late_is_no_matter_of_its_signature() {
    let mut rig = Rig::new("2026-11-30T04:00:30Z");
    rig.start();
    let short = &SHORT[0];
    let signature = short.signature();
    let action = short.action.replace(&signature, short.padded(&signature).as_str());
    rig.platform.expect(&[Mood::CallLate; 2]);
    write_private(&rig.path("spool/action/new/mine.json"), &action);
    for _ in 0..6 {
        rig.pass(10);
    }
    let [entry] = rig.spool().try_into().unwrap();
    assert!(entry.starts_with("action/inflight mine."), "{entry}");
    assert_eq!((rig.platform.posts(), rig.platform.texts()), (3, vec![action]));
}
