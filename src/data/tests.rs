//! Tests of the store on each database.

mod invalid;
mod rollback;

use std::sync::Arc;

use jiff::Timestamp;

use super::schema::SchemaScope;
use super::testing::{DatabaseKind, Tables, on_each_database};
use super::*;
use crate::action::CommandStatus;
use crate::disk::{COMMAND_PREFIX, Disk, RealFs};

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
        invalid: InvalidColumns::default(),
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
        invalid: InvalidColumns::default(),
    }
}

/// Returns a store with the investigator `bob` (id 1), agent 5, and action 10 signed by `bob`.
pub(super) fn filled(kind: DatabaseKind) -> (Tables, Store) {
    let tables = Tables::new(kind);
    let store = tables.open().unwrap();
    store.insert_investigator("bob", "ABCD", b"key", Permissions::RUNNER, time(NOON)).unwrap();
    store.upsert_agent(&agent(5)).unwrap();
    store.insert_action(&action(10), &[signed(1)]).unwrap();
    (tables, store)
}

fn signed(investigator: i64) -> ActionSignature {
    ActionSignature { investigator: Id::new(investigator), signature: "s".to_owned() }
}

const ALL: SearchPage = SearchPage { limit: 100, offset: 0 };

on_each_database!(
    api_key_finds_only_its_active_owner,
    action_is_stored_with_microseconds,
    action_with_a_duplicate_signature_is_not_inserted,
    first_answer_to_a_command_is_final,
    one_invalid_command_prevents_all,
    data_survives_a_restart,
    patterns_ignore_case_and_support_escaped_wildcards,
    each_search_parameter_restricts_the_result,
    search_matches_rows_of_related_tables,
    pages_of_equal_start_times_do_not_overlap,
    large_rows_end_a_page,
    silent_agent_becomes_idle_and_stays_live,
);

#[test]
fn never_times_equal_those_of_the_original() {
    assert_eq!(NEVER_STARTED.to_string(), "0009-01-11T11:11:11.000000011Z");
    assert_eq!(NEVER_FINISHED.to_string(), "9998-01-11T11:11:11.000000011Z");
}

fn action_is_stored_with_microseconds(kind: DatabaseKind) {
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

fn action_with_a_duplicate_signature_is_not_inserted(kind: DatabaseKind) {
    let (_tables, store) = filled(kind);
    let error = store.insert_action(&action(11), &[signed(1), signed(1)]).unwrap_err();
    assert!(matches!(error, DataError::Duplicate { query: "insert_signature" }), "{error}");
    assert_eq!(store.action(Id::new(11)).unwrap(), None);
    assert!(
        store.insert_action(&action(12), &[signed(99)]).is_err(),
        "no investigator has this id"
    );
    assert_eq!(store.action(Id::new(12)).unwrap(), None);
}

fn first_answer_to_a_command_is_final(kind: DatabaseKind) {
    let (_tables, store) = filled(kind);
    let (command, now) = (Id::new(20), time(NOON));
    store.begin_action(Id::new(10), &[(command, Id::new(5))], "[]", now).unwrap();
    assert_eq!(store.command_counts(Id::new(10)).unwrap().of(CommandStatus::Sent), 1);
    assert!(store.finish_command(command, CommandStatus::Expired, "[]", now).unwrap());
    assert!(!store.finish_command(command, CommandStatus::Success, "[1]", now).unwrap());
    let row = store.command(command).unwrap().unwrap();
    assert_eq!((row.status.as_str(), row.results.as_str()), ("expired", "[]"));
    let counts = store.command_counts(Id::new(10)).unwrap();
    assert_eq!((counts.all(), counts.of(CommandStatus::Expired)), (1, 1));
}

fn one_invalid_command_prevents_all(kind: DatabaseKind) {
    let (_tables, store) = filled(kind);
    let commands = [(Id::new(20), Id::new(5)), (Id::new(21), Id::new(6))];
    assert!(store.begin_action(Id::new(10), &commands, "[]", time(NOON)).is_err());
    assert_eq!(store.commands_of(Id::new(10)).unwrap(), []);
    assert_eq!(store.action(Id::new(10)).unwrap().unwrap().status, "pending");
}

fn data_survives_a_restart(kind: DatabaseKind) {
    let (tables, store) = filled(kind);
    drop(store);
    let store = tables.open().unwrap();
    assert_eq!(store.highest_id().unwrap(), Id::new(10));
    assert_eq!(store.investigator("abcd").unwrap().unwrap().name, "bob");
}

#[test]
fn readable_file_and_file_of_another_format_are_rejected() {
    use std::os::unix::fs::PermissionsExt;
    let tables = Tables::new(DatabaseKind::Sqlite);
    drop(tables.open().unwrap());
    let path = tables.folder().join("mig.db");
    let meta = std::fs::metadata(&path).unwrap();
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(tables.open(), Err(DataError::Permissions { .. })));
    let tables = Tables::new(DatabaseKind::Sqlite);
    let disk = Disk::new(Arc::new(RealFs), tables.folder().to_owned(), COMMAND_PREFIX);
    disk.create(&tables.folder().join("mig.db"), &[b'x'; 4096]).unwrap();
    assert!(matches!(tables.open(), Err(DataError::Open { .. })));
}

fn patterns_ignore_case_and_support_escaped_wildcards(kind: DatabaseKind) {
    let (_tables, store) = filled(kind);
    let found = |pattern: &str| {
        let filter =
            SearchFilter { action_name: Some(pattern.to_owned()), ..SearchFilter::default() };
        store.search_actions(&filter, ALL).unwrap().len()
    };
    assert_eq!(found("A 100_ %10"), 1);
    assert_eq!(found(r"a 100\% \_10"), 1);
    assert_eq!(found(r"a 10\_%"), 0);
    assert_eq!(found("*"), 0);
    assert_eq!(found("' or 1 = 1 --"), 0);
}

/// Returns the store of [`filled`] after agent 5 has answered action 10 with a finding.
fn answered(kind: DatabaseKind) -> (Tables, Store) {
    let (tables, store) = filled(kind);
    let now = time(NOON);
    store.begin_action(Id::new(10), &[(Id::new(20), Id::new(5))], "[]", now).unwrap();
    let results = r#"[{"foundanything":false},{"foundanything":true}]"#;
    store.finish_command(Id::new(20), CommandStatus::Success, results, now).unwrap();
    (tables, store)
}

fn each_search_parameter_restricts_the_result(kind: DatabaseKind) {
    let (_tables, store) = answered(kind);
    let any = SearchFilter::default;
    let some = |text: &str| Some(text.to_owned());
    let cases = [
        (
            SearchFilter { action: Some(Id::new(10)), ..any() },
            SearchFilter { action: Some(Id::new(1)), ..any() },
        ),
        (
            SearchFilter { agent: Some(Id::new(5)), ..any() },
            SearchFilter { agent: Some(Id::new(6)), ..any() },
        ),
        (
            SearchFilter { agent_name: some("host%"), ..any() },
            SearchFilter { agent_name: some("host"), ..any() },
        ),
        (
            SearchFilter { agent_version: some("1"), ..any() },
            SearchFilter { agent_version: some("2"), ..any() },
        ),
        (
            SearchFilter { command: Some(Id::new(20)), ..any() },
            SearchFilter { command: Some(Id::new(21)), ..any() },
        ),
        (
            SearchFilter { investigator: Some(Id::new(1)), ..any() },
            SearchFilter { investigator: Some(Id::new(2)), ..any() },
        ),
        (
            SearchFilter { investigator_name: some("B_b"), ..any() },
            SearchFilter { investigator_name: some("eve"), ..any() },
        ),
        (
            SearchFilter { threat_family: some("Demo"), ..any() },
            SearchFilter { threat_family: some("x"), ..any() },
        ),
        (
            SearchFilter { status: some("succ%"), ..any() },
            SearchFilter { status: some("sent"), ..any() },
        ),
        (
            SearchFilter { after: Some(time("2026-11-22T12:00:00Z")), ..any() },
            SearchFilter { after: Some(time("2026-11-22T12:00:01Z")), ..any() },
        ),
        (
            SearchFilter { before: Some(time("2026-11-22T12:00:01Z")), ..any() },
            SearchFilter { before: Some(time("2026-11-22T12:00:00Z")), ..any() },
        ),
        (
            SearchFilter { found: Some(true), ..any() },
            SearchFilter { found: Some(true), status: some("sent"), ..any() },
        ),
    ];
    for (hit, miss) in cases {
        assert_eq!(store.search_commands(&hit, ALL).unwrap().len(), 1, "{hit:?}");
        assert_eq!(store.search_commands(&miss, ALL).unwrap().len(), 0, "{miss:?}");
    }
}

fn search_matches_rows_of_related_tables(kind: DatabaseKind) {
    let (_tables, store) = answered(kind);
    let of_agent =
        SearchFilter { agent: Some(Id::new(5)), found: Some(true), ..SearchFilter::default() };
    assert_eq!(store.search_actions(&of_agent, ALL).unwrap().len(), 1);
    assert_eq!(
        store
            .search_agents(
                &SearchFilter { action: Some(Id::new(10)), ..SearchFilter::default() },
                ALL
            )
            .unwrap()
            .len(),
        1
    );
}

fn pages_of_equal_start_times_do_not_overlap(kind: DatabaseKind) {
    let (_tables, store) = filled(kind);
    let commands: Vec<_> = (20..25).map(|number| (Id::new(number), Id::new(5))).collect();
    store.begin_action(Id::new(10), &commands, "[]", time(NOON)).unwrap();
    let ids: Vec<i64> = [0, 2, 4, 6]
        .into_iter()
        .flat_map(|offset| {
            store
                .search_commands(&SearchFilter::default(), SearchPage { limit: 2, offset })
                .unwrap()
        })
        .map(|command| command.id.number())
        .collect();
    assert_eq!(ids, [24, 23, 22, 21, 20]);
}

fn large_rows_end_a_page(kind: DatabaseKind) {
    let (_tables, store) = filled(kind);
    let commands = [20, 21, 22].map(|number| (Id::new(number), Id::new(5)));
    let results = format!("[\"{}\"]", "x".repeat(33 << 20));
    store.begin_action(Id::new(10), &commands, &results, time(NOON)).unwrap();
    let page = |offset| -> Vec<i64> {
        let page = SearchPage { limit: 3, offset };
        let found = store.search_commands(&SearchFilter::default(), page).unwrap();
        found.iter().map(|command| command.id.number()).collect()
    };
    assert_eq!([page(0), page(2)], [vec![22, 21], vec![20]]);
    // The rows that were left out do not disturb the next query.
    assert_eq!(store.command(Id::new(20)).unwrap().unwrap().results.len(), results.len());
}

fn silent_agent_becomes_idle_and_stays_live(kind: DatabaseKind) {
    let (_tables, store) = filled(kind);
    store.mark_agents_idle(time("2026-11-22T12:00:00Z")).unwrap();
    assert_eq!(store.live_agents().next().unwrap().unwrap().status, "online");
    store.mark_agents_idle(time("2026-11-22T12:01:00Z")).unwrap();
    assert_eq!(store.live_agents().next().unwrap().unwrap().status, "idle");
    store.upsert_agent(&agent(5)).unwrap();
    assert_eq!(store.agent(Id::new(5)).unwrap().unwrap().status, "online");
}

fn api_key_finds_only_its_active_owner(kind: DatabaseKind) {
    let (_tables, store) = filled(kind);
    let (key, other) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
    let owner = |key: &ApiKey| store.investigator_with_key(key).unwrap().map(|owner| owner.name);
    assert_eq!(owner(&key), None);
    let later = time("2026-11-23T00:00:00Z");
    assert!(store.set_api_key(Id::new(1), &key, later).unwrap());
    assert!(!store.set_api_key(Id::new(2), &other, later).unwrap(), "no investigator has this id");
    assert_eq!((owner(&key).as_deref(), owner(&other)), (Some("bob"), None));
    assert_eq!(store.investigator("ABCD").unwrap().unwrap().lastmodified, later);
    // A new key replaces it.
    store.set_api_key(Id::new(1), &other, later).unwrap();
    assert_eq!((owner(&key), owner(&other).as_deref()), (None, Some("bob")));
    store.set_investigator_status(Id::new(1), InvestigatorStatus::Disabled, later).unwrap();
    assert_eq!(owner(&other), None);
}
