//! `schema`, and the SQL statements of MIG's documentation.

use std::process::{Command, Stdio};

use super::{Admin, DatabaseKind, fails, on_each_database};

on_each_database!(
    tables_are_created_once_and_checked,
    differences_are_reported_and_resolved,
    documented_insert_works_unchanged,
);

fn tables_are_created_once_and_checked(kind: DatabaseKind) {
    let admin = Admin::without_tables(kind);
    if kind == DatabaseKind::Server {
        let said = admin.run(&["schema", "check"]);
        assert_eq!(said.exit, 1, "{said:?}");
        assert!(said.out.contains("table investigators is missing\n"), "{said:?}");
    } else {
        fails(&admin.run(&["schema", "check"]), 66, &["mig.db", "mig-data -c a.cfg schema init`"]);
    }
    let created = admin.output(&["schema", "init", "--roles"]);
    assert!(created.starts_with("created the missing tables and roles in "), "{created}");
    assert_eq!(created.lines().count(), 1, "{created}");
    let again = admin.output(&["schema", "init", "--roles"]);
    assert!(again.ends_with(" already has all tables and roles\n"), "{again}");
    let checked = admin.output(&["schema", "check", "--roles"]);
    assert!(checked.ends_with(" match the platform's\n"), "{checked}");
}

fn differences_are_reported_and_resolved(kind: DatabaseKind) {
    let admin = Admin::new(kind);
    admin.sql("drop index agents_status_idx; drop table signatures");
    let said = admin.run(&["schema", "check"]);
    assert_eq!(
        (said.exit, said.out.as_str()),
        (1, "an index on agents (status) is missing\ntable signatures is missing\n")
    );
    // The check has not changed anything.
    assert_eq!(admin.run(&["schema", "check"]).exit, 1);
    admin.output(&["schema", "init"]);
    admin.output(&["schema", "check"]);
}

fn documented_insert_works_unchanged(kind: DatabaseKind) {
    let admin = Admin::new(kind);
    let insert = "INSERT INTO investigators (name, pgpfingerprint)\n\
                  VALUES ('Bob Kelso', 'E608......');\n";
    match kind {
        DatabaseKind::File => admin.sql(insert),
        DatabaseKind::Server => assert_eq!(psql(&admin, insert), "INSERT 0 1\n"),
    }
    let bob = admin.json(&["investigator", "show", "--json", "Bob Kelso"]);
    assert_eq!((&bob["status"], &bob["pgpfingerprint"]), (&"active".into(), &"E608......".into()));
    assert_eq!(bob["permissions"], serde_json::json!([]));
    admin.output(&["schema", "check"]);
}

#[test]
fn psql_accepts_the_printed_schema() {
    let admin = Admin::without_tables(DatabaseKind::Server);
    let printed = admin.output(&["schema", "print"]);
    psql(&admin, &printed);
    admin.output(&["schema", "check", "--roles"]);
    psql(&admin, &printed);
}

/// Runs SQL in `psql`; returns its output.
pub(super) fn psql(admin: &Admin, text: &str) -> String {
    let section = admin.database.as_ref().unwrap().section();
    let value = |key: &str| {
        let line = section.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_once(" = ").unwrap().1.to_owned()
    };
    let mut psql = Command::new("psql")
        .args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", &value("host")])
        .args(["-p", &value("port"), "-U", &value("user"), &value("dbname")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut psql.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let output = psql.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
