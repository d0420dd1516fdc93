//! `schema`, and what the seed's own SQL does.

use std::process::{Command, Stdio};

use super::{Admin, Kind, fails, on_each_database};

on_each_database!(
    tables_are_made_once_and_compared,
    what_differs_is_told_and_mended,
    the_documents_insert_works_as_it_is_printed,
);

fn tables_are_made_once_and_compared(kind: Kind) {
    let admin = Admin::vacant(kind);
    if kind == Kind::Server {
        let said = admin.run(&["schema", "check"]);
        assert_eq!(said.exit, 1, "{said:?}");
        assert!(said.out.contains("table investigators is missing\n"), "{said:?}");
    } else {
        fails(&admin.run(&["schema", "check"]), 66, &["mig.db", "mig-data -c a.cfg schema init`"]);
    }
    let made = admin.good(&["schema", "init", "--roles"]);
    assert!(made.starts_with("the tables and roles of MIG are in "), "{made}");
    assert!(made.ends_with(": what was missing was made\n") && made.lines().count() == 1, "{made}");
    let again = admin.good(&["schema", "init", "--roles"]);
    assert!(again.ends_with(": nothing was missing\n"), "{again}");
    let checked = admin.good(&["schema", "check", "--roles"]);
    assert!(checked.ends_with(" are the platform's\n"), "{checked}");
}

fn what_differs_is_told_and_mended(kind: Kind) {
    let admin = Admin::new(kind);
    admin.sql("drop index agents_status_idx; drop table signatures");
    let said = admin.run(&["schema", "check"]);
    assert_eq!(
        (said.exit, said.out.as_str()),
        (1, "an index on agents (status) is missing\ntable signatures is missing\n")
    );
    // To tell it has changed nothing.
    assert_eq!(admin.run(&["schema", "check"]).exit, 1);
    admin.good(&["schema", "init"]);
    admin.good(&["schema", "check"]);
}

fn the_documents_insert_works_as_it_is_printed(kind: Kind) {
    let admin = Admin::new(kind);
    let insert = "INSERT INTO investigators (name, pgpfingerprint)\n\
                  VALUES ('Bob Kelso', 'E608......');\n";
    match kind {
        Kind::File => admin.sql(insert),
        Kind::Server => assert_eq!(psql(&admin, insert), "INSERT 0 1\n"),
    }
    let bob = admin.json(&["investigator", "show", "--json", "Bob Kelso"]);
    assert_eq!((&bob["status"], &bob["pgpfingerprint"]), (&"active".into(), &"E608......".into()));
    assert_eq!(bob["permissions"], serde_json::json!([]));
    admin.good(&["schema", "check"]);
}

#[test]
fn the_printed_schema_is_what_psql_takes() {
    let admin = Admin::vacant(Kind::Server);
    let printed = admin.good(&["schema", "print"]);
    psql(&admin, &printed);
    admin.good(&["schema", "check", "--roles"]);
    psql(&admin, &printed);
}

/// Types a text into `psql`; returns what it answers.
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
