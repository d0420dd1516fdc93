//! `investigator`: adding, showing, disabling, API keys, permissions, access lists.

use super::{Admin, DatabaseKind, fails, on_each_database};
use crate::home::{CommandOutput, names};

on_each_database!(
    investigator_is_added_shown_and_disabled,
    key_that_the_platform_cannot_verify_is_rejected,
    fingerprint_suffices_and_the_key_may_follow,
    api_key_is_shown_once,
    access_list_contains_active_investigators,
    permissions_are_set_added_and_removed,
);

/// Creates a key and writes its public part to a file; returns its fingerprint.
pub(super) fn key(admin: &Admin, file: &str, algorithm: &str, expires: &str) -> String {
    let owner = format!("{file} <{file}@localhost>");
    std::fs::create_dir_all(admin.home.path("g")).unwrap();
    admin.home.chmod("g", 0o700);
    let made = admin.home.gpg(&["--quick-gen-key", &owner, algorithm, "sign", expires]);
    assert!(made.status.success(), "{made:?}");
    let exported = admin.home.gpg(&["--armor", "--export", &owner]);
    admin.home.write(file, &String::from_utf8(exported.stdout).unwrap());
    let listed = admin.home.gpg(&["--with-colons", "--list-keys", &owner]).stdout;
    let listed = String::from_utf8(listed).unwrap();
    let line = listed.lines().find(|line| line.starts_with("fpr:")).unwrap();
    line.split(':').nth(9).unwrap().to_owned()
}

fn investigator_is_added_shown_and_disabled(kind: DatabaseKind) {
    let admin = Admin::new(kind);
    let bob = key(&admin, "bob.asc", "rsa2048", "never");
    let added = admin.output(&["investigator", "add", "Bob Kelso", "--key", "bob.asc"]);
    assert_eq!(
        added,
        format!(
            "added Bob Kelso (1) with the key {bob}, permissions: search, action, action_create, \
             command, agent, dashboard\n"
        )
    );
    let listed = admin.output(&["investigator", "list"]);
    assert_eq!(
        listed,
        format!(
            "| id   | status   | fingerprint                              | name\n\
             | 1    | active   | {bob} | Bob Kelso\n"
        )
    );
    for who in ["Bob Kelso", "1", &bob, &bob.to_lowercase()] {
        let shown = admin.output(&["investigator", "show", who]);
        assert!(shown.starts_with("investigator 1\n  name         Bob Kelso\n"), "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    }
    let shown = admin.json(&["investigator", "show", "--json", "1"]);
    assert_eq!(shown["publickey"], admin.home.read("bob.asc"));
    assert!(shown.get("privatekey").is_none());

    assert_eq!(admin.output(&["investigator", "disable", "1"]), "Bob Kelso (1) is now disabled\n");
    assert_eq!(
        admin.output(&["investigator", "disable", &bob]),
        "Bob Kelso (1) is already disabled\n"
    );
    assert_eq!(
        admin.output(&["investigator", "enable", "Bob Kelso"]),
        "Bob Kelso (1) is now active\n"
    );

    let again = admin.run(&["investigator", "add", "Eve", "--key", "bob.asc"]);
    fails(&again, 65, &["Bob Kelso (1)", &bob]);
    fails(&admin.run(&["investigator", "show", "Eve"]), 66, &["no investigator Eve"]);
    let other = key(&admin, "other.asc", "rsa2048", "never");
    let limited = ["--key", "other.asc", "--permissions", "search,admin"];
    let added = admin.output(&[&["investigator", "add", "Bob Kelso"], &limited[..]].concat());
    assert!(added.starts_with(&format!("added Bob Kelso (2) with the key {other}")), "{added}");
    assert!(added.ends_with(
        "permissions: search, investigator, investigator_create, investigator_update\n"
    ));
    fails(&admin.run(&["investigator", "disable", "Bob Kelso"]), 65, &["2 investigators", "1, 2"]);
    admin.sql("update investigators set name = 'migscheduler' where id = 2");
    fails(&admin.run(&["investigator", "disable", "2"]), 65, &["the scheduler's own"]);
}

fn key_that_the_platform_cannot_verify_is_rejected(kind: DatabaseKind) {
    let admin = Admin::new(kind);
    let add = |file: &str| admin.run(&["investigator", "add", "Eve", "--key", file]);
    key(&admin, "ed25519.asc", "ed25519", "never");
    fails(&add("ed25519.asc"), 65, &["ed25519.asc", "use an RSA key"]);
    key(&admin, "expired.asc", "rsa2048", "seconds=1");
    let is_expired = |said: &CommandOutput| said.err.contains("is expired");
    let begun = std::time::Instant::now();
    // The key expires after a second, but GnuPG may notice later.
    let said = loop {
        let said = add("expired.asc");
        if is_expired(&said) {
            break said;
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{said:?}");
        admin.sql("delete from investigators");
    };
    fails(&said, 65, &["expired.asc", "extend it"]);
    key(&admin, "rsa.asc", "rsa2048", "never");
    let both = admin.home.read("rsa.asc") + &admin.home.read("ed25519.asc");
    admin.home.write("both.asc", &both);
    fails(&add("both.asc"), 65, &["2 public keys"]);
    admin.home.write("none.asc", "no key\n");
    fails(&add("none.asc"), 65, &["no armored public key", "gpg --armor --export"]);
    let whole = admin.home.read("rsa.asc");
    admin.home.write("half.asc", &whole[..whole.len() / 2]);
    fails(&add("half.asc"), 65, &["half.asc", "its END line is missing", "gpg --armor --export"]);
    let damaged: Vec<&str> =
        whole.lines().enumerate().filter(|line| line.0 != 5).map(|line| line.1).collect();
    admin.home.write("damaged.asc", &damaged.join("\n"));
    fails(&add("damaged.asc"), 65, &["damaged.asc", "its checksum is"]);
    let secret = admin.home.gpg(&["--armor", "--export-secret-keys", "rsa.asc"]);
    admin.home.write("secret.asc", &String::from_utf8(secret.stdout).unwrap());
    fails(&add("secret.asc"), 65, &["secret key"]);
    fails(&add("missing.asc"), 66, &["missing.asc", "No such file"]);
    fails(
        &admin.run(&["investigator", "add", "Eve", "--key", "rsa.asc", "--permissions", "root"]),
        64,
        &["\"root\" is not a permission"],
    );
    fails(&admin.run(&["investigator", "add", "17", "--key", "rsa.asc"]), 65, &["a number"]);
    fails(&admin.run(&["investigator", "add", "Eve"]), 64, &["required"]);
    assert_eq!(admin.json(&["investigator", "list", "--json"]), serde_json::json!([]));
}

fn fingerprint_suffices_and_the_key_may_follow(kind: DatabaseKind) {
    let admin = Admin::new(kind);
    let bob = key(&admin, "bob.asc", "rsa2048", "never");
    let spaced = format!("{} {}", &bob[..20], &bob[20..]);
    let added = admin.output(&["investigator", "add", "Bob", "--fingerprint", &spaced]);
    assert!(
        added.starts_with(&format!("added Bob (1) with the key {bob}, permissions: ")),
        "{added}"
    );
    let shown = admin.json(&["investigator", "show", "--json", "Bob"]);
    assert_eq!(shown["publickey"], admin.home.read("bob.asc"));

    let unknown = "E60892BB9BD89A69F759A1A0A3D652173B763E8F";
    let said = admin.run(&["investigator", "add", "Ann", "--fingerprint", unknown]);
    assert_eq!(said.exit, 0, "{said:?}");
    assert!(
        said.out.contains("with only the fingerprint") && said.out.contains("permissions: search"),
        "{said:?}"
    );
    assert!(said.err.contains("again with --key"), "{said:?}");
    fails(
        &admin.run(&["investigator", "add", "Ann", "--fingerprint", unknown]),
        65,
        &["Ann (2) already has the key"],
    );
    fails(
        &admin.run(&["investigator", "add", "Ann", "--fingerprint", "E608"]),
        65,
        &["40 hexadecimal digits"],
    );
    admin.sql(&format!(
        "delete from investigators where id = 1; \
         update investigators set pgpfingerprint = '{bob}' where id = 2"
    ));
    let given = admin.output(&["investigator", "add", "Ann", "--key", "bob.asc"]);
    assert_eq!(given, format!("added the key {bob} to the existing investigator Ann (2)\n"));
    assert_eq!(
        admin.json(&["investigator", "show", "--json", "Ann"])["publickey"],
        admin.home.read("bob.asc")
    );
}

#[test]
fn key_is_checked_without_a_gnupg_home() {
    let admin = Admin::new(DatabaseKind::File);
    let bob = key(&admin, "bob.asc", "rsa2048", "never");
    std::fs::create_dir(admin.home.path("t")).unwrap();
    let add = ["-c", "a.cfg", "investigator", "add", "Bob", "--key", "bob.asc"];
    let mut command = admin.command(&add);
    let said =
        CommandOutput::of(command.env("GNUPGHOME", "none").env("TMPDIR", admin.home.path("t")));
    assert!(said.exit == 0 && said.out.contains(&bob), "{said:?}");
    assert!(!admin.home.path("none").exists());
    assert_eq!(names(&admin.home.path("t")), [""; 0]);
}

fn api_key_is_shown_once(kind: DatabaseKind) {
    let admin = Admin::new(kind);
    admin.sql("insert into investigators (name, pgpfingerprint) values ('Bob', 'AB')");
    assert!(admin.output(&["investigator", "show", "Bob"]).contains("\n  API key      none\n"));
    let said = admin.run(&["investigator", "apikey", "Bob"]);
    assert_eq!(said.exit, 0, "{said:?}");
    let key = said.out.trim_end();
    assert!(key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{said:?}");
    assert!(!said.err.contains(key) && said.err.contains("shown only once"), "{said:?}");
    let shown = admin.output(&["investigator", "show", "--json", "Bob"]);
    assert!(!shown.contains(key), "{shown}");
    assert!(admin.output(&["investigator", "show", "Bob"]).contains("\n  API key      stored\n"));
    assert_ne!(admin.output(&["investigator", "apikey", "Bob"]).trim_end(), key);
    fails(&admin.run(&["investigator", "apikey", "Eve"]), 66, &["Eve"]);
}

fn access_list_contains_active_investigators(kind: DatabaseKind) {
    let admin = Admin::new(kind);
    admin.sql(
        "insert into investigators (name, pgpfingerprint) values ('migscheduler', 'F1');
         insert into investigators (name, pgpfingerprint) values ('Bob', 'F2');
         insert into investigators (name, pgpfingerprint) values ('Ann', 'F3')",
    );
    admin.output(&["investigator", "disable", "Ann"]);
    let acl = admin.output(&["investigator", "acl"]);
    assert_eq!(
        acl,
        r#"{
  "default": {
    "minimumweight": 1,
    "investigators": {
      "Bob": {
        "fingerprint": "F2",
        "weight": 1
      }
    }
  },
  "agentdestroy": {
    "minimumweight": 1,
    "investigators": {
      "migscheduler": {
        "fingerprint": "F1",
        "weight": 1
      }
    }
  }
}
"#
    );
    fails(
        &admin.run(&["investigator", "acl", "--minimumweight", "2"]),
        65,
        &["2 signatures", "1 active"],
    );
    fails(&admin.run(&["investigator", "acl", "--minimumweight", "0"]), 64, &["0"]);
}

fn permissions_are_set_added_and_removed(kind: DatabaseKind) {
    let admin = Admin::new(kind);
    admin.sql(
        "insert into investigators (name, pgpfingerprint, permissions) values ('Bob', 'F1', 1)",
    );
    let permit =
        |options: &[&str]| admin.run(&[&["investigator", "permissions"], options].concat());
    let said = permit(&["Bob", "--add", "agent, command", "--remove", "search"]);
    assert_eq!(said.out, "Bob (1) had: search; now has: command, agent\n", "{said:?}");
    let said = permit(&["1", "--remove", "search,loaders"]);
    assert_eq!(said.out, "Bob (1) already has: command, agent\n", "{said:?}");
    let said = permit(&["F1", "--set", "none"]);
    assert_eq!(said.exit, 66, "a fingerprint has 40 digits: {said:?}");
    let said = permit(&["Bob", "--set", "default"]);
    let default = "search, action, action_create, command, agent, dashboard";
    assert_eq!(said.out, format!("Bob (1) had: command, agent; now has: {default}\n"));
    let shown = admin.json(&["investigator", "show", "--json", "Bob"]);
    assert_eq!(shown["permissions"].as_array().unwrap().len(), 6);

    fails(&permit(&["Bob", "--add", "serach"]), 64, &["did you mean search?"]);
    fails(&permit(&["Bob"]), 64, &["required"]);
    fails(&permit(&["Bob", "--set", "all", "--add", "agent"]), 64, &["cannot be used with"]);
    fails(
        &permit(&["Bob", "--add", "admin", "--remove", "investigator"]),
        64,
        &["both contain: investigator"],
    );
    fails(&permit(&["Eve", "--add", "agent"]), 66, &["no investigator Eve"]);

    // Bits without a name stay when others are added, and go when all are set.
    admin.sql("update investigators set permissions = 524289 where id = 1");
    let said = permit(&["Bob", "--add", "agent"]);
    assert_eq!(
        said.out,
        "Bob (1) had: search (number 524289); now has: search, agent (number 524305)\n"
    );
    admin.sql("update investigators set permissions = -1 where id = 1");
    let said = permit(&["Bob", "--set", "search"]);
    assert!(said.out.ends_with(" (number -1); now has: search\n"), "{said:?}");
    if kind == DatabaseKind::File {
        admin.sql("update investigators set permissions = 'many' where id = 1");
        fails(&permit(&["Bob", "--add", "agent"]), 65, &["cannot be read: use --set"]);
        let said = permit(&["Bob", "--set", "agent"]);
        assert_eq!(said.out, "Bob (1) had: an unreadable value; now has: agent\n", "{said:?}");
    }
    admin.sql("update investigators set name = 'migscheduler' where id = 1");
    fails(&permit(&["1", "--add", "agent"]), 65, &["the scheduler's own"]);
}
