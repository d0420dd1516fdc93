//! An odd row does not hide others: whatever a column holds, every row is shown, and the
//! odd one has a mark.

use serde_json::Value;

use super::{Admin, Kind, ago, fails, on_each_database};

on_each_database!(
    an_agent_with_an_odd_column_is_shown_and_marked,
    a_silent_host_is_shown_whatever_its_heartbeat_holds,
    a_double_is_shown_whatever_a_heartbeat_holds,
    an_odd_action_is_shown_and_marked,
    an_odd_answer_is_shown_and_marked,
    an_odd_investigator_is_shown_and_marked,
);

/// Returns the names that a listing has after its last bar, without marks.
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

/// Returns values that `heartbeattime` may hold, and how they are shown.
fn odd_times(kind: Kind) -> Vec<(&'static str, &'static str)> {
    match kind {
        Kind::Server => vec![
            ("'infinity'", "infinity"),
            ("'-infinity'", "-infinity"),
            ("'20000-01-01 00:00:00+00'", "20000 (a year)"),
            ("'0044-03-15 00:00:00+00 BC'", "-000043-03-15T00:00:00Z"),
        ],
        Kind::File => vec![
            ("'infinity'", "\"infinity\""),
            ("1732276800", "1732276800"),
            ("'2026-13-45T00:00:00.000000Z'", "\"2026-13-45T00:00:00.000000Z\""),
            ("''", "\"\""),
            ("x'00ff'", "2 bytes"),
        ],
    }
}

fn an_agent_with_an_odd_column_is_shown_and_marked(kind: Kind) {
    let admin = Admin::new(kind);
    let mut odd: Vec<(&str, &str, String)> = vec![
        ("status", "null", "status: NULL".to_owned()),
        ("status", "'vanished'", "status: \"vanished\"".to_owned()),
        ("name", "''", "name: empty".to_owned()),
        ("environment", "null", "environment: NULL".to_owned()),
        ("tags", "null", "tags: NULL".to_owned()),
        ("id", "1.5", "id: 1.5".to_owned()),
    ];
    odd.extend(
        odd_times(kind)
            .into_iter()
            .map(|(value, told)| ("heartbeattime", value, format!("heartbeattime: {told}"))),
    );
    odd.push(("id", "1e30", "id: 1000000000000000000000000000000".to_owned()));
    match kind {
        Kind::Server => odd.extend([
            ("id", "'NaN'", "id: NaN".to_owned()),
            ("starttime", "'-infinity'", "starttime: -infinity".to_owned()),
            ("destructiontime", "'infinity'", "destructiontime: infinity".to_owned()),
        ]),
        Kind::File => odd.extend([
            ("id", "'one'", "id: \"one\"".to_owned()),
            ("name", "cast(x'686fff' as text)", "name: not UTF-8".to_owned()),
            ("pid", "'many'", "pid: \"many\"".to_owned()),
            ("environment", "'{\"os\":'", "environment: no JSON: \"{\"os\":\"".to_owned()),
            ("tags", "x'00'", "tags: 1 bytes".to_owned()),
            ("version", "x'7631'", "version: bytes, not text".to_owned()),
        ]),
    }
    for at in 0..=odd.len() {
        let id = 100 + i64::try_from(at).unwrap();
        admin.agent(id, &format!("host{at}"), &format!("linux.host{at}"), "online", 1);
    }
    for (at, (column, value, _)) in odd.iter().enumerate() {
        admin.sql(&format!("update agents set {column} = {value} where name = 'host{at}'"));
    }
    let told = admin.good(&["agents"]);
    assert_eq!(told.lines().count(), odd.len() + 2, "{told}");
    let sound = format!("| 20251122-0.9e7e4f52.lab | host{}\n", odd.len());
    assert!(told.contains(&sound), "the sound one is shown as usual: {told}");
    for (_, _, mark) in &odd {
        assert!(told.contains(&format!("  ! {mark}\n")), "no {mark:?} in {told}");
    }
    let list = admin.json(&["agents", "--json"]);
    assert_eq!(list.as_array().unwrap().len(), odd.len() + 1);
    let marked = list.as_array().unwrap().iter().filter(|row| row["odd"].is_object()).count();
    assert_eq!(marked, odd.len(), "{list:#}");
    let first = find(&list, "name", &"host0".into());
    assert_eq!((&first["status"], &first["odd"]["status"]), (&Value::Null, &"NULL".into()));
    let unknown = find(&list, "name", &"host1".into());
    assert_eq!(unknown["status"], "vanished", "what can be read is told");
    // An odd column does not hide an agent that a target selects either.
    let selected = admin.json(&["agents", "--json", "--target", "mode = 'daemon'"]);
    assert_eq!(selected.as_array().unwrap().len(), odd.len() - 1, "{selected:#}");
}

fn a_silent_host_is_shown_whatever_its_heartbeat_holds(kind: Kind) {
    let admin = Admin::new(kind);
    admin.agent(1, "alive", "linux.a", "online", 1);
    admin.agent(2, "silent", "linux.b", "idle", 61);
    // One of its agents is odd, and the other was heard; the same, and the other was not.
    admin.agent(3, "half-alive", "linux.c", "online", 1);
    admin.agent(4, "half-alive", "linux.c", "online", 1);
    admin.agent(5, "half-silent", "linux.d", "online", 61);
    admin.agent(6, "half-silent", "linux.d", "online", 61);
    let times = odd_times(kind);
    admin.sql(&format!("update agents set heartbeattime = {} where id in (4, 6)", times[0].0));
    for (at, (value, _)) in times.iter().enumerate() {
        let id = 100 + i64::try_from(at).unwrap();
        admin.agent(id, &format!("odd{at}"), &format!("linux.odd{at}"), "online", 1);
        admin.sql(&format!("update agents set heartbeattime = {value} where id = {id}"));
    }
    let told = admin.good(&["agents", "offline"]);
    let mut expected = vec!["half-silent".to_owned()];
    expected.extend((0..times.len()).map(|at| format!("odd{at}")));
    expected.push("silent".to_owned());
    assert_eq!(names(&told), expected, "{told}");
    assert!(told.ends_with("| 1h1m   | silent\n"), "{told}");
    let mark = format!("| ?      | odd0  ! heartbeattime: {}\n", times[0].1);
    assert!(told.contains(&mark), "{told}");
    let mark = format!("| 1h1m   | half-silent  ! heartbeattime: {} of an agent\n", times[0].1);
    assert!(told.contains(&mark), "{told}");
    let list = admin.json(&["agents", "offline", "--json"]);
    let odd = find(&list, "name", &"odd0".into());
    assert_eq!(
        (&odd["heartbeattime"], &odd["odd"]["heartbeattime"]),
        (&Value::Null, &times[0].1.into())
    );
    assert!(find(&list, "name", &"silent".into()).get("odd").is_none());
}

fn a_double_is_shown_whatever_a_heartbeat_holds(kind: Kind) {
    let admin = Admin::new(kind);
    for (id, name) in [(1, "twice"), (2, "twice"), (3, "odd"), (4, "odd"), (5, "once")] {
        admin.agent(id, name, &format!("linux.{name}"), "online", 1);
    }
    let times = odd_times(kind);
    admin.sql(&format!("update agents set heartbeattime = {} where id = 4", times[0].0));
    let told = admin.good(&["agents", "double"]);
    assert_eq!(
        told,
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

/// Adds an action that is as it should be, then changes a column.
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

fn an_odd_action_is_shown_and_marked(kind: Kind) {
    let admin = Admin::new(kind);
    let times = odd_times(kind);
    let time = times[0].0;
    let mut odd = vec![
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
        ("pgpsignatures = '[\"s'".to_owned(), "pgpsignatures: no JSON: \"[\"s\"".to_owned()),
        ("name = ' '".to_owned(), "name: empty".to_owned()),
    ];
    match kind {
        Kind::Server => odd.push(("id = 'NaN'".to_owned(), "id: NaN".to_owned())),
        Kind::File => odd.extend([
            ("id = 'x'".to_owned(), "id: \"x\"".to_owned()),
            ("operations = '[{'".to_owned(), "operations: no JSON: \"[{\"".to_owned()),
        ]),
    }
    action(&admin, 1, "");
    for (at, (change, _)) in odd.iter().enumerate() {
        action(&admin, 2 + i64::try_from(at).unwrap(), change);
    }
    let told = admin.good(&["actions", "-n", "100"]);
    assert_eq!(told.lines().count(), odd.len() + 2, "{told}");
    assert!(told.ends_with("| 0/0       | action1\n"), "{told}");
    for (_, mark) in &odd {
        assert!(told.contains(&format!("  ! {mark}\n")), "no {mark:?} in {told}");
    }
    let list = admin.json(&["actions", "--json", "-n", "100"]);
    let first = find(&list, "id", &2.into());
    assert!(first["validfrom"].is_null() && first["odd"]["validfrom"].is_string(), "{first}");
    for id in 2..10 {
        let shown = admin.good(&["commands", &id.to_string()]);
        assert!(shown.contains("\n  ! odd      "), "{shown}");
        admin.json(&["commands", "--json", &id.to_string()]);
    }
}

fn an_odd_answer_is_shown_and_marked(kind: Kind) {
    let admin = Admin::new(kind);
    let times = odd_times(kind);
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
        // A file's NUL in an answer is valid JSON, of which the server can make no text.
        Kind::Server => admin.sql(
            "update commands set results = '[{\"foundanything\":true,\"x\":\"\\u0000\"}]' where id = 5",
        ),
        Kind::File => admin.sql(
            "update commands set results = '[{' where id = 5; \
             pragma foreign_keys = off; delete from agents where id = 6",
        ),
    }
    let told = admin.good(&["commands", "1"]);
    let line = |name: &str| told.lines().find(|line| line.contains(name)).unwrap_or(&told);
    assert_eq!(line("| host1"), "| success   | 1m0s   | yes   | host1");
    assert_eq!(line("| host2"), "| success   | 1m0s   | no    | host2");
    let mark = format!("| success   | ?      | yes   | host3  ! starttime: {}", times[0].1);
    assert_eq!(line("| host3"), mark);
    assert_eq!(line("| host4"), "| vanished  | 1m0s   | -     | host4  ! status: \"vanished\"");
    assert!(told.contains("\n  commands   6: 5 success, 1 vanished\n"), "{told}");
    match kind {
        Kind::Server => assert_eq!(line("| host5"), "| success   | 1m0s   | yes   | host5"),
        Kind::File => {
            assert_eq!(line("| host5"), "| success   | 1m0s   | no    | host5");
            let gone = "| success   | 1m0s   | yes   | ?  ! agent: NULL, queueloc: NULL\n";
            assert!(told.ends_with(gone), "{told}");
        }
    }
    let whole = admin.json(&["commands", "--json", "1"]);
    assert_eq!(whole["commands"].as_array().unwrap().len(), 6);
    assert_eq!(whole["counters"]["vanished"], 1);
    assert_eq!(whole["commands"][2]["starttime"], Value::Null);
    assert!(admin.good(&["actions"]).contains("| 6/6       | action1\n"));
}

fn an_odd_investigator_is_shown_and_marked(kind: Kind) {
    let admin = Admin::new(kind);
    let times = odd_times(kind);
    let bytes = if kind == Kind::Server { "'\\x00ff'::bytea" } else { "x'00ff'" };
    let mut odd = vec![
        ("permissions = -1".to_owned(), "permissions: -1".to_owned()),
        ("permissions = 524289".to_owned(), "permissions: 524289".to_owned()),
        (format!("publickey = {bytes}"), "publickey: no armored key: 2 bytes".to_owned()),
        (format!("lastmodified = {}", times[0].0), format!("lastmodified: {}", times[0].1)),
        ("name = ''".to_owned(), "name: empty".to_owned()),
        ("status = 'gone'".to_owned(), "status: \"gone\"".to_owned()),
    ];
    match kind {
        Kind::Server => odd.push(("id = 'NaN'".to_owned(), "id: NaN".to_owned())),
        Kind::File => {
            odd.push(("name = cast(x'ff' as text)".to_owned(), "name: not UTF-8".to_owned()));
        }
    }
    for at in 0..=odd.len() {
        admin.sql(&format!(
            "insert into investigators (name, pgpfingerprint, permissions) values ('inv{at}', 'F{at}', 1)"
        ));
    }
    admin.sql("insert into investigators (name, permissions) values ('keyless', 1)");
    for (at, (change, _)) in odd.iter().enumerate() {
        admin.sql(&format!("update investigators set {change} where name = 'inv{at}'"));
    }
    let told = admin.good(&["investigator", "list"]);
    assert_eq!(told.lines().count(), odd.len() + 3, "{told}");
    for (_, mark) in &odd {
        assert!(told.contains(&format!("  ! {mark}\n")), "no {mark:?} in {told}");
    }
    assert!(told.lines().any(|line| line.ends_with("| keyless")), "{told}");
    let list = admin.json(&["investigator", "list", "--json"]);
    assert_eq!(list.as_array().unwrap().len(), odd.len() + 2);
    let shown = admin.good(&["investigator", "show", "1"]);
    assert!(shown.contains("\n  ! odd        permissions: -1\n"), "{shown}");
    admin.good(&["investigator", "acl"]);
    if kind == Kind::Server {
        let name = format!("inv{}", odd.len() - 1);
        let shown = admin.good(&["investigator", "show", &name]);
        assert!(shown.starts_with("investigator ?\n"), "{shown}");
        let said = admin.run(&["investigator", "disable", &name]);
        fails(&said, 65, &[&name, "cannot be read"]);
    }
}
