//! Actions that the platform rejects because a number in their signature has the wrong length.

use super::*;
use crate::pgp::testing::short::SHORT;

#[test]
fn run_with_a_rejected_signature_length_is_signed_again() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.write_job("job", "schedule = \"1 12 * * *\"\nexpiry = 10m");
    rig.start();
    rig.platform.script_replies(&[PostReply::RejectSignatureLength; 3]);
    rig.run_at("2026-11-22T12:01:00Z");
    let mut requests = vec![rig.record(Folder::New, ID).request];
    for crash in [false, true, false] {
        if crash {
            rig.crash();
            rig.start();
        }
        let posts = rig.platform.post_count();
        while rig.platform.post_count() == posts {
            rig.advance(1);
        }
        assert!(!rig.spool().iter().any(|entry| entry.contains("invalid")), "{:?}", rig.spool());
        let folder =
            if rig.platform.post_count() < 4 { Folder::New } else { Folder::ActionInflight };
        requests.push(rig.record(folder, ID).request);
    }
    assert_eq!(rig.spool(), [format!("action/inflight {ID}")]);
    // Each signature is new and covers another second.
    assert_eq!(requests.last().unwrap().signatures.len(), 4);
    let mut begins: Vec<_> = requests.iter().map(|request| request.valid_from.unwrap()).collect();
    begins.dedup();
    assert_eq!(begins.len(), 4, "{begins:?}");
    assert_eq!(rig.platform.action_names().len(), 1);
}

#[test]
fn action_signed_elsewhere_with_a_bad_signature_is_rejected() {
    // The signing key of this runner cannot repair a signature of another key.
    let mut rig = Rig::new("2026-11-30T04:00:30Z");
    rig.start();
    write_private(&rig.path("spool/action/new/mine.json"), SHORT[0].action);
    for _ in 0..6 {
        rig.advance(10);
    }
    let [entry] = rig.spool().try_into().unwrap();
    let id = entry.strip_prefix("action/invalid ").unwrap_or_else(|| panic!("{entry}"));
    let reason = rig.record(Folder::Invalid, id).reason.unwrap();
    assert!(reason.contains("those who signed the action must sign it again"), "{reason}");
    assert_eq!(rig.platform.action_names(), [""; 0]);
}

#[test]
fn action_signed_elsewhere_and_rejected_as_expired_is_retried() {
    let mut rig = Rig::new("2026-11-30T04:00:30Z");
    rig.start();
    let short = &SHORT[0];
    let signature = short.signature();
    let action = short.action.replace(&signature, short.padded(&signature).as_str());
    rig.platform.script_replies(&[PostReply::RejectAsExpired; 2]);
    write_private(&rig.path("spool/action/new/mine.json"), &action);
    for _ in 0..6 {
        rig.advance(10);
    }
    let [entry] = rig.spool().try_into().unwrap();
    assert!(entry.starts_with("action/inflight mine."), "{entry}");
    assert_eq!((rig.platform.post_count(), rig.platform.action_texts()), (3, vec![action]));
}
