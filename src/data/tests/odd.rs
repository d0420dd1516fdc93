//! Odd values in the tables: the platform goes on with all the rest.

use super::*;
use crate::data::testing::cluster::{Cluster, USER};

on_each_database!(
    an_odd_id_keeps_no_id_from_being_found,
    pages_lead_past_odd_keys,
    an_odd_investigator_keeps_no_other_out,
    what_is_over_is_forgotten_beside_an_odd_action,
    a_search_looks_into_damaged_json,
);

/// Returns ids that no program of the platform makes.
fn odd_ids(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Postgres => &["'NaN'", "1e40", "-7", "5.5"],
        Kind::Sqlite => &["'x'", "1e40", "-7", "5.5", "9e999"],
    }
}

/// Adds agents beside agent 5 that differ from it in the id alone.
fn add_odd_agents(tables: &Tables, kind: Kind) {
    for id in odd_ids(kind) {
        let copy = format!(
            "insert into agents select {id}, name, queueloc, mode, version, pid, starttime, destructiontime, \
             heartbeattime, refreshtime, status, environment, tags, loadername from agents where id = 5"
        );
        tables.run(&copy);
    }
}

fn an_odd_id_keeps_no_id_from_being_found(kind: Kind) {
    let (tables, store) = filled(kind);
    add_odd_agents(&tables, kind);
    assert_eq!(store.highest_id().unwrap(), Id::new(10));
}

fn pages_lead_past_odd_keys(kind: Kind) {
    let (tables, store) = filled(kind);
    add_odd_agents(&tables, kind);
    let odd = odd_ids(kind).len();
    // More than a page, so that one ends at an odd key or leads past it.
    for number in 6..=1_003 {
        store.upsert_agent(&agent(number)).unwrap();
    }
    let agents: Result<Vec<AgentRow>, _> = store.agents().collect();
    assert_eq!(agents.unwrap().len(), 999 + odd);
    let reachable: Result<Vec<AgentRow>, _> = store.reachable_agents().collect();
    assert_eq!(reachable.unwrap().len(), 999, "one a place");
}

fn an_odd_investigator_keeps_no_other_out(kind: Kind) {
    let (tables, store) = filled(kind);
    let key = ApiKey::make().unwrap();
    store.set_api_key(Id::new(1), &key, time(NOON)).unwrap();
    store.insert_investigator("odd", "EF", b"key", Permissions::RUNNER, time(NOON)).unwrap();
    let (infinite, bytes) = match kind {
        Kind::Postgres => ("'infinity'", "'\\x00'"),
        Kind::Sqlite => ("'soon'", "7"),
    };
    tables.run(&format!(
        "update investigators set createdat = {infinite}, apikey = {bytes}, apisalt = {bytes} where id = 2"
    ));
    assert_eq!(store.investigators().unwrap().len(), 2);
    assert_eq!(store.investigator_with_key(&key).unwrap().unwrap().name, "bob");
}

fn what_is_over_is_forgotten_beside_an_odd_action(kind: Kind) {
    let (tables, store) = filled(kind);
    store.complete_action(Id::new(10), time(NOON)).unwrap();
    let id = odd_ids(kind)[0];
    let copy = format!(
        "insert into actions select {id}, name, target, description, threat, operations, validfrom, \
         expireafter, starttime, finishtime, lastupdatetime, status, syntaxversion, pgpsignatures \
         from actions where id = 10"
    );
    tables.run(&copy);
    assert_eq!(store.forget_actions(time("2026-11-23T00:00:00Z"), 10).unwrap(), 2);
    assert_eq!(store.action(Id::new(10)).unwrap(), None);
    let left: Result<Vec<ActionRow>, _> = store.actions(None).collect();
    assert_eq!(left.unwrap().len(), 0, "the odd one is forgotten, too");
}

fn a_search_looks_into_damaged_json(kind: Kind) {
    let (tables, store) = filled(kind);
    store.insert_action(&action(11), &[]).unwrap();
    let commands = [(Id::new(20), Id::new(5)), (Id::new(21), Id::new(5))];
    store.begin_action(Id::new(10), &commands, "[]", time(NOON)).unwrap();
    let found = r#"[{"foundanything":true}]"#;
    for (command, _) in commands {
        store.finish_command(command, CommandStatus::Success, found, time(NOON)).unwrap();
    }
    // The server refuses damaged JSON, but keeps characters that it can make no text of.
    let (threat, results) = match kind {
        Kind::Postgres => (r#"{"family":"x\u0000"}"#, r#"[{"x":"\ud800"}]"#),
        Kind::Sqlite => ("{", "[{"),
    };
    let damage = format!(
        "update actions set threat = '{threat}' where id = 11; \
         update commands set results = '{results}' where id = 21"
    );
    tables.run(&damage);
    let family = Filter { threat_family: Some("demo".to_owned()), ..Filter::default() };
    assert_eq!(store.search_actions(&family, ALL).unwrap().len(), 1);
    let found = Filter { found: Some(true), ..Filter::default() };
    assert_eq!(store.search_commands(&found, ALL).unwrap().len(), 1);
}

/// A database without an encoding keeps texts that are not UTF-8.
#[test]
fn a_text_that_is_not_utf8_is_shown_with_a_mark() {
    let cluster = Cluster::shared();
    let name = "not_utf8";
    let make = format!("create database {name} encoding 'SQL_ASCII' locale 'C' template template0");
    cluster.connect("postgres", USER).batch_execute(&make).unwrap();
    let folder = cluster.folder().display().to_string().replace('/', "%2F");
    let url = format!("postgres://{USER}@{folder}:{}/{name}", cluster.port());
    let disk = Disk::new(Arc::new(RealFs), std::path::PathBuf::new(), COMMAND_PREFIX);
    let store = Store::connect(&disk, &Server::parse(&url).unwrap()).unwrap();
    store.init_schema(schema::Extent::Tables).unwrap();
    for number in [5, 6] {
        store.upsert_agent(&agent(number)).unwrap();
    }
    let damage = "update agents set name = E'h\\377', queueloc = E'l\\377' where id = 5";
    cluster.connect(name, USER).batch_execute(damage).unwrap();
    let agents: Result<Vec<AgentRow>, _> = store.agents().collect();
    let agents = agents.unwrap();
    assert_eq!((agents.len(), agents[0].name.as_str()), (2, "h\u{fffd}"));
    assert_eq!(agents[0].odd.to_string(), "name: not UTF-8, queueloc: not UTF-8");
    let silent: Result<Vec<Silent>, _> =
        store.silent(time("2026-11-22T00:00:00Z"), time("2026-11-23T00:00:00Z")).collect();
    assert_eq!(silent.unwrap().len(), 2);
    drop(store);
    cluster
        .connect("postgres", USER)
        .batch_execute(&format!("drop database {name} with (force)"))
        .unwrap();
}
