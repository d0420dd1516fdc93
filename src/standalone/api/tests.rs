//! Every request here was sent to a real platform, whose answer was recorded. Ours must
//! be the same, byte for byte, but for ids, times and what the real one does wrong.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;
use crate::clock::testing::TestClock;
use crate::data::{ActionRow, AgentRow, CommandStatus, Permissions, Signed};
use crate::disk::{Disk, HAND_PREFIX, RealFs};
use crate::pgp::Verifier;

const EXCHANGES: &str = include_str!("../../../tests/data/http-platform/exchanges.json");
const FINGERPRINT: &str = "2CA9781D5F6BC6C6873ABDF631F89439081B6A31";

/// Where ours does better, and what it answers instead.
const MENDED: [(&str, u16, &str); 6] = [
    // A search without a parameter is a search for all.
    ("07-auth-search-token-9min-old-ok", 200, ""),
    ("07-auth-search-token-fractional-seconds", 200, ""),
    ("07-auth-search-token-nonce-nonnumeric-ok", 200, ""),
    ("09-search-command-nofilter", 200, ""),
    ("10-search-action-nofilter", 200, ""),
    // The key of the second signer is not among ours.
    ("03-sig-two-signers", 500, "VerifySignatures() -> openpgp: signature made by unknown entity"),
];

#[derive(Debug, Deserialize)]
struct Exchange {
    label: String,
    time: Timestamp,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    status: u16,
    kind: Option<String>,
    location: Option<String>,
    answer: String,
}

impl Exchange {
    fn all() -> Vec<Exchange> {
        serde_json::from_str(EXCHANGES).unwrap()
    }

    fn of(label: &str) -> Exchange {
        Exchange::all().into_iter().find(|exchange| exchange.label == label).unwrap()
    }

    fn request(&self) -> Request {
        let (path, query) = match self.path.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (self.path.as_str(), None),
        };
        let lower = |(name, value): &(String, String)| (name.to_lowercase(), value.clone());
        Request {
            method: self.method.clone(),
            path: path.to_owned(),
            query,
            headers: self.headers.iter().map(lower).collect(),
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            body: Body::Whole(self.body.clone().into_bytes()),
        }
    }
}

/// An API with the database of the recordings, as far as the requests see it.
struct Rig {
    folder: tempfile::TempDir,
    clock: Arc<TestClock>,
    api: Api,
}

impl Rig {
    fn new() -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), HAND_PREFIX);
        let home = folder.path().join("gnupg");
        disk.make_folder(&home).unwrap();
        // The recordings' key is younger than the clock of some machines.
        disk.create(&home.join("gpg.conf"), b"ignore-time-conflict\nignore-valid-from\n").unwrap();
        let store = Arc::new(Store::open(&disk, &folder.path().join("mig.db")).unwrap());
        let created = "2026-11-22T00:52:55.039818Z".parse().unwrap();
        let key = Exchange::of("01-publickey").answer;
        store
            .insert_investigator(
                "runner",
                FINGERPRINT,
                key.as_bytes(),
                Permissions::RUNNER,
                created,
            )
            .unwrap();
        let log = slog::Logger::root(slog::Discard, slog::o!());
        let signers = Signers::new(Arc::clone(&store), Verifier::new(&home), log.clone());
        let clock = Arc::new(TestClock::new(created));
        let api = Api {
            store,
            signers: Arc::new(signers),
            ids: Arc::new(Ids::new(created, Id::new(28_052_712_325_124))),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            base: "http://127.0.0.1:51664".to_owned(),
            log,
        };
        Rig { folder, clock, api }
    }

    fn answer(&self, exchange: &Exchange) -> Answer {
        self.clock.set(exchange.time);
        self.api.answer(&exchange.request())
    }

    /// Puts actions, commands and agents of a recorded answer into the database.
    fn seed(&self, label: &str) {
        let answer: Answered = serde_json::from_str(&Exchange::of(label).answer).unwrap();
        for item in answer.collection.items {
            let datum = item.data.into_iter().next().unwrap();
            match datum.name.as_str() {
                "action" => {
                    self.seed_action(datum.value.get());
                    self.seed_answer(datum.value.get());
                }
                "command" => self.seed_command(datum.value.get()),
                _ => {}
            }
        }
    }

    fn seed_action(&self, text: &str) {
        let value: Value = serde_json::from_str(text).unwrap();
        let parts: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).unwrap();
        let id = Id::new(value["id"].as_i64().unwrap());
        if self.api.store.action(id).unwrap().is_some() {
            return;
        }
        let owned = |name: &str| value[name].as_str().unwrap().to_owned();
        let time = |name: &str| value[name].as_str().unwrap().parse::<Timestamp>().unwrap();
        let row = ActionRow {
            id,
            name: owned("name"),
            target: owned("target"),
            description: parts["description"].get().to_owned(),
            threat: parts["threat"].get().to_owned(),
            operations: parts["operations"].get().to_owned(),
            validfrom: time("validfrom"),
            expireafter: time("expireafter"),
            starttime: Some(time("starttime")),
            finishtime: Some(time("finishtime")),
            lastupdatetime: Some(time("lastupdatetime")),
            status: value["status"].as_str().unwrap_or("completed").to_owned(),
            syntaxversion: 2,
            pgpsignatures: parts["pgpsignatures"].get().to_owned(),
        };
        let signed = Signed { investigator: Id::new(1), signature: "s".to_owned() };
        self.api.store.insert_action(&row, &[signed]).unwrap();
    }

    /// Puts the one command of an action into the database, of which only the counters were recorded.
    fn seed_answer(&self, text: &str) {
        let value: Value = serde_json::from_str(text).unwrap();
        let time = |name: &str| value[name].as_str().unwrap().parse::<Timestamp>().unwrap();
        let agent = AgentRow {
            id: Id::new(1),
            name: "vm".to_owned(),
            queueloc: "vm".to_owned(),
            mode: "daemon".to_owned(),
            version: "1".to_owned(),
            pid: 1,
            starttime: time("starttime"),
            destructiontime: None,
            heartbeattime: time("starttime"),
            refreshtime: time("starttime"),
            status: "online".to_owned(),
            environment: "{}".to_owned(),
            tags: "{}".to_owned(),
            loadername: String::new(),
        };
        self.api.store.upsert_agent(&agent).unwrap();
        let (action, command) = (Id::new(value["id"].as_i64().unwrap()), Id::new(7));
        let store = &self.api.store;
        store.begin_action(action, &[(command, agent.id)], "[]", time("starttime")).unwrap();
        store.finish_command(command, CommandStatus::Success, "[]", time("starttime")).unwrap();
        store.complete_action(action, time("finishtime")).unwrap();
    }

    fn seed_command(&self, text: &str) {
        let value: Value = serde_json::from_str(text).unwrap();
        let parts: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).unwrap();
        let agent: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(parts["agent"].get()).unwrap();
        self.seed_action(parts["action"].get());
        let id = |value: &Value| Id::new(value["id"].as_i64().unwrap());
        let time = |name: &str| value[name].as_str().unwrap().parse::<Timestamp>().unwrap();
        let row = AgentRow {
            id: id(&value["agent"]),
            name: value["agent"]["name"].as_str().unwrap().to_owned(),
            queueloc: value["agent"]["name"].to_string(),
            mode: "daemon".to_owned(),
            version: value["agent"]["version"].as_str().unwrap().to_owned(),
            pid: 1,
            starttime: time("starttime"),
            destructiontime: None,
            heartbeattime: time("starttime"),
            refreshtime: time("starttime"),
            status: "online".to_owned(),
            environment: agent["environment"].get().to_owned(),
            tags: agent["tags"].get().to_owned(),
            loadername: String::new(),
        };
        self.api.store.upsert_agent(&row).unwrap();
        let commands = [(id(&value), row.id)];
        let action = id(&value["action"]);
        self.api.store.begin_action(action, &commands, "[]", time("starttime")).unwrap();
        let status = CommandStatus::parse(value["status"].as_str().unwrap()).unwrap();
        let results = parts["results"].get();
        self.api.store.finish_command(id(&value), status, results, time("finishtime")).unwrap();
        self.api.store.complete_action(action, time("finishtime")).unwrap();
    }
}

#[derive(Deserialize)]
struct Answered {
    collection: AnsweredCollection,
}

#[derive(Deserialize)]
struct AnsweredCollection {
    items: Vec<AnsweredItem>,
}

#[derive(Deserialize)]
struct AnsweredItem {
    data: Vec<AnsweredDatum>,
}

#[derive(Deserialize)]
struct AnsweredDatum {
    name: String,
    value: Box<RawValue>,
}

/// Returns a text with each id of the platform as `ID` and each time that was taken as `TIME`.
fn normal(text: &str) -> String {
    let id = regex::Regex::new("280527[0-9]{8}").unwrap();
    let time = regex::Regex::new(r"20[0-9]{2}-[0-9-]+T[0-9:.]+Z").unwrap();
    time.replace_all(&id.replace_all(text, "ID"), "TIME").into_owned()
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

#[test]
fn the_same_requests_have_the_same_answers() {
    let rig = Rig::new();
    rig.seed("08-action-found");
    rig.seed("09-search-command-all");
    let mut different = Vec::new();
    for exchange in Exchange::all() {
        let answer = rig.answer(&exchange);
        let label = exchange.label.as_str();
        let status = answer.status;
        if let Some((_, status, message)) = MENDED.iter().find(|(name, ..)| *name == label) {
            assert_eq!(answer.status, *status, "{label}");
            assert!(
                answer.body.contains(&message.replace('>', "\\u003e")),
                "{label}: {}",
                answer.body
            );
            continue;
        }
        if status != exchange.status
            || header(&answer, "content-type") != exchange.kind.as_deref()
            || header(&answer, "location") != exchange.location.as_deref()
            || normal(&answer.body) != normal(&exchange.answer)
        {
            different.push(format!(
                "{label}: {} {}\n ours {status} {}\n theirs {} {}\n",
                exchange.method,
                exchange.path,
                normal(&answer.body),
                exchange.status,
                normal(&exchange.answer)
            ));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn an_action_that_two_signatures_of_one_make_impossible_leaves_nothing() {
    let rig = Rig::new();
    let highest = rig.api.store.highest_id().unwrap();
    assert_eq!(rig.answer(&Exchange::of("03-sig-duplicated")).status, 500);
    assert_eq!(rig.api.store.highest_id().unwrap(), highest);
}

#[test]
fn a_disabled_investigator_and_one_without_the_right_are_turned_away() {
    let rig = Rig::new();
    let post = Exchange::of("04-client-set-id");
    assert_eq!(rig.answer(&post).status, 202);
    let set = |column: &str| {
        let file = rig.folder.path().join("mig.db");
        let database = rusqlite::Connection::open(file).unwrap();
        database.execute(&format!("update investigators set {column}"), []).unwrap();
    };
    set("permissions = 59");
    let answer = rig.answer(&post);
    assert_eq!(answer.status, 401);
    assert!(answer.body.contains("Insufficient permissions to access endpoint"), "{}", answer.body);
    set("permissions = 63, status = 'disabled'");
    let answer = rig.answer(&post);
    assert_eq!(answer.status, 401);
    assert!(answer.body.contains("signature made by unknown entity"), "{}", answer.body);
}

#[test]
fn a_body_that_is_too_long_is_told_so() {
    let rig = Rig::new();
    let exchange = Exchange::of("04-client-set-id");
    rig.clock.set(exchange.time);
    let answer = rig.api.answer(&Request { body: Body::TooLarge, ..exchange.request() });
    assert!(answer.status == 500 && answer.body.contains("http: POST too large"), "{answer:?}");
}

#[test]
fn a_path_that_is_written_differently_is_told_its_own_form() {
    for (path, clean) in [
        ("/", "/"),
        ("//", "/"),
        ("/api/v1/./search", "/api/v1/search"),
        ("/api/../v1//x/", "/v1/x/"),
        ("/../..", "/"),
    ] {
        assert_eq!(super::clean(path), clean, "{path}");
    }
}
