//! Invalid values in the tables: the platform continues to work with all other rows.

use super::*;
use crate::data::testing::cluster::{Cluster, USER};

on_each_database!(
    invalid_ids_do_not_count_as_the_highest_id,
    pages_continue_after_invalid_keys,
    other_investigators_work_beside_an_invalid_one,
    finished_actions_are_deleted_with_an_invalid_one,
    search_tolerates_damaged_json,
);

/// Returns ids that no program of the platform generates.
fn invalid_ids(kind: DatabaseKind) -> &'static [&'static str] {
    match kind {
        DatabaseKind::Postgres => &["'NaN'", "1e40", "-7", "5.5"],
        DatabaseKind::Sqlite => &["'x'", "1e40", "-7", "5.5", "9e999"],
    }
}

/// Adds copies of agent 5 that differ only in the id.
fn add_agents_with_invalid_ids(tables: &Tables, kind: DatabaseKind) {
    for id in invalid_ids(kind) {
        let copy = format!(
            "insert into agents select {id}, name, queueloc, mode, version, pid, starttime, destructiontime, \
             heartbeattime, refreshtime, status, environment, tags, loadername from agents where id = 5"
        );
        tables.run(&copy);
    }
}

fn invalid_ids_do_not_count_as_the_highest_id(kind: DatabaseKind) {
    let (tables, store) = filled(kind);
    add_agents_with_invalid_ids(&tables, kind);
    assert_eq!(store.highest_id().unwrap(), Id::new(10));
}

fn pages_continue_after_invalid_keys(kind: DatabaseKind) {
    let (tables, store) = filled(kind);
    add_agents_with_invalid_ids(&tables, kind);
    let invalid = invalid_ids(kind).len();
    // More rows than a page, so that a page begins after an invalid key.
    for number in 6..=1_003 {
        store.upsert_agent(&agent(number)).unwrap();
    }
    let agents: Result<Vec<AgentRow>, _> = store.agents().collect();
    assert_eq!(agents.unwrap().len(), 999 + invalid);
    let live: Result<Vec<AgentRow>, _> = store.live_agents().collect();
    assert_eq!(live.unwrap().len(), 999, "one per queue");
}

fn other_investigators_work_beside_an_invalid_one(kind: DatabaseKind) {
    let (tables, store) = filled(kind);
    let key = ApiKey::generate().unwrap();
    store.set_api_key(Id::new(1), &key, time(NOON)).unwrap();
    store.insert_investigator("eve", "EF", b"key", Permissions::RUNNER, time(NOON)).unwrap();
    let (infinite, bytes) = match kind {
        DatabaseKind::Postgres => ("'infinity'", "'\\x00'"),
        DatabaseKind::Sqlite => ("'soon'", "7"),
    };
    tables.run(&format!(
        "update investigators set createdat = {infinite}, apikey = {bytes}, apisalt = {bytes} where id = 2"
    ));
    assert_eq!(store.investigators().unwrap().len(), 2);
    assert_eq!(store.investigator_with_key(&key).unwrap().unwrap().name, "bob");
}

fn finished_actions_are_deleted_with_an_invalid_one(kind: DatabaseKind) {
    let (tables, store) = filled(kind);
    store.complete_action(Id::new(10), time(NOON)).unwrap();
    let id = invalid_ids(kind)[0];
    let copy = format!(
        "insert into actions select {id}, name, target, description, threat, operations, validfrom, \
         expireafter, starttime, finishtime, lastupdatetime, status, syntaxversion, pgpsignatures \
         from actions where id = 10"
    );
    tables.run(&copy);
    assert_eq!(store.delete_finished_actions(time("2026-11-23T00:00:00Z"), 10).unwrap(), 2);
    assert_eq!(store.action(Id::new(10)).unwrap(), None);
    let left: Result<Vec<ActionRow>, _> = store.actions(None).collect();
    assert_eq!(left.unwrap().len(), 0, "the action with the invalid id is deleted too");
}

fn search_tolerates_damaged_json(kind: DatabaseKind) {
    let (tables, store) = filled(kind);
    store.insert_action(&action(11), &[]).unwrap();
    let commands = [(Id::new(20), Id::new(5)), (Id::new(21), Id::new(5))];
    store.begin_action(Id::new(10), &commands, "[]", time(NOON)).unwrap();
    let found = r#"[{"foundanything":true}]"#;
    for (command, _) in commands {
        store.finish_command(command, CommandStatus::Success, found, time(NOON)).unwrap();
    }
    // The server rejects damaged JSON, but stores escapes that it cannot convert to text.
    let (threat, results) = match kind {
        DatabaseKind::Postgres => (r#"{"family":"x\u0000"}"#, r#"[{"x":"\ud800"}]"#),
        DatabaseKind::Sqlite => ("{", "[{"),
    };
    let damage = format!(
        "update actions set threat = '{threat}' where id = 11; \
         update commands set results = '{results}' where id = 21"
    );
    tables.run(&damage);
    let family = SearchFilter { threat_family: Some("demo".to_owned()), ..SearchFilter::default() };
    assert_eq!(store.search_actions(&family, ALL).unwrap().len(), 1);
    let found = SearchFilter { found: Some(true), ..SearchFilter::default() };
    assert_eq!(store.search_commands(&found, ALL).unwrap().len(), 1);
}

/// A database without an encoding stores text that is not UTF-8.
#[test]
fn text_that_is_not_utf8_is_marked_invalid() {
    let cluster = Cluster::shared();
    let name = "not_utf8";
    let create =
        format!("create database {name} encoding 'SQL_ASCII' locale 'C' template template0");
    cluster.connect("postgres", USER).batch_execute(&create).unwrap();
    let folder = cluster.folder().display().to_string().replace('/', "%2F");
    let url = format!("postgres://{USER}@{folder}:{}/{name}", cluster.port());
    let disk = Disk::new(Arc::new(RealFs), std::path::PathBuf::new(), COMMAND_PREFIX);
    let store = Store::connect(&disk, &DatabaseServer::parse(&url).unwrap()).unwrap();
    store.init_schema(SchemaScope::Tables).unwrap();
    for number in [5, 6] {
        store.upsert_agent(&agent(number)).unwrap();
    }
    let damage = "update agents set name = E'h\\377', queueloc = E'l\\377' where id = 5";
    cluster.connect(name, USER).batch_execute(damage).unwrap();
    let agents: Result<Vec<AgentRow>, _> = store.agents().collect();
    let agents = agents.unwrap();
    assert_eq!((agents.len(), agents[0].name.as_str()), (2, "h\u{fffd}"));
    assert_eq!(agents[0].invalid.to_string(), "name: not UTF-8, queueloc: not UTF-8");
    let silent: Result<Vec<SilentHost>, _> =
        store.silent_hosts(time("2026-11-22T00:00:00Z"), time("2026-11-23T00:00:00Z")).collect();
    assert_eq!(silent.unwrap().len(), 2);
    drop(store);
    cluster
        .connect("postgres", USER)
        .batch_execute(&format!("drop database {name} with (force)"))
        .unwrap();
}
