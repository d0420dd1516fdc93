//! MIG's tables, as the platform uses them.

mod ends;
mod odd;

use std::sync::Arc;

use jiff::Timestamp;

use super::testing::{Kind, Tables, on_each_database};
use super::*;
use crate::disk::{COMMAND_PREFIX, RealFs};

pub(super) const NOON: &str = "2026-11-22T12:00:00.123456789Z";

pub(super) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn action(number: i64) -> ActionRow {
    ActionRow {
        id: Id::new(number),
        name: format!("a 100% _{number}"),
        target: "status='online'".to_owned(),
        description: "{}".to_owned(),
        threat: r#"{"family":"demo"}"#.to_owned(),
        operations: r#"[{"module":"file","parameters":null}]"#.to_owned(),
        validfrom: time("2026-11-22T11:59:00Z"),
        expireafter: time("2026-11-22T12:05:00Z"),
        starttime: Some(NEVER_STARTED),
        finishtime: Some(NEVER_FINISHED),
        lastupdatetime: Some(NEVER_STARTED),
        status: ActionStatus::Pending.as_str().to_owned(),
        syntaxversion: 2,
        pgpsignatures: r#"["s"]"#.to_owned(),
        odd: Odd::default(),
    }
}

pub(crate) fn agent(number: i64) -> AgentRow {
    AgentRow {
        id: Id::new(number),
        name: "Host.example".to_owned(),
        queueloc: format!("linux.{number}"),
        mode: "daemon".to_owned(),
        version: "1".to_owned(),
        pid: 7,
        starttime: time(NOON),
        destructiontime: None,
        heartbeattime: time(NOON),
        refreshtime: time(NOON),
        status: "online".to_owned(),
        environment: "{}".to_owned(),
        tags: "{}".to_owned(),
        loadername: String::new(),
        odd: Odd::default(),
    }
}

/// A store with the investigator `bob`, whose number is 1, agent 5 and action 10, signed by bob.
pub(super) fn filled(kind: Kind) -> (Tables, Store) {
    let tables = Tables::new(kind);
    let store = tables.open().unwrap();
    store.insert_investigator("bob", "ABCD", b"key", Permissions::RUNNER, time(NOON)).unwrap();
    store.upsert_agent(&agent(5)).unwrap();
    store.insert_action(&action(10), &[signed(1)]).unwrap();
    (tables, store)
}

fn signed(investigator: i64) -> Signed {
    Signed { investigator: Id::new(investigator), signature: "s".to_owned() }
}

const ALL: Page = Page { limit: 100, offset: 0 };

on_each_database!(
    an_api_key_belongs_to_one_who_is_active,
    an_action_comes_back_as_it_was_but_for_nanoseconds,
    an_action_signed_twice_by_one_leaves_nothing_behind,
    a_command_is_answered_once,
    commands_of_which_one_is_impossible_are_none,
    all_is_still_there_after_a_restart,
    a_pattern_ignores_case_and_takes_an_escaped_wildcard_as_it_is,
    each_parameter_of_a_search_counts,
    pages_follow_one_another_though_all_began_at_once,
    an_agent_that_is_not_heard_turns_idle_and_is_still_asked,
);

#[test]
fn the_marks_for_not_yet_are_the_platforms() {
    assert_eq!(NEVER_STARTED.to_string(), "0009-01-11T11:11:11.000000011Z");
    assert_eq!(NEVER_FINISHED.to_string(), "9998-01-11T11:11:11.000000011Z");
}

fn an_action_comes_back_as_it_was_but_for_nanoseconds(kind: Kind) {
    let (_tables, store) = filled(kind);
    let mut expected = action(10);
    expected.starttime = Some(time("0009-01-11T11:11:11Z"));
    expected.lastupdatetime = expected.starttime;
    expected.finishtime = Some(time("9998-01-11T11:11:11Z"));
    assert_eq!(store.action(Id::new(10)).unwrap(), Some(expected));
    assert_eq!(store.action(Id::new(11)).unwrap(), None);
    let signers = store.signers(Id::new(10)).unwrap();
    assert_eq!((signers.len(), signers[0].name.as_str()), (1, "bob"));
    assert_eq!(signers[0].createdat, time("2026-11-22T12:00:00.123457Z"));
}

fn an_action_signed_twice_by_one_leaves_nothing_behind(kind: Kind) {
    let (_tables, store) = filled(kind);
    let error = store.insert_action(&action(11), &[signed(1), signed(1)]).unwrap_err();
    assert!(matches!(error, DataError::Duplicate { query: "insert_signature" }), "{error}");
    assert_eq!(store.action(Id::new(11)).unwrap(), None);
    assert!(store.insert_action(&action(12), &[signed(99)]).is_err(), "nobody has this number");
    assert_eq!(store.action(Id::new(12)).unwrap(), None);
}

fn a_command_is_answered_once(kind: Kind) {
    let (_tables, store) = filled(kind);
    let (command, now) = (Id::new(20), time(NOON));
    store.begin_action(Id::new(10), &[(command, Id::new(5))], "[]", now).unwrap();
    assert_eq!(store.counters(Id::new(10)).unwrap().of(CommandStatus::Sent), 1);
    assert!(store.finish_command(command, CommandStatus::Expired, "[]", now).unwrap());
    assert!(!store.finish_command(command, CommandStatus::Success, "[1]", now).unwrap());
    let row = store.command(command).unwrap().unwrap();
    assert_eq!((row.status.as_str(), row.results.as_str()), ("expired", "[]"));
    let counters = store.counters(Id::new(10)).unwrap();
    assert_eq!((counters.all(), counters.of(CommandStatus::Expired)), (1, 1));
}

fn commands_of_which_one_is_impossible_are_none(kind: Kind) {
    let (_tables, store) = filled(kind);
    let commands = [(Id::new(20), Id::new(5)), (Id::new(21), Id::new(6))];
    assert!(store.begin_action(Id::new(10), &commands, "[]", time(NOON)).is_err());
    assert_eq!(store.commands_of(Id::new(10)).unwrap(), []);
    assert_eq!(store.action(Id::new(10)).unwrap().unwrap().status, "pending");
}

fn all_is_still_there_after_a_restart(kind: Kind) {
    let (tables, store) = filled(kind);
    drop(store);
    let store = tables.open().unwrap();
    assert_eq!(store.highest_id().unwrap(), Id::new(10));
    assert_eq!(store.investigator("abcd").unwrap().unwrap().name, "bob");
}

#[test]
fn a_file_that_others_can_read_or_that_is_no_database_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let tables = Tables::new(Kind::Sqlite);
    drop(tables.open().unwrap());
    let path = tables.folder().join("mig.db");
    let meta = std::fs::metadata(&path).unwrap();
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(tables.open(), Err(DataError::Permissions { .. })));
    let tables = Tables::new(Kind::Sqlite);
    let disk = Disk::new(Arc::new(RealFs), tables.folder().to_owned(), COMMAND_PREFIX);
    disk.create(&tables.folder().join("mig.db"), &[b'x'; 4096]).unwrap();
    assert!(matches!(tables.open(), Err(DataError::Open { .. })));
}

fn a_pattern_ignores_case_and_takes_an_escaped_wildcard_as_it_is(kind: Kind) {
    let (_tables, store) = filled(kind);
    let found = |pattern: &str| {
        let filter = Filter { action_name: Some(pattern.to_owned()), ..Filter::default() };
        store.search_actions(&filter, ALL).unwrap().len()
    };
    assert_eq!(found("A 100_ %10"), 1);
    assert_eq!(found(r"a 100\% \_10"), 1);
    assert_eq!(found(r"a 10\_%"), 0);
    assert_eq!(found("*"), 0);
    assert_eq!(found("' or 1 = 1 --"), 0);
}

fn each_parameter_of_a_search_counts(kind: Kind) {
    let (_tables, store) = filled(kind);
    let now = time(NOON);
    store.begin_action(Id::new(10), &[(Id::new(20), Id::new(5))], "[]", now).unwrap();
    let results = r#"[{"foundanything":false},{"foundanything":true}]"#;
    store.finish_command(Id::new(20), CommandStatus::Success, results, now).unwrap();
    let some = |text: &str| Some(text.to_owned());
    let cases = [
        (
            Filter { action: Some(Id::new(10)), ..Filter::default() },
            Filter { action: Some(Id::new(1)), ..Filter::default() },
        ),
        (
            Filter { agent: Some(Id::new(5)), ..Filter::default() },
            Filter { agent: Some(Id::new(6)), ..Filter::default() },
        ),
        (
            Filter { agent_name: some("host%"), ..Filter::default() },
            Filter { agent_name: some("host"), ..Filter::default() },
        ),
        (
            Filter { agent_version: some("1"), ..Filter::default() },
            Filter { agent_version: some("2"), ..Filter::default() },
        ),
        (
            Filter { command: Some(Id::new(20)), ..Filter::default() },
            Filter { command: Some(Id::new(21)), ..Filter::default() },
        ),
        (
            Filter { investigator: Some(Id::new(1)), ..Filter::default() },
            Filter { investigator: Some(Id::new(2)), ..Filter::default() },
        ),
        (
            Filter { investigator_name: some("B_b"), ..Filter::default() },
            Filter { investigator_name: some("eve"), ..Filter::default() },
        ),
        (
            Filter { threat_family: some("Demo"), ..Filter::default() },
            Filter { threat_family: some("x"), ..Filter::default() },
        ),
        (
            Filter { status: some("succ%"), ..Filter::default() },
            Filter { status: some("sent"), ..Filter::default() },
        ),
        (
            Filter { after: Some(time("2026-11-22T12:00:00Z")), ..Filter::default() },
            Filter { after: Some(time("2026-11-22T12:00:01Z")), ..Filter::default() },
        ),
        (
            Filter { before: Some(time("2026-11-22T12:00:01Z")), ..Filter::default() },
            Filter { before: Some(time("2026-11-22T12:00:00Z")), ..Filter::default() },
        ),
        (
            Filter { found: Some(true), ..Filter::default() },
            Filter { found: Some(true), status: some("sent"), ..Filter::default() },
        ),
    ];
    for (hit, miss) in cases {
        assert_eq!(store.search_commands(&hit, ALL).unwrap().len(), 1, "{hit:?}");
        assert_eq!(store.search_commands(&miss, ALL).unwrap().len(), 0, "{miss:?}");
    }
    let of_agent = Filter { agent: Some(Id::new(5)), found: Some(true), ..Filter::default() };
    assert_eq!(store.search_actions(&of_agent, ALL).unwrap().len(), 1);
    assert_eq!(
        store
            .search_agents(&Filter { action: Some(Id::new(10)), ..Filter::default() }, ALL)
            .unwrap()
            .len(),
        1
    );
}

fn pages_follow_one_another_though_all_began_at_once(kind: Kind) {
    let (_tables, store) = filled(kind);
    let commands: Vec<_> = (20..25).map(|number| (Id::new(number), Id::new(5))).collect();
    store.begin_action(Id::new(10), &commands, "[]", time(NOON)).unwrap();
    let ids: Vec<i64> = [0, 2, 4, 6]
        .into_iter()
        .flat_map(|offset| {
            store.search_commands(&Filter::default(), Page { limit: 2, offset }).unwrap()
        })
        .map(|command| command.id.number())
        .collect();
    assert_eq!(ids, [24, 23, 22, 21, 20]);
}

fn an_agent_that_is_not_heard_turns_idle_and_is_still_asked(kind: Kind) {
    let (_tables, store) = filled(kind);
    store.silence_agents(time("2026-11-22T12:00:00Z")).unwrap();
    assert_eq!(store.live_agents().unwrap()[0].status, "online");
    store.silence_agents(time("2026-11-22T12:01:00Z")).unwrap();
    assert_eq!(store.live_agents().unwrap()[0].status, "idle");
    store.upsert_agent(&agent(5)).unwrap();
    assert_eq!(store.agent_at("linux.5").unwrap().unwrap().status, "online");
}

fn an_api_key_belongs_to_one_who_is_active(kind: Kind) {
    let (_tables, store) = filled(kind);
    let (key, other) = (ApiKey::make().unwrap(), ApiKey::make().unwrap());
    let owner = |key: &ApiKey| store.investigator_with_key(key).unwrap().map(|owner| owner.name);
    assert_eq!(owner(&key), None);
    let later = time("2026-11-23T00:00:00Z");
    assert!(store.set_api_key(Id::new(1), &key, later).unwrap());
    assert!(!store.set_api_key(Id::new(2), &other, later).unwrap(), "nobody has this number");
    assert_eq!((owner(&key).as_deref(), owner(&other)), (Some("bob"), None));
    assert_eq!(store.investigator("ABCD").unwrap().unwrap().lastmodified, later);
    // Another key takes its place.
    store.set_api_key(Id::new(1), &other, later).unwrap();
    assert_eq!((owner(&key), owner(&other).as_deref()), (None, Some("bob")));
    store.set_investigator_status(Id::new(1), InvestigatorStatus::Disabled, later).unwrap();
    assert_eq!(owner(&other), None);
}
