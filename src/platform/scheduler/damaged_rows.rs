//! Damaged rows of actions and agents do not affect others.

use super::testing::{ACTION, TestRelay, action, agent, noon, settings};
use super::*;
use crate::clock::testing::TestClock;
use crate::data::Permissions;
use crate::data::testing::{DatabaseKind as Kind, Tables, on_each_database};
use crate::disk::RealFs;

on_each_database!(damaged_action_becomes_invalid_and_others_are_sent);

fn damaged_action_becomes_invalid_and_others_are_sent(kind: Kind) {
    let tables = Tables::new(kind);
    let store = Arc::new(tables.open().unwrap());
    store.insert_investigator("bob", "AB", b"key", Permissions::RUNNER, noon()).unwrap();
    for (number, queue) in [(5, "linux.host"), (6, "linux.invalid"), (7, "linux.lost")] {
        let (id, queueloc) = (Id::new(number), queue.to_owned());
        store.upsert_agent(&crate::data::AgentRow { id, queueloc, ..agent() }).unwrap();
    }
    let odd = Id::new(ACTION.number() - 1);
    let left = Id::new(ACTION.number() - 2);
    let (lost, unfinished) = (Id::new(ACTION.number() - 3), Id::new(ACTION.number() - 4));
    for id in [ACTION, odd, left, lost, unfinished] {
        store
            .insert_action(&ActionRow { id, ..action("heartbeattime > '2000-01-01'") }, &[])
            .unwrap();
    }
    for id in [left, unfinished] {
        store.set_action_status(id, ActionStatus::Inflight, noon()).unwrap();
    }
    let (never, no_id) = match kind {
        Kind::Postgres => ("'infinity'", "'NaN'"),
        Kind::Sqlite => ("'never'", "'none'"),
    };
    let damage = format!(
        "update actions set expireafter = {never} where id <> {ACTION}; \
         update agents set heartbeattime = {never} where id = 6; \
         update agents set id = {no_id} where id = 7; \
         update actions set id = {no_id} where id = {lost}; \
         update actions set id = 0.5 where id = {unfinished}"
    );
    tables.run(&damage);
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(Arc::new(RealFs), folder.path()).unwrap();
    let clock = Arc::new(TestClock::new(noon())) as Arc<dyn Clock>;
    let ids = Arc::new(Ids::new(noon(), store.highest_id().unwrap()));
    let (relay, _commands) = TestRelay::with_commands();
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let mut scheduler =
        Scheduler::new(spool, Arc::clone(&store), ids, clock, settings(), relay, log);
    scheduler.recover().unwrap();
    scheduler.collect();
    let status = |id| store.action(id).unwrap().unwrap().status;
    assert_eq!((status(ACTION).as_str(), status(odd).as_str()), ("inflight", "invalid"));
    // Whether the condition holds for the damaged agent is unknown, so the agent is not selected.
    assert_eq!(store.commands_of(ACTION).unwrap().len(), 1);
    // An agent without a readable id is not found by its queue.
    assert_eq!(store.agent_id_at("linux.lost").unwrap(), None);
    assert!(!folder.path().join("action/new/0.json").exists());
}
