//! `actions` and `commands`: lists of actions, and the answers to one of them.

use super::{Admin, DatabaseKind, ago, fails, on_each_database};

on_each_database!(
    actions_and_answers_are_listed,
    list_is_limited_and_filtered_by_status,
    age_counts_from_the_start_of_an_action,
);

fn action(admin: &Admin, id: i64, name: &str, status: &str) {
    let (from, until) = (ago(7), ago(2));
    admin.sql(&format!(
        "insert into actions (id, name, target, description, threat, operations, validfrom, expireafter, \
         starttime, finishtime, lastupdatetime, status, syntaxversion, pgpsignatures) values \
         ({id}, '{name}', 'status=''online''', '{{}}', '{{}}', '[{{\"module\":\"file\"}}]', '{from}', \
         '{until}', '{from}', '9998-01-11T11:11:11.000000Z', '{from}', '{status}', 2, '[\"s\"]')"
    ));
}

/// Inserts a command with its results.
fn command(admin: &Admin, id: i64, agent: i64, status: &str, results: &str) {
    let begin = ago(7);
    let end = if status == "sent" { "9998-01-11T11:11:11.000000Z".to_owned() } else { ago(6) };
    admin.sql(&format!(
        "insert into commands (id, actionid, agentid, status, results, starttime, finishtime) values \
         ({id}, 28052712325240, {agent}, '{status}', '{results}', '{begin}', '{end}')"
    ));
}

fn actions_and_answers_are_listed(kind: DatabaseKind) {
    let admin = Admin::new(kind);
    action(&admin, 28_052_712_325_200, "an older one", "completed");
    action(&admin, 28_052_712_325_240, "mig-runner: setuid", "inflight");
    for (agent, name) in [(1, "web1"), (2, "web2"), (3, "web3"), (4, "web4")] {
        admin.agent(agent, name, &format!("linux.{name}"), "online", 1);
    }
    command(&admin, 21, 1, "success", r#"[{"foundanything":true,"success":true}]"#);
    command(&admin, 22, 2, "success", r#"[{"foundanything":false,"success":true}]"#);
    command(&admin, 23, 3, "failed", "null");
    command(&admin, 24, 4, "sent", "[]");
    admin.sql(
        "insert into investigators (name, pgpfingerprint) values ('Bob', 'F1');
         insert into signatures (actionid, investigatorid, pgpsignature) values (28052712325240, 1, 's')",
    );
    // The age grows while the test runs.
    let listed = admin.output(&["actions"]);
    let rows: Vec<Vec<&str>> =
        listed.lines().map(|line| line.split('|').skip(1).map(str::trim).collect()).collect();
    assert!(rows[1..].iter().all(|row| row[2].starts_with("7m")), "{listed}");
    assert_eq!(
        rows.iter().map(|row| [row[0], row[1], row[3], row[4]]).collect::<Vec<_>>(),
        [
            ["action", "status", "done", "name"],
            ["28052712325240", "inflight", "3/4", "mig-runner: setuid"],
            ["28052712325200", "completed", "0/0", "an older one"],
        ]
    );
    let output = admin.output(&["commands", "28052712325240"]);
    for line in [
        "action 28052712325240\n",
        "\n  name       mig-runner: setuid\n",
        "\n  target     status='online'\n",
        "\n  signed by  Bob (1)\n",
        "\n  finished   -\n",
        "\n  commands   4: 1 sent, 2 success, 1 failed\n",
        "\n\n| status    | took   | found | agent\n",
        "\n| success   | 1m     | yes   | web1\n| success   | 1m     | no    | web2\n",
        "\n| failed    | 1m     | -     | web3\n| sent      | -      | -     | web4\n",
    ] {
        assert!(output.contains(line), "no {line:?} in {output}");
    }
    assert!(output.lines().all(|line| line.chars().count() <= 80), "{output}");
    let whole = admin.json(&["commands", "--json", "28052712325240"]);
    assert_eq!(whole["counters"]["success"], 2);
    assert_eq!(whole["operations"][0]["module"], "file");
    assert_eq!(whole["commands"][0]["agent"], "web1");
    assert_eq!(
        (&whole["commands"][0]["found"], &whole["commands"][1]["found"]),
        (&true.into(), &false.into())
    );
    assert!(whole["commands"][3]["finishtime"].is_null() && whole["finishtime"].is_null());
    assert_eq!(whole["commands"].as_array().unwrap().len(), 4);
    let none = admin.json(&["commands", "--json", "28052712325200"]);
    assert_eq!(none["commands"], serde_json::json!([]));
    fails(&admin.run(&["commands", "7"]), 66, &["no action 7", "mig-data -c a.cfg actions`"]);
    fails(&admin.run(&["commands", "seven"]), 64, &["seven"]);
}

/// Returns the age of the first action in the list, which grows while the test runs.
fn age_of_first(admin: &Admin) -> String {
    let output = admin.output(&["actions", "-n", "1"]);
    let line = output.lines().nth(1).unwrap();
    line.split('|').nth(3).unwrap().trim().to_owned()
}

fn list_is_limited_and_filtered_by_status(kind: DatabaseKind) {
    let admin = Admin::new(kind);
    for id in 1..=25 {
        action(&admin, id, "n", if id % 5 == 0 { "invalid" } else { "completed" });
    }
    let ids = |arguments: &[&str]| {
        let list = admin.json(&[&["actions", "--json"], arguments].concat());
        let ids = list.as_array().unwrap().iter().map(|action| action["id"].as_i64().unwrap());
        ids.collect::<Vec<i64>>()
    };
    assert_eq!(ids(&[]).len(), 20);
    assert_eq!(ids(&["-n", "2"]), [25, 24]);
    assert_eq!(ids(&["--status", "invalid"]), [25, 20, 15, 10, 5]);
    assert_eq!(ids(&["-n", "100"]).len(), 25);
    fails(&admin.run(&["actions", "--status", "done"]), 64, &["pending, scheduled"]);
}

/// Clients date an action back by a minute when they send it.
fn age_counts_from_the_start_of_an_action(kind: DatabaseKind) {
    let admin = Admin::new(kind);
    action(&admin, 1, "n", "inflight");
    admin.sql(&format!("update actions set validfrom = '{}', starttime = '{}'", ago(8), ago(6)));
    assert!(age_of_first(&admin).starts_with("6m"), "{}", age_of_first(&admin));
    // An action that was not taken up has the special start that means "not started".
    admin.sql("update actions set status = 'pending', starttime = '0009-01-11T11:11:11.000000Z'");
    assert!(age_of_first(&admin).starts_with("7m"), "{}", age_of_first(&admin));
}
