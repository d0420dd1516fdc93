//! Errors: each is one clear line, and nothing is half done.

use super::{Admin, DatabaseKind, PROGRAM, fails};
use crate::cluster::Cluster;
use crate::home::{CommandOutput, Home};

#[test]
fn version_and_completions_need_no_database() {
    let home = Home::new();
    let said = CommandOutput::of(&mut home.command_of(PROGRAM, &["--version"]));
    assert_eq!(said.out, format!("mig-data {}\n", env!("CARGO_PKG_VERSION")));
    let said = CommandOutput::of(&mut home.command_of(PROGRAM, &["completions", "bash"]));
    assert!(said.out.contains("_mig-data()") || said.out.contains("_mig__data"), "{said:?}");
}

#[test]
fn missing_or_invalid_database_option_is_explained() {
    let home = Home::new();
    let run = |arguments: &[&str]| CommandOutput::of(&mut home.command_of(PROGRAM, arguments));
    if !std::path::Path::new("/etc/mig/standalone.cfg").exists() {
        let said = run(&["agents"]);
        fails(&said, 78, &["/etc/mig/standalone.cfg"]);
        assert!(said.err.contains("-d postgres://") && said.err.contains("-d sqlite:"), "{said:?}");
    }
    fails(&run(&["-c", "none.cfg", "agents"]), 78, &["none.cfg", "No such file"]);
    fails(&run(&["-d", "mig.db", "agents"]), 64, &["\"mig.db\"", "sqlite:FILE"]);
    fails(&run(&["-d", "sqlite:mig.db", "agents"]), 66, &["mig.db", "schema init"]);
    fails(&run(&["-d", "sqlite:x", "-c", "y", "agents"]), 64, &["cannot be used with"]);
    let secret = run(&["-d", "postgres://u:hunter2@localhost/mig", "agents"]);
    fails(&secret, 64, &["PGPASSWORD", "PGPASSFILE"]);
    assert!(!secret.err.contains("hunter2"), "{secret:?}");
    home.write("bad.cfg", "[postgres]\nhost = h\nsslmode = perhaps\n");
    let said = run(&["-c", "bad.cfg", "agents"]);
    assert_eq!(said.exit, 78, "{said:?}");
    assert!(said.err.contains("bad.cfg:3: sslmode must be disable | require"), "{said:?}");
    home.write("mig.db", "not a database, but longer than the header of an SQLite database file\n");
    fails(&run(&["-d", "sqlite:mig.db", "agents"]), 74, &["mig.db"]);
}

#[test]
fn temporary_folder_that_others_could_exchange_is_refused() {
    let home = Home::new();
    let fingerprint = home.key();
    let key = home.gpg(&["--armor", "--export", &fingerprint]).stdout;
    home.write("key.asc", &String::from_utf8(key).unwrap());
    std::fs::create_dir(home.path("t")).unwrap();
    let url = "sqlite:mig.db";
    let made = ["-d", url, "schema", "init"];
    assert_eq!(CommandOutput::of(&mut home.command_of(PROGRAM, &made)).exit, 0);
    let add = || {
        let add = ["-d", url, "investigator", "add", "--key", "key.asc", "Ann"];
        CommandOutput::of(home.command_of(PROGRAM, &add).env("TMPDIR", home.path("t")))
    };
    home.chmod("t", 0o777);
    let said = add();
    assert!(said.exit != 0 && said.err.contains("others can write to"), "{said:?}");
    home.chmod("t", 0o1777);
    assert_eq!(add().exit, 0);
    assert_eq!(std::fs::read_dir(home.path("t")).unwrap().count(), 0);
}

/// Runs `mig-data` on an SQLite file.
fn on_file(home: &Home, file: &str) -> CommandOutput {
    let url = format!("sqlite:{file}");
    CommandOutput::of(&mut home.command_of(PROGRAM, &["-d", &url, "agents"]))
}

#[test]
fn no_command_is_advised_for_a_file_that_is_not_migs() {
    let home = Home::new();
    rusqlite::Connection::open(home.path("other.db"))
        .unwrap()
        .execute_batch("create table bookmarks (id integer); pragma user_version = 2")
        .unwrap();
    home.write("text", "not a database, but longer than the header of an SQLite database file\n");
    for (name, mode) in [("other.db", 0o644), ("text", 0o644), ("other.db", 0o666), ("text", 0o666)]
    {
        home.chmod(name, mode);
        let said = on_file(&home, name);
        fails(&said, 66, &[name, "is not a database of MIG"]);
        assert!(!said.err.contains("chmod"), "{said:?}");
    }
    // Whether it belongs to this user, who may be root, or to another one.
    let said = on_file(&home, "/etc/passwd");
    fails(&said, 66, &["/etc/passwd is not a database of MIG"]);
    assert!(!said.err.contains("chmod") && !said.err.contains("sudo"), "{said:?}");
    // The advice for a database of MIG works.
    let url = "sqlite:mig.db";
    let made = ["-d", url, "schema", "init"];
    assert_eq!(CommandOutput::of(&mut home.command_of(PROGRAM, &made)).exit, 0);
    home.chmod("mig.db", 0o644);
    fails(&on_file(&home, "mig.db"), 77, &["run chmod 600 mig.db"]);
    home.chmod("mig.db", 0o600);
    assert_eq!(on_file(&home, "mig.db").exit, 0);
}

#[test]
fn configuration_of_the_original_scheduler_is_accepted() {
    let admin = Admin::new(DatabaseKind::Server);
    admin.agent(1, "web1", "linux.web1", "online", 1);
    let section = admin.database.as_ref().unwrap().section();
    let text = format!(
        "[agent]\ntimeout = \"60m\"\n[mq]\nhost = \"localhost\"\n{section}maxconn = 10\n\
         [directories]\nspool = \"/var/cache/mig/\"\ntmp = \"/var/tmp\"\n"
    );
    admin.home.write("scheduler.cfg", &text);
    let said = admin.run_with(&["-c", "scheduler.cfg", "agents", "--json"]);
    assert_eq!(said.exit, 0, "{said:?}");
    assert!(said.out.contains("\"web1\""), "{said:?}");
    admin.home.write("secret.cfg", &text.replace("maxconn = 10", "password = \"hunter2\""));
    admin.home.chmod("secret.cfg", 0o644);
    let said = admin.run_with(&["-c", "secret.cfg", "agents"]);
    fails(&said, 77, &["secret.cfg", "chmod go="]);
    assert!(!said.err.contains("hunter2"), "{said:?}");
}

#[test]
fn unreachable_server_is_named() {
    let admin = Admin::new(DatabaseKind::Server);
    let cluster = Cluster::shared();
    let port = cluster.port();
    let (folder, user) = (cluster.folder().display(), crate::cluster::USER);
    let at = |url: String, command: &[&str]| admin.run_with(&[&["-d", &url], command].concat());
    let away = at("postgres://u@127.0.0.1:1/mig".to_owned(), &["agents"]);
    fails(&away, 69, &["u@127.0.0.1:1/mig", "refused"]);
    let missing = at(format!("postgres://{user}@/none?host={folder}&port={port}"), &["actions"]);
    fails(&missing, 69, &["none", "createdb"]);
    // The server requires a password over TCP.
    let url = format!("postgres://{user}@127.0.0.1:{port}/postgres");
    fails(&at(url.clone(), &["agents"]), 69, &["password"]);
    let with = |variable: &str, value: &str| {
        let mut command = admin.command(&["-d", &url, "schema", "check"]);
        CommandOutput::of(command.env(variable, value))
    };
    fails(&with("PGPASSWORD", "wrong"), 69, &["password"]);
    assert_eq!(
        with("PGPASSWORD", crate::cluster::PASSWORD).exit,
        1,
        "logged in; the tables are missing"
    );
    let line = format!("127.0.0.1:{port}:*:{user}:{}\n", crate::cluster::PASSWORD);
    admin.home.write("passwords", &line);
    assert_eq!(with("PGPASSFILE", "passwords").exit, 1);
    admin.home.chmod("passwords", 0o644);
    let said = with("PGPASSFILE", "passwords");
    fails(&said, 77, &["passwords may be read by other users"]);
    assert!(!said.err.contains("chmod"), "{said:?}");
    admin.home.write(".pgpass", &line);
    assert_eq!(with("X", "").exit, 1);
}

#[test]
fn missing_tables_or_roles_are_reported_with_the_remedy() {
    let admin = Admin::without_tables(DatabaseKind::Server);
    fails(&admin.run(&["agents"]), 69, &["schema check"]);
    fails(&admin.run(&["investigator", "list"]), 69, &["investigators"]);
    admin.output(&["schema", "init", "--roles"]);
    admin.sql(
        "do $$ begin create role plain login; exception when duplicate_object then end $$;
         grant select on agents to plain",
    );
    let section = admin.database.as_ref().unwrap().section();
    admin.home.write("plain.cfg", &section.replace(crate::cluster::USER, "plain"));
    let target = ["-c", "plain.cfg", "agents", "--target", "true"];
    fails(&admin.run_with(&target), 77, &["migreadonly", "grant migreadonly to ROLE"]);
    let add = ["-c", "plain.cfg", "investigator", "disable", "Bob"];
    fails(&admin.run_with(&add), 69, &["permission denied"]);
}
