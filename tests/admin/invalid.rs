//! Invalid values: whatever a column contains, every row is shown, and invalid ones are marked.

use serde_json::Value;

use super::{Admin, DatabaseKind, ago, fails, on_each_database};

on_each_database!(
    invalid_agent_is_shown_and_marked,
    silent_host_with_invalid_heartbeat_is_shown,
    duplicate_agents_with_invalid_heartbeat_are_shown,
    invalid_action_is_shown_and_marked,
    invalid_answer_is_shown_and_marked,
    invalid_investigator_is_shown_and_marked,
);

/// Returns the last column of a listing, without marks.
fn names(listing: &str) -> Vec<&str> {
    let rows = listing.lines().skip(1).map(|line| line.rsplit("| ").next().unwrap());
    rows.map(|name| name.split("  ! ").next().unwrap()).collect()
}

/// Returns the row of a JSON list with this value in a column.
#[track_caller]
fn find<'a>(list: &'a Value, column: &str, value: &Value) -> &'a Value {
    let rows = list.as_array().unwrap();
    rows.iter().find(|row| row[column] == *value).unwrap_or_else(|| panic!("{value}: {list:#}"))
}

/// Returns invalid values of a time, and how they are shown.
fn invalid_times(kind: DatabaseKind) -> Vec<(&'static str, &'static str)> {
    match kind {
        DatabaseKind::Server => vec![
            ("'infinity'", "infinity"),
            ("'-infinity'", "-infinity"),
            ("'20000-01-01 00:00:00+00'", "20000 (year)"),
            ("'0044-03-15 00:00:00+00 BC'", "-000043-03-15T00:00:00Z"),
        ],
        DatabaseKind::File => vec![
            ("'infinity'", "\"infinity\""),
            ("1732276800", "1732276800"),
            ("'2026-13-45T00:00:00.000000Z'", "\"2026-13-45T00:00:00.000000Z\""),
            ("''", "\"\""),
            ("x'00ff'", "2 bytes"),
        ],
    }
}

fn invalid_agent_is_shown_and_marked(kind: DatabaseKind) {
    let admin = Admin::new(kind);
    let mut invalid: Vec<(&str, &str, String)> = vec![
        ("status", "null", "status: NULL".to_owned()),
        ("status", "'vanished'", "status: \"vanished\"".to_owned()),
        ("name", "''", "name: empty".to_owned()),
        ("environment", "null", "environment: NULL".to_owned()),
        ("tags", "null", "tags: NULL".to_owned()),
        ("id", "1.5", "id: 1.5".to_owned()),
    ];
    invalid.extend(
        invalid_times(kind)
            .into_iter()
            .map(|(value, shown)| ("heartbeattime", value, format!("heartbeattime: {shown}"))),
    );
    invalid.push(("id", "1e30", "id: 1000000000000000000000000000000".to_owned()));
    match kind {
        DatabaseKind::Server => invalid.extend([
            ("id", "'NaN'", "id: NaN".to_owned()),
            ("starttime", "'-infinity'", "starttime: -infinity".to_owned()),
            ("destructiontime", "'infinity'", "destructiontime: infinity".to_owned()),
        ]),
        DatabaseKind::File => invalid.extend([
            ("id", "'one'", "id: \"one\"".to_owned()),
            ("name", "cast(x'686fff' as text)", "name: not UTF-8".to_owned()),
            ("pid", "'many'", "pid: \"many\"".to_owned()),
            ("environment", "'{\"os\":'", "environment: invalid JSON: \"{\"os\":\"".to_owned()),
            ("tags", "x'00'", "tags: invalid JSON: \"\"".to_owned()),
            ("version", "x'7631'", "version: bytes, not text".to_owned()),
        ]),
    }
    for at in 0..=invalid.len() {
        let id = 100 + i64::try_from(at).unwrap();
        admin.agent(id, &format!("host{at}"), &format!("linux.host{at}"), "online", 1);
    }
    for (at, (column, value, _)) in invalid.iter().enumerate() {
        admin.sql(&format!("update agents set {column} = {value} where name = 'host{at}'"));
    }
    let output = admin.output(&["agents"]);
    assert_eq!(output.lines().count(), invalid.len() + 2, "{output}");
    let valid = format!("| 20251122-0.9e7e4f52.lab | host{}\n", invalid.len());
    assert!(output.contains(&valid), "the valid row has no mark: {output}");
    for (_, _, mark) in &invalid {
        assert!(output.contains(&format!("  ! {mark}\n")), "no {mark:?} in {output}");
    }
    let list = admin.json(&["agents", "--json"]);
    assert_eq!(list.as_array().unwrap().len(), invalid.len() + 1);
    let marked = list.as_array().unwrap().iter().filter(|row| row["odd"].is_object()).count();
    assert_eq!(marked, invalid.len(), "{list:#}");
    let first = find(&list, "name", &"host0".into());
    assert_eq!((&first["status"], &first["odd"]["status"]), (&Value::Null, &"NULL".into()));
    let unknown = find(&list, "name", &"host1".into());
    assert_eq!(unknown["status"], "vanished", "readable values are shown");
    // A target selects agents with invalid columns too.
    let selected = admin.json(&["agents", "--json", "--target", "mode = 'daemon'"]);
    assert_eq!(selected.as_array().unwrap().len(), invalid.len() - 1, "{selected:#}");
}

fn silent_host_with_invalid_heartbeat_is_shown(kind: DatabaseKind) {
    let admin = Admin::new(kind);
    admin.agent(1, "alive", "linux.a", "online", 1);
    admin.agent(2, "silent", "linux.b", "idle", 61);
    // Two hosts with an invalid agent each. The other agent is alive on one host, silent on the
    // other.
    admin.agent(3, "half-alive", "linux.c", "online", 1);
    admin.agent(4, "half-alive", "linux.c", "online", 1);
    admin.agent(5, "half-silent", "linux.d", "online", 61);
    admin.agent(6, "half-silent", "linux.d", "online", 61);
    let times = invalid_times(kind);
    admin.sql(&format!("update agents set heartbeattime = {} where id in (4, 6)", times[0].0));
    for (at, (value, _)) in times.iter().enumerate() {
        let id = 100 + i64::try_from(at).unwrap();
        admin.agent(id, &format!("odd{at}"), &format!("linux.odd{at}"), "online", 1);
        admin.sql(&format!("update agents set heartbeattime = {value} where id = {id}"));
    }
    let output = admin.output(&["agents", "offline"]);
    let mut expected = vec!["half-silent".to_owned()];
    expected.extend((0..times.len()).map(|at| format!("odd{at}")));
    expected.push("silent".to_owned());
    assert_eq!(names(&output), expected, "{output}");
    assert!(output.ends_with("| 1h1m   | silent\n"), "{output}");
    let mark = format!("| ?      | odd0  ! heartbeattime: {}\n", times[0].1);
    assert!(output.contains(&mark), "{output}");
    let mark = format!("| 1h1m   | half-silent  ! heartbeattime: {} of an agent\n", times[0].1);
    assert!(output.contains(&mark), "{output}");
    let list = admin.json(&["agents", "offline", "--json"]);
    let row = find(&list, "name", &"odd0".into());
    assert_eq!(
        (&row["heartbeattime"], &row["odd"]["heartbeattime"]),
        (&Value::Null, &times[0].1.into())
    );
    assert!(find(&list, "name", &"silent".into()).get("odd").is_none());
}

fn duplicate_agents_with_invalid_heartbeat_are_shown(kind: DatabaseKind) {
    let admin = Admin::new(kind);
    for (id, name) in [(1, "twice"), (2, "twice"), (3, "odd"), (4, "odd"), (5, "once")] {
        admin.agent(id, name, &format!("linux.{name}"), "online", 1);
    }
    let times = invalid_times(kind);
    admin.sql(&format!("update agents set heartbeattime = {} where id = 4", times[0].0));
    let output = admin.output(&["agents", "double"]);
    assert_eq!(
        output,
        format!(
            "| count  |             name\n\
             | 2      | linux.odd | odd  ! heartbeattime: {} of an agent\n\
             | 2      | linux.twice | twice\n",
            times[0].1
        )
    );
    let list = admin.json(&["agents", "double", "--json"]);
    assert!(list[0]["odd"].is_object() && list[1].get("odd").is_none(), "{list}");
}

/// Inserts a valid action, then changes a column.
fn action(admin: &Admin, id: i64, change: &str) {
    let (from, until) = (ago(7), ago(2));
    admin.sql(&format!(
        "insert into actions (id, name, target, description, threat, operations, validfrom, expireafter, \
         starttime, finishtime, lastupdatetime, status, syntaxversion, pgpsignatures) values \
         ({id}, 'action{id}', 'true', '{{}}', '{{}}', '[]', '{from}', '{until}', '{from}', '{until}', \
         '{from}', 'inflight', 2, '[\"s\"]')"
    ));
    if !change.is_empty() {
        admin.sql(&format!("update actions set {change} where id = {id}"));
    }
}

fn invalid_action_is_shown_and_marked(kind: DatabaseKind) {
    let admin = Admin::new(kind);
    let times = invalid_times(kind);
    let time = times[0].0;
    let mut invalid = vec![
        (format!("validfrom = {time}"), format!("validfrom: {}", times[0].1)),
        (format!("expireafter = {time}"), format!("expireafter: {}", times[0].1)),
        (format!("starttime = {time}"), format!("starttime: {}", times[0].1)),
        (format!("finishtime = {time}"), format!("finishtime: {}", times[0].1)),
        ("status = null".to_owned(), "status: NULL".to_owned()),
        ("status = 'lost'".to_owned(), "status: \"lost\"".to_owned()),
        ("operations = null".to_owned(), "operations: NULL".to_owned()),
        ("description = null".to_owned(), "description: NULL".to_owned()),
        ("threat = null".to_owned(), "threat: NULL".to_owned()),
        ("syntaxversion = null".to_owned(), "syntaxversion: NULL".to_owned()),
        ("pgpsignatures = '[\"s'".to_owned(), "pgpsignatures: invalid JSON: \"[\"s\"".to_owned()),
        ("name = ' '".to_owned(), "name: empty".to_owned()),
    ];
    match kind {
        DatabaseKind::Server => invalid.push(("id = 'NaN'".to_owned(), "id: NaN".to_owned())),
        DatabaseKind::File => invalid.extend([
            ("id = 'x'".to_owned(), "id: \"x\"".to_owned()),
            ("operations = '[{'".to_owned(), "operations: invalid JSON: \"[{\"".to_owned()),
        ]),
    }
    action(&admin, 1, "");
    for (at, (change, _)) in invalid.iter().enumerate() {
        action(&admin, 2 + i64::try_from(at).unwrap(), change);
    }
    let output = admin.output(&["actions", "-n", "100"]);
    assert_eq!(output.lines().count(), invalid.len() + 2, "{output}");
    assert!(output.ends_with("| 0/0       | action1\n"), "{output}");
    for (_, mark) in &invalid {
        assert!(output.contains(&format!("  ! {mark}\n")), "no {mark:?} in {output}");
    }
    let list = admin.json(&["actions", "--json", "-n", "100"]);
    let first = find(&list, "id", &2.into());
    assert!(first["validfrom"].is_null() && first["odd"]["validfrom"].is_string(), "{first}");
    for id in 2..10 {
        let shown = admin.output(&["commands", &id.to_string()]);
        assert!(shown.contains("\n  ! invalid  "), "{shown}");
        admin.json(&["commands", "--json", &id.to_string()]);
    }
}

fn invalid_answer_is_shown_and_marked(kind: DatabaseKind) {
    let admin = Admin::new(kind);
    let times = invalid_times(kind);
    action(&admin, 1, "");
    for id in 1..=6 {
        admin.agent(id, &format!("host{id}"), &format!("linux.host{id}"), "online", 1);
        let found = "[{\"foundanything\":true}]";
        admin.sql(&format!(
            "insert into commands (id, actionid, agentid, status, results, starttime, finishtime) \
             values ({id}, 1, {id}, 'success', '{found}', '{}', '{}')",
            ago(7),
            ago(6)
        ));
    }
    admin.sql("update commands set results = null where id = 2");
    admin.sql(&format!("update commands set starttime = {} where id = 3", times[0].0));
    admin.sql("update commands set status = 'vanished' where id = 4");
    match kind {
        // The server accepts an escaped NUL in JSON, but cannot convert it to text.
        DatabaseKind::Server => admin.sql(
            "update commands set results = '[{\"foundanything\":true,\"x\":\"\\u0000\"}]' where id = 5",
        ),
        DatabaseKind::File => admin.sql(
            "update commands set results = '[{' where id = 5; \
             pragma foreign_keys = off; delete from agents where id = 6",
        ),
    }
    let output = admin.output(&["commands", "1"]);
    let line = |name: &str| output.lines().find(|line| line.contains(name)).unwrap_or(&output);
    assert_eq!(line("| host1"), "| success   | 1m     | yes   | host1");
    assert_eq!(line("| host2"), "| success   | 1m     | no    | host2");
    let mark = format!("| success   | ?      | yes   | host3  ! starttime: {}", times[0].1);
    assert_eq!(line("| host3"), mark);
    assert_eq!(line("| host4"), "| vanished  | 1m     | -     | host4  ! status: \"vanished\"");
    assert!(output.contains("\n  commands   6: 5 success, 1 vanished\n"), "{output}");
    match kind {
        DatabaseKind::Server => assert_eq!(line("| host5"), "| success   | 1m     | yes   | host5"),
        DatabaseKind::File => {
            assert_eq!(line("| host5"), "| success   | 1m     | no    | host5");
            let gone = "| success   | 1m     | yes   | ?  ! agent: NULL, queueloc: NULL\n";
            assert!(output.ends_with(gone), "{output}");
        }
    }
    let whole = admin.json(&["commands", "--json", "1"]);
    assert_eq!(whole["commands"].as_array().unwrap().len(), 6);
    assert_eq!(whole["counters"]["vanished"], 1);
    assert_eq!(whole["commands"][2]["starttime"], Value::Null);
    assert!(admin.output(&["actions"]).contains("| 6/6       | action1\n"));
}

fn invalid_investigator_is_shown_and_marked(kind: DatabaseKind) {
    let admin = Admin::new(kind);
    let times = invalid_times(kind);
    let bytes = if kind == DatabaseKind::Server { "'\\x00ff'::bytea" } else { "x'00ff'" };
    let mut invalid = vec![
        ("permissions = -1".to_owned(), "permissions: -1".to_owned()),
        ("permissions = 524289".to_owned(), "permissions: 524289".to_owned()),
        (format!("publickey = {bytes}"), "publickey: not an armored key: 2 bytes".to_owned()),
        (format!("lastmodified = {}", times[0].0), format!("lastmodified: {}", times[0].1)),
        ("name = ''".to_owned(), "name: empty".to_owned()),
        ("status = 'gone'".to_owned(), "status: \"gone\"".to_owned()),
    ];
    match kind {
        DatabaseKind::Server => invalid.push(("id = 'NaN'".to_owned(), "id: NaN".to_owned())),
        DatabaseKind::File => {
            invalid.push(("name = cast(x'ff' as text)".to_owned(), "name: not UTF-8".to_owned()));
        }
    }
    for at in 0..=invalid.len() {
        admin.sql(&format!(
            "insert into investigators (name, pgpfingerprint, permissions) values ('inv{at}', 'F{at}', 1)"
        ));
    }
    admin.sql("insert into investigators (name, permissions) values ('keyless', 1)");
    for (at, (change, _)) in invalid.iter().enumerate() {
        admin.sql(&format!("update investigators set {change} where name = 'inv{at}'"));
    }
    let output = admin.output(&["investigator", "list"]);
    assert_eq!(output.lines().count(), invalid.len() + 3, "{output}");
    for (_, mark) in &invalid {
        assert!(output.contains(&format!("  ! {mark}\n")), "no {mark:?} in {output}");
    }
    assert!(output.lines().any(|line| line.ends_with("| keyless")), "{output}");
    let list = admin.json(&["investigator", "list", "--json"]);
    assert_eq!(list.as_array().unwrap().len(), invalid.len() + 2);
    let shown = admin.output(&["investigator", "show", "1"]);
    assert!(shown.contains("\n  ! invalid    permissions: -1\n"), "{shown}");
    admin.output(&["investigator", "acl"]);
    if kind == DatabaseKind::Server {
        let name = format!("inv{}", invalid.len() - 1);
        let shown = admin.output(&["investigator", "show", &name]);
        assert!(shown.starts_with("investigator ?\n"), "{shown}");
        let said = admin.run(&["investigator", "disable", &name]);
        fails(&said, 65, &[&name, "cannot be read"]);
    }
}
