//! Silent hosts and duplicate agents in a large fleet, on PostgreSQL with the platform's indexes.

use std::process::Command;
use std::time::Instant;

use crate::cluster::TestDatabase;
use crate::{Bench, Row, TIMES, median};

/// Time limit of each command.
const LIMIT_SECONDS: f64 = 1.0;
/// Fills the table: 100,000 agents over 99,500 hosts. Of each hundred, one is silent for hours,
/// three for weeks, and one for longer than the default of --seen; 500 queues have two agents.
const FLEET: &str = "
    insert into agents (id, name, queueloc, mode, version, pid, starttime, heartbeattime, refreshtime,
                        status, environment, tags)
    select n, 'host' || host || '.example.net', 'linux.host' || host || '.' || repeat(md5(host::text), 3),
           'daemon', '20251122-0.9e7e4f52.prod', 7, now() - interval '40 days',
           now() - case n % 100 when 0 then interval '2 hours'
                                when 1 then interval '8 days' when 2 then interval '15 days'
                                when 3 then interval '29 days' when 4 then interval '35 days'
                                else interval '1 second' * (n % 240) end,
           now(), 'online', json_build_object('os', 'linux', 'ident', repeat('x', 500)), '{}'
    from generate_series(1, 100000) as n, lateral (select n % 99500 as host) as hosts;
    analyze agents";
/// The measured commands, each with the query of its first page and the parameters of that query.
const QUERIES: [(&str, &str, &[&str]); 2] = [
    (
        "offline",
        include_str!("../../src/data/queries/silent_hosts.sql"),
        &["now() - interval '30 days'", "now() - interval '5 minutes'", "50000"],
    ),
    (
        "double",
        include_str!("../../src/data/queries/duplicate_agents.sql"),
        &["now() - interval '10 minutes'", "50000"],
    ),
];
/// The placeholders in the queries, with their values for PostgreSQL.
const WORDS: [(&str, &str); 3] = [
    ("{after}", "1 = 1"),
    (
        "{unreadable}",
        "(heartbeattime < '0001-01-01 00:00:00+00' or heartbeattime >= '10000-01-01 00:00:00+00' \
          or heartbeattime is null)",
    ),
    (
        "{readable}",
        "(heartbeattime >= '0001-01-01 00:00:00+00' and heartbeattime < '10000-01-01 00:00:00+00')",
    ),
];

/// Measures the whole command, and shows the server's plan of its query.
pub(crate) fn agents(_bench: &Bench) -> Vec<Row> {
    let home = tempfile::tempdir().expect("a folder");
    let database = TestDatabase::new();
    let config = home.path().join("a.cfg");
    std::fs::write(&config, database.section()).expect("a configuration");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mig-data"));
        let output = command.arg("-c").arg(&config).args(arguments).output().expect("mig-data");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    run(&["schema", "init"]);
    let mut client = database.connect();
    client.batch_execute(FLEET).expect("a fleet");
    let measured = QUERIES.map(|(which, query, values)| {
        let mut rows = 0;
        let times = (0..TIMES).map(|_| {
            let begun = Instant::now();
            rows = run(&["agents", which]).lines().count() - 1;
            begun.elapsed().as_secs_f64()
        });
        let seconds = median(times.collect());
        let mut text = query.to_owned();
        for (word, meaning) in WORDS {
            text = text.replace(word, meaning);
        }
        for (at, value) in values.iter().enumerate() {
            text = text.replace(&format!("${}", at + 1), value);
        }
        let plan = client.query(&format!("explain (analyze, costs off) {text}"), &[]);
        let plan: Vec<String> = plan
            .expect("a plan")
            .iter()
            .map(|line| format!("\n      {}", line.get::<_, &str>(0)))
            .collect();
        let what = format!("100,000 agents on PostgreSQL: {which}");
        Row::at_most(&what, seconds, "s", LIMIT_SECONDS).with(format!("({rows}){}", plan.concat()))
    });
    measured.into()
}
