//! `agents`: all agents, those of a target, silent hosts, duplicate agents.

use serde_json::Value;

use super::tables::psql;
use super::{Admin, DatabaseKind, fails, on_each_database};

/// The query for offline agents in MIG's documentation, with the `SELECT` that is missing there.
const OFFLINE: &str = "SELECT DISTINCT(name) FROM agents
WHERE name IN (
        SELECT DISTINCT(name) FROM agents
        WHERE heartbeattime >= NOW() - interval '30 days'
) AND name NOT IN (
        SELECT DISTINCT(name) FROM agents
        WHERE heartbeattime >= NOW() - interval '5 minutes'
) ORDER BY name;";
/// The query for duplicate agents in MIG's documentation.
const DOUBLE: &str = "SELECT COUNT(queueloc), queueloc FROM agents
WHERE heartbeattime >= NOW() - INTERVAL '10 minutes'
GROUP BY queueloc HAVING COUNT(queueloc) > 1
ORDER BY count(queueloc) DESC;";

on_each_database!(
    offline_and_duplicate_agents_are_listed_as_documented,
    target_selects_the_agents_of_an_action,
    exit_status_shows_whether_any_agent_is_listed,
);

/// Returns agents for every case of the two queries.
fn fleet(kind: DatabaseKind) -> Admin {
    const DAY: i64 = 24 * 60;
    let admin = Admin::new(kind);
    for (id, name, queueloc, status, minutes) in [
        (1, "alive", "linux.a", "online", 1),
        (2, "silent", "linux.b", "idle", 61),
        (3, "asleep", "linux.c", "offline", 3 * DAY),
        (4, "gone", "linux.d", "offline", 31 * DAY),
        (5, "moved", "linux.e", "offline", 40),
        (6, "moved", "linux.f", "online", 2),
        (7, "twice", "linux.g", "online", 1),
        (8, "twice", "linux.g", "online", 3),
        (9, "thrice", "linux.h", "online", 1),
        (10, "thrice", "linux.h", "online", 1),
        (11, "thrice", "linux.h", "online", 9),
        (12, "once", "linux.i", "online", 1),
        (13, "once", "linux.i", "offline", 11),
    ] {
        admin.agent(id, name, queueloc, status, minutes);
    }
    admin
}

fn offline_and_duplicate_agents_are_listed_as_documented(kind: DatabaseKind) {
    let admin = fleet(kind);
    assert_eq!(
        admin.output(&["agents", "offline"]),
        "| silent |             name\n| 3d     | asleep\n| 1h1m   | silent\n"
    );
    let double = admin.output(&["agents", "double"]);
    assert_eq!(
        double,
        "| count  |             name\n| 3      | linux.h | thrice\n| 2      | linux.g | twice\n"
    );
    let names = |list: &Value, key: &str| -> Vec<String> {
        let rows = list.as_array().unwrap().iter();
        rows.map(|row| row[key].as_str().unwrap().to_owned()).collect()
    };
    let seen = admin.json(&["agents", "offline", "--seen", "60d", "--silent", "2h", "--json"]);
    assert_eq!(names(&seen, "name"), ["asleep", "gone"]);
    let double = admin.json(&["agents", "double", "--window", "2m", "--json"]);
    assert_eq!(names(&double, "queueloc"), ["linux.h"]);
    assert_eq!(
        (double[0]["count"].as_i64(), double[0]["name"].as_str()),
        (Some(2), Some("thrice"))
    );
    assert_eq!(
        admin.json(&["agents", "double", "--window", "1s", "--json"]),
        serde_json::json!([])
    );
    fails(&admin.run(&["agents", "offline", "--silent", "40d"]), 64, &["--silent", "--seen"]);
    fails(&admin.run(&["agents", "offline", "--seen", "soon"]), 64, &["soon"]);
}

#[test]
fn documented_queries_in_psql_return_the_same_rows() {
    let admin = fleet(DatabaseKind::Server);
    let lines = |text: &str| text.lines().map(ToOwned::to_owned).collect::<Vec<String>>();
    let offline = admin.json(&["agents", "offline", "--json"]);
    let listed: Vec<String> = offline
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(listed, lines(&psql(&admin, OFFLINE)));
    assert_eq!(listed, ["asleep", "silent"]);
    let double = admin.json(&["agents", "double", "--json"]);
    let listed: Vec<String> = double
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{}|{}", row["count"], row["queueloc"].as_str().unwrap()))
        .collect();
    assert_eq!(listed, lines(&psql(&admin, DOUBLE)));
    assert_eq!(listed, ["3|linux.h", "2|linux.g"]);
}

fn target_selects_the_agents_of_an_action(kind: DatabaseKind) {
    let admin = fleet(kind);
    let selected = |target: &str| {
        let list = admin.json(&["agents", "--json", "--target", target]);
        let ids = list.as_array().unwrap().iter().map(|agent| agent["id"].as_i64().unwrap());
        ids.collect::<Vec<i64>>()
    };
    // The agent with the latest heartbeat of each queue, and no offline agent.
    assert_eq!(selected("name LIKE '%'").len(), 6);
    assert_eq!(selected("name='twice'"), [7]);
    assert_eq!(selected("status='idle' AND environment->>'os'='linux'"), [2]);
    assert_eq!(selected("name='gone'"), [0; 0]);
    let all = admin.output(&["agents"]);
    assert_eq!(all.lines().count(), 14, "{all}");
    assert!(all.contains("| idle      | 1h1m   | 20251122-0.9e7e4f52.lab | silent\n"), "{all}");
    assert!(all.lines().all(|line| line.chars().count() <= 80), "{all}");
    fails(&admin.run(&["agents", "--target", "nonsense and"]), 65, &["cannot use this target"]);
    for hostile in [
        "true); delete from agents; --",
        "id in (select cast(1 as numeric) from pg_sleep(0)) ; drop table agents",
        "exists (select privatekey from investigators)",
        "pg_read_file('/etc/passwd') = ''",
    ] {
        fails(&admin.run(&["agents", "--target", hostile]), 65, &["cannot use this target"]);
    }
    assert_eq!(admin.output(&["agents"]).lines().count(), 14);
}

#[test]
fn target_is_evaluated_by_a_role_that_cannot_write() {
    let admin = fleet(DatabaseKind::Server);
    admin.sql(
        "create function wipe() returns boolean language sql as \
         'delete from agents returning true'",
    );
    let said = admin.run(&["agents", "--target", "wipe()"]);
    fails(&said, 65, &["cannot use this target"]);
    assert_eq!(
        admin
            .json(&["agents", "--json", "--target", "current_user = 'migreadonly' and id = 1"])
            .as_array()
            .unwrap()
            .len(),
        1
    );
    // A comment at the end of a target hides no other part of the query.
    assert_eq!(admin.json(&["agents", "--json", "--target", "id = 1 -- or all"])[0]["id"], 1);
}

fn exit_status_shows_whether_any_agent_is_listed(kind: DatabaseKind) {
    let admin = fleet(kind);
    for (arguments, exit) in [
        (&["agents", "offline"][..], 0),
        (&["agents", "offline", "--fail-if-any"], 1),
        (&["agents", "offline", "--seen", "1s", "--silent", "0s", "--fail-if-any"], 0),
        (&["agents", "double", "--fail-if-any", "--json"], 1),
        (&["agents", "--fail-if-any", "--target", "name='nobody'"], 0),
        (&["agents", "--fail-if-any", "--target", "name='alive'"], 1),
    ] {
        let said = admin.run(arguments);
        assert_eq!(said.exit, exit, "{arguments:?}: {said:?}");
    }
}
