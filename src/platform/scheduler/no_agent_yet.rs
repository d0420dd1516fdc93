//! Actions whose targets select no agent at first.

#![expect(clippy::disallowed_methods, reason = "the tests remove files of the spool")]

use jiff::SignedDuration;

use super::testing::{ACTION, Rig, action, agent, noon};
use super::*;
use crate::data::AgentRow;
use crate::data::testing::{DatabaseKind as Kind, on_each_database};

on_each_database!(
    action_waits_for_an_agent_until_half_of_its_period_has_passed,
    waiting_action_survives_restart_and_loss_of_its_file,
    invalid_target_does_not_wait
);

/// Returns a rig whose only agent is offline, with an action that is valid from noon for an hour.
fn offline(kind: Kind) -> Rig {
    let rig = Rig::new(kind);
    rig.store.upsert_agent(&AgentRow { status: "offline".to_owned(), ..agent() }).unwrap();
    rig.store.insert_action(&late("status='online'"), &[]).unwrap();
    // The rig's own action is not needed.
    rig.store.invalidate_action(ACTION, noon()).unwrap();
    rig
}

const LATE: Id = Id::new(8);

fn late(target: &str) -> ActionRow {
    let (validfrom, expireafter) =
        (noon() - SignedDuration::from_secs(1), noon() + SignedDuration::from_secs(3599));
    ActionRow { id: LATE, validfrom, expireafter, ..action(target) }
}

fn status(rig: &Rig) -> String {
    rig.store.action(LATE).unwrap().unwrap().status
}

fn action_waits_for_an_agent_until_half_of_its_period_has_passed(kind: Kind) {
    let mut rig = offline(kind);
    for seconds in [0, 1, 900, 1798] {
        rig.collect_after(seconds);
        assert_eq!(
            (status(&rig).as_str(), rig.used_folders()),
            ("preparing", vec!["action/new".into()])
        );
    }
    let mut other = offline(kind);
    other.collect_after(1798);
    other.store.upsert_agent(&agent()).unwrap();
    other.collect_after(1798);
    assert_eq!(status(&other), "inflight");
    assert_eq!(other.commands.try_recv().unwrap().action_id, LATE.number());
    rig.collect_after(1799);
    assert_eq!(status(&rig), "invalid");
    assert_eq!(rig.used_folders(), ["action/invalid"]);
}

fn waiting_action_survives_restart_and_loss_of_its_file(kind: Kind) {
    for is_lost in [false, true] {
        let mut rig = offline(kind);
        rig.collect_after(0);
        if is_lost {
            std::fs::remove_file(rig.path("action/new/8.json")).unwrap();
        }
        rig = rig.restart();
        rig.collect_after(10);
        assert_eq!(rig.used_folders(), ["action/new"]);
        rig.store.upsert_agent(&agent()).unwrap();
        rig.collect_after(11);
        assert_eq!(status(&rig), "inflight");
    }
}

fn invalid_target_does_not_wait(kind: Kind) {
    let mut rig = Rig::new(kind);
    rig.store.insert_action(&late("nonsense("), &[]).unwrap();
    rig.collect_after(0);
    assert_eq!(status(&rig), "invalid");
}
