//! The API without a socket, with the recorded requests to a real platform and further ones.

#![expect(clippy::disallowed_methods, reason = "a test moves a folder away")]

mod damaged_rows;
mod database;
mod differences;
mod investigators;
mod large_pages;
mod recorded_state;
mod recording;
mod refused_actions;
mod repeats;
mod replay;
mod rows;
mod short_signatures;
mod single_resources;

use database::TestDatabase;
use recording::Exchange;

use super::*;
use crate::clock::testing::TestClock;
use crate::data::Permissions;
use crate::data::testing::DatabaseKind as Kind;
use crate::disk::{COMMAND_PREFIX, Disk, RealFs};
use crate::pgp::{self, Verifier};
use crate::testing::Logged;

/// The key of the recordings' investigator.
const FINGERPRINT: &str = "2CA9781D5F6BC6C6873ABDF631F89439081B6A31";

/// GnuPG's options for the recordings' key, which is newer than the clock of some machines.
const NO_CLOCK: &str = "ignore-time-conflict\nignore-valid-from\nno-autostart\n";

/// An API on a database.
struct Rig {
    database: TestDatabase,
    clock: Arc<TestClock>,
    api: Api,
    logged: Logged,
    folder: tempfile::TempDir,
}

impl Rig {
    /// Returns an API whose only investigator is the one of the recordings.
    fn new() -> Rig {
        let rig = Rig::on(Kind::Sqlite);
        let key = Exchange::of("01-publickey").answer;
        rig.import(key.as_bytes(), NO_CLOCK);
        let created = "2026-11-22T00:52:55.039818Z".parse().unwrap();
        rig.api
            .store
            .insert_investigator(
                "runner",
                FINGERPRINT,
                key.as_bytes(),
                Permissions::RUNNER,
                created,
            )
            .unwrap();
        rig
    }

    /// Returns an API without investigators.
    fn on(kind: Kind) -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), COMMAND_PREFIX);
        let home = folder.path().join("gnupg");
        disk.make_folder(&home).unwrap();
        let database = TestDatabase::new(kind);
        let begin = "2026-11-22T00:52:55Z".parse().unwrap();
        let logged = Logged::default();
        let log = logged.logger();
        let store = || Arc::clone(&database.store);
        let clock = Arc::new(TestClock::new(begin));
        let api = Api {
            store: store(),
            signers: Arc::new(Signers::new(store(), Verifier::new(&home), log.clone())),
            ids: Arc::new(Ids::new(begin, Id::new(28_052_900_000_000))),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            local_queue: "linux.this-host".to_owned(),
            base: "http://127.0.0.1:51664".to_owned(),
            hosts: HostNames::default(),
            repeats: Repeats::default(),
            log,
        };
        Rig { database, clock, api, logged, folder }
    }

    /// Imports a key without checking it, with these options of GnuPG.
    fn import(&self, key: &[u8], options: &str) {
        let verifier = Verifier::new(&self.folder.path().join("gnupg"));
        pgp::testing::keyring::import_for(&verifier, key, options);
    }

    fn answer(&self, exchange: &Exchange) -> ApiResponse {
        self.clock.set(exchange.time);
        self.send(exchange.request(), &Body::Whole(exchange.body.clone().into_bytes()))
    }

    /// Sends a request through all stages, as the server does.
    fn send(&self, request: ApiRequest, body: &Body) -> ApiResponse {
        let admitted = self.api.route(request).and_then(|routed| self.api.admit(routed));
        match admitted {
            Ok(admitted) => self.api.answer(&admitted, body),
            Err(refused) => refused,
        }
    }
}

fn header<'a>(answer: &'a ApiResponse, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

#[test]
fn action_signed_twice_by_one_investigator_is_not_stored() {
    let rig = Rig::new();
    let highest = rig.api.store.highest_id().unwrap();
    assert_eq!(rig.answer(&Exchange::of("03-sig-duplicated")).status, 500);
    assert_eq!(rig.api.store.highest_id().unwrap(), highest);
}

#[test]
fn disabled_or_unprivileged_investigator_is_refused() {
    let mut rig = Rig::new();
    let post = Exchange::of("04-client-set-id");
    assert_eq!(rig.answer(&post).status, 202);
    rig.database.run("update investigators set permissions = 59;");
    let answer = rig.answer(&post);
    assert_eq!(answer.status, 401);
    assert!(answer.body.contains("Insufficient permissions to access endpoint"), "{}", answer.body);
    rig.database.run("update investigators set permissions = 63, status = 'disabled';");
    let answer = rig.answer(&post);
    assert_eq!(answer.status, 401);
    assert!(answer.body.contains("signature made by unknown entity"), "{}", answer.body);
}

#[test]
fn body_that_is_too_long_is_refused() {
    let rig = Rig::new();
    let exchange = Exchange::of("04-client-set-id");
    rig.clock.set(exchange.time);
    let answer = rig.send(exchange.request(), &Body::TooLarge);
    assert!(answer.status == 500 && answer.body.contains("http: POST too large"), "{answer:?}");
}

#[test]
fn paths_have_a_canonical_form() {
    for (path, expected) in [
        ("/", "/"),
        ("//", "/"),
        ("/api/v1/./search", "/api/v1/search"),
        ("/api/../v1//x/", "/v1/x/"),
        ("/../..", "/"),
    ] {
        assert_eq!(super::canonical(path), expected, "{path}");
    }
}

fn agents(rig: &Rig) -> Vec<crate::data::AgentRow> {
    rig.api.store.live_agents().map(Result::unwrap).collect()
}

fn post_heartbeat(rig: &Rig, change: impl FnOnce(&mut serde_json::Value)) -> (u16, String) {
    let exchange = Exchange::of("00-agent-heartbeat-post");
    let mut body = serde_json::from_str(&exchange.body).unwrap();
    change(&mut body);
    let answer = rig.answer(&Exchange { body: body.to_string(), ..exchange });
    (answer.status, answer.body)
}

#[test]
fn heartbeat_is_stored_as_the_original_stores_it() {
    let rig = Rig::new();
    for version in ["ghost-1", "ghost-2"] {
        let (status, body) = post_heartbeat(&rig, |agent| agent["version"] = version.into());
        assert_eq!((status, body.as_str()), (200, "{\"error\":null}\n"));
    }
    let agents = agents(&rig);
    assert_eq!(agents.len(), 1, "one row per queue");
    let recorded = Exchange::of("09-search-command-agentname-case").values();
    let recorded: serde_json::Value = serde_json::from_str(recorded[0].1.get()).unwrap();
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(json(&agents[0].environment), recorded["agent"]["environment"]);
    assert_eq!(json(&agents[0].tags), recorded["agent"]["tags"]);
    assert_eq!((agents[0].version.as_str(), agents[0].pid), ("ghost-2", 40001));
}

#[test]
fn heartbeat_for_the_local_agent_or_with_invalid_text_is_not_stored() {
    let rig = Rig::new();
    let own = rig.api.local_queue.as_str();
    assert_eq!(post_heartbeat(&rig, |agent| agent["queueLoc"] = own.into()).0, 200);
    for (field, value) in [("name", "a\0b".to_owned()), ("mode", "x".repeat(2049))] {
        let (status, body) = post_heartbeat(&rig, |agent| agent[field] = value.into());
        assert!(status == 400 && body.contains(field), "{body}");
    }
    let (status, body) = post_heartbeat(&rig, |agent| agent["pid"] = "x".into());
    assert!(status == 400 && body.contains("Failed to decode request body: "), "{body}");
    assert_eq!(agents(&rig), []);
}

#[test]
fn each_field_of_a_heartbeat_has_a_limit() {
    let rig = Rig::new();
    let tag =
        |name: usize, value: &str| serde_json::json!({"name": name.to_string(), "value": value});
    let tags = |count: usize, value: &str| {
        serde_json::Value::from((0..count).map(|name| tag(name, value)).collect::<Vec<_>>())
    };
    let long = "x".repeat(9 << 10);
    let addresses = vec!["192.0.2.1/24"; 1000];
    for (field, part, value) in [
        ("environment", Some("os"), long.clone().into()),
        ("environment", Some("addresses"), addresses.into()),
        ("environment", Some("modules"), vec![long.clone()].into()),
        // As sent, each of these characters has six bytes.
        ("environment", Some("ident"), "<".repeat(1400).into()),
        ("tags", None, tags(1, &"&".repeat(400))),
        ("name", None, "\u{1}".repeat(400).into()),
        ("tags", None, tags(65, "x")),
        ("tags", None, tags(1, &long)),
        ("tags", None, tags(60, &"x".repeat(30))),
        ("name", None, "x".repeat(2049).into()),
        ("version", None, "x".repeat(2049).into()),
        ("queueLoc", None, "x".repeat(2049).into()),
    ] {
        let (status, body) = post_heartbeat(&rig, |agent| match part {
            Some(part) => agent[field][part] = value,
            None => agent[field] = value,
        });
        assert!(status == 400 && body.contains(&format!("Failed to read field {field}")), "{body}");
    }
    assert_eq!(agents(&rig), []);
    let (status, body) = post_heartbeat(&rig, |agent| {
        // A host with many containers.
        agent["environment"]["addresses"] = vec!["fe80::42:acff:fe11:2/64"; 250].into();
        agent["tags"] = tags(64, &"x".repeat(20));
    });
    assert_eq!(status, 200, "{body}");
    let exchange = Exchange::of("00-agent-heartbeat-post");
    let answer = rig.send(exchange.request(), &Body::TooLarge);
    assert!(answer.status == 400 && answer.body.contains("request body too large"), "{answer:?}");
}

#[test]
fn heartbeat_with_a_nul_in_its_json_is_not_stored() {
    let rig = Rig::new();
    let tag = |name: &str, value: &str| serde_json::json!([{"name": name, "value": value}]);
    for (field, part, value) in [
        ("environment", Some("os"), "a\0".into()),
        ("environment", Some("addresses"), vec!["\\\0"].into()),
        ("tags", None, tag("\0", "b")),
        ("tags", None, tag("a", "\0")),
    ] {
        let (status, body) = post_heartbeat(&rig, |agent| match part {
            Some(part) => agent[field][part] = value,
            None => agent[field] = value,
        });
        assert!(status == 400 && body.contains(&format!("Failed to read field {field}")), "{body}");
    }
    assert_eq!(agents(&rig), []);
    // These characters only look like an escaped NUL.
    let (status, body) = post_heartbeat(&rig, |agent| {
        agent["environment"]["os"] = r"\u0000".into();
        agent["tags"] = tag(r"\\u0000", r"u0000\");
    });
    assert_eq!(status, 200, "{body}");
}

#[test]
fn number_of_agents_is_limited() {
    let mut rig = Rig::new();
    let begin = Exchange::of("00-agent-heartbeat-post").time;
    let insert = |rig: &mut Rig, first: i64, time: jiff::Timestamp| {
        let mut statements = String::new();
        for id in first..first + 500 {
            statements.push_str(&format!(
                "insert into agents (id, name, queueloc, mode, version, pid, starttime, \
                 heartbeattime, refreshtime, status, environment, tags) values ({id}, 'a', 'q{id}', \
                 'm', 'v', 1, '{time}', '{time}', '{time}', 'offline', '{{}}', '{{}}');"
            ));
        }
        rig.database.run(&statements);
    };
    // These are kept, because they have answered commands.
    insert(&mut rig, 1, begin - jiff::SignedDuration::from_hours(25));
    rig.api.store.insert_action(&crate::data::tests::action(5000), &[]).unwrap();
    let answered = "insert into commands (id, actionid, agentid, status, results, starttime, \
                    finishtime) select 6000 + id, 5000, id, 'success', '[]', starttime, starttime \
                    from agents;";
    rig.database.run(answered);
    insert(&mut rig, 1001, begin - jiff::SignedDuration::from_hours(23));
    let (status, body) = post_heartbeat(&rig, |agent| agent["queueLoc"] = "q-new".into());
    assert_eq!(status, 200, "{body}");
    // These are silent, but not removed before the end of the action.
    insert(&mut rig, 2001, begin - jiff::SignedDuration::from_hours(25));
    rig.database.run(
        &answered
            .replace("'success'", "'sent'")
            .replace("from agents", "from agents where id > 2000"),
    );
    let (status, body) = post_heartbeat(&rig, |agent| agent["queueLoc"] = "q-other".into());
    assert!(status == 500 && body.contains("already has 1000 agents"), "{body}");
    // A known agent can still send its heartbeats.
    let (status, body) = post_heartbeat(&rig, |agent| agent["queueLoc"] = "q-new".into());
    assert_eq!(status, 200, "{body}");
}

#[test]
fn investigators_are_found_by_name_and_shown_with_permission() {
    let mut rig = Rig::new();
    let ask = |rig: &Rig, path: &str| {
        let path = format!("/api/v1/{path}");
        rig.answer(&Exchange { path, ..Exchange::of("10-search-investigator") })
    };
    let answer = ask(&rig, "search?type=investigator&investigatorname=RUN%25");
    assert!(answer.status == 200 && answer.body.contains(FINGERPRINT), "{}", answer.body);
    assert!(!answer.body.contains("publickey"));
    assert_eq!(ask(&rig, "search?type=investigator&investigatorname=nosuch").status, 404);
    assert_eq!(ask(&rig, "investigator?investigatorid=1").status, 401);
    rig.database.run("update investigators set permissions = 65536;");
    let answer = ask(&rig, "investigator?investigatorid=1");
    assert!(
        answer.status == 200 && answer.body.contains("\"publickey\":\"LS0tLS1C"),
        "{}",
        answer.body
    );
    let answer = ask(&rig, "investigator?investigatorid=9");
    assert!(answer.status == 404 && answer.body.contains("Investigator ID '9' not found"));
}

#[test]
fn request_that_cannot_be_checked_now_gets_status_503() {
    let rig = Rig::new();
    let (home, away) = (rig.folder.path().join("gnupg"), rig.folder.path().join("away"));
    let exchange = Exchange::of("04-client-set-id");
    std::fs::rename(&home, &away).unwrap();
    let answer = rig.answer(&exchange);
    let text = recording::message(&answer.body);
    assert!(answer.status == 503 && text.starts_with("the request was not judged: "), "{answer:?}");
    std::fs::rename(&away, &home).unwrap();
    assert_eq!(rig.answer(&exchange).status, 202);
}
