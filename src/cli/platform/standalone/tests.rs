//! Complete platforms with agents and real keys, used over HTTP like a client does.
//!
//! A script stands in for the modules, so that each test decides what it returns. The modules have
//! their own tests.

mod shortage;
mod suspend;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::action::{Action, Signer};
use crate::agent::child::testing::write_program;
use crate::clock::SystemClock;
use crate::clock::testing::TestClock;
use crate::data::Permissions;
use crate::data::testing::{DatabaseKind as Kind, Tables, on_each_database};
use crate::pgp::{NewKey, end_gpg_agent, export, generate};
use crate::platform::SpoolError;
use crate::testing::retried;

/// Maximum time that a test waits for a status.
const PATIENCE: Duration = Duration::from_secs(30);
/// The result that the script returns in most tests.
const FOUND: &str =
    r#"{"foundanything":true,"success":true,"elements":{"s":[]},"statistics":{},"errors":null}"#;

/// An investigator with a key in its own GnuPG home.
struct TestInvestigator {
    home: tempfile::TempDir,
    keyring: crate::pgp::GpgSigner,
    armored: Vec<u8>,
}

impl TestInvestigator {
    fn new() -> TestInvestigator {
        // GnuPG's agent creates a socket there, whose path must be short.
        let home = tempfile::Builder::new().prefix("g").tempdir_in("/tmp").unwrap();
        let key = NewKey { owner: "Test <test@localhost>", algorithm: "rsa2048", passphrase: None };
        let fingerprint = generate(home.path(), key).unwrap();
        let armored = export(home.path(), &fingerprint).unwrap();
        let keyring = crate::pgp::GpgSigner::open(home.path(), fingerprint.as_str(), None).unwrap();
        TestInvestigator { home, keyring, armored }
    }

    fn token(&self) -> String {
        let now = SystemClock.now().strftime("%Y-%m-%dT%H:%M:%SZ");
        let head = format!("1;{now};7");
        let signature = self.keyring.sign(format!("{head}\n").as_bytes()).unwrap();
        format!("{head};{signature}")
    }

    /// Returns a signed action that expires in `seconds`.
    fn action(&self, target: &str, module: &str, seconds: i64) -> Action {
        let now = SystemClock.now();
        let text = json!({"target": target, "operations": [{"module": module, "parameters": {"searches": {}}}]});
        let mut action = Action::parse(text.to_string().as_bytes()).unwrap();
        let at = |seconds| now + SignedDuration::from_secs(seconds);
        action.dated("a test", at(-60), at(seconds));
        action.sign_with(&self.keyring).unwrap();
        action
    }
}

impl Drop for TestInvestigator {
    fn drop(&mut self) {
        end_gpg_agent(self.home.path()).unwrap();
    }
}

/// A platform in a temporary folder.
struct Rig {
    // Dropped after the platform, which uses it.
    tables: Tables,
    platform: Option<Standalone>,
    /// The time limit of a module.
    timeout: &'static str,
    clock: Arc<dyn Clock>,
}

impl Rig {
    /// Starts a platform with `script` as its modules.
    fn start(kind: Kind, script: &str) -> Rig {
        Rig::with_timeout(kind, script, "5m")
    }

    /// The same, with `timeout` as the time limit of a module.
    fn with_timeout(kind: Kind, script: &str, timeout: &'static str) -> Rig {
        let tables = Tables::new(kind);
        let mut rig = Rig { tables, platform: None, timeout, clock: Arc::new(SystemClock) };
        rig.restart(script);
        rig
    }

    fn restart(&mut self, script: &str) {
        self.stop();
        let program = self.tables.folder().join("program");
        write_program(&program, script);
        let text = format!(
            "[api]\nlisten = 127.0.0.1:0\n[directories]\nspool = spool\ndata = data\n\
             [agent]\nmoduletimeout = {}\n{}",
            self.timeout,
            self.tables.section()
        );
        let file = self.tables.folder().join("standalone.cfg");
        let config = StandaloneConfig::parse(text.as_bytes(), &file).unwrap();
        let log = slog::Logger::root(slog::Discard, slog::o!());
        let platform = retried(
            || Standalone::start(&config, program.clone(), Arc::clone(&self.clock), &log),
            |error| {
                let spool = matches!(
                    error,
                    StandaloneError::Platform(PlatformError::Spool(SpoolError::Locked { .. }))
                );
                spool || matches!(error, StandaloneError::Platform(PlatformError::Busy { .. }))
            },
        );
        self.platform = Some(platform.unwrap());
    }

    fn stop(&mut self) {
        if let Some(platform) = self.platform.take() {
            platform.stop().unwrap();
        }
    }

    fn platform(&self) -> &Standalone {
        self.platform.as_ref().unwrap()
    }

    fn add_investigator(&self, investigator: &TestInvestigator) {
        let permissions = Permissions::RUNNER;
        let data = self.platform().data();
        data.add_investigator("test", &investigator.armored, permissions, &SystemClock).unwrap();
    }

    /// Sends a request; returns status and JSON.
    fn send(&self, method: &str, path: &str, token: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.platform().address()).unwrap();
        let kind = "application/x-www-form-urlencoded";
        write!(
            stream,
            "{method} /api/v1/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\n\
             X-PGPAUTHORIZATION: {token}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("{text}")))
    }

    /// Posts an action; returns its id.
    fn post(&self, investigator: &TestInvestigator, action: &Action) -> i64 {
        let (status, json) = self.try_post(investigator, action);
        assert_eq!(status, 202, "{json}");
        value(&json)["id"].as_i64().unwrap()
    }

    fn try_post(&self, investigator: &TestInvestigator, action: &Action) -> (u16, Value) {
        let escaped: String = action.to_json().bytes().map(|byte| format!("%{byte:02x}")).collect();
        self.send("POST", "action/create/", &investigator.token(), &format!("action={escaped}"))
    }

    /// Waits until an action has a status; returns its only command, or null.
    fn wait(&self, investigator: &TestInvestigator, id: i64, status: &str) -> Value {
        let (begun, token) = (Instant::now(), investigator.token());
        let stop = crate::wake::Stop::new();
        loop {
            let (_, json) = self.send("GET", &format!("action?actionid={id}"), &token, "");
            if value(&json)["status"] == status {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "not {status}: {json}");
            stop.wait(Duration::from_millis(50));
        }
        let path = format!("search?type=command&actionid={id}");
        let (status, json) = self.send("GET", &path, &token, "");
        if status == 404 { Value::Null } else { value(&json).clone() }
    }

    fn folders(&self, id: i64) -> Vec<String> {
        let mut found = Vec::new();
        for family in ["action", "command"] {
            let root = self.tables.folder().join("spool").join(family);
            for folder in std::fs::read_dir(root).unwrap().map(|folder| folder.unwrap().path()) {
                for file in std::fs::read_dir(&folder).unwrap() {
                    if file.unwrap().file_name().to_str().unwrap().starts_with(&id.to_string()) {
                        found.push(format!("{family}/{}", folder.file_name().unwrap().display()));
                    }
                }
            }
        }
        found.sort_unstable();
        found
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop();
    }
}

fn value(json: &Value) -> &Value {
    &json["collection"]["items"][0]["data"][0]["value"]
}

fn message(json: &Value) -> &str {
    json["collection"]["error"]["message"].as_str().unwrap_or_default()
}

on_each_database!(
    signed_action_runs_and_its_results_are_found,
    unknown_signer_and_changed_action_are_refused,
    module_that_hangs_is_killed_and_reported,
    module_is_killed_when_its_action_expires,
    failed_operation_does_not_end_the_others,
    action_without_matching_agent_is_invalid,
    stopped_platform_resumes_its_actions,
    unanswered_command_expires,
    damaged_key_is_not_stored,
    spool_data_and_keys_cannot_be_used_twice
);

fn signed_action_runs_and_its_results_are_found(kind: Kind) {
    let (investigator, rig) =
        (TestInvestigator::new(), Rig::start(kind, &format!("cat >/dev/null; echo '{FOUND}'")));
    rig.add_investigator(&investigator);
    let id = rig.post(&investigator, &investigator.action("status='online'", "file", 60));
    let command = rig.wait(&investigator, id, "completed");
    assert_eq!(command["status"], "success");
    assert_eq!(command["results"], serde_json::from_str::<Value>(&format!("[{FOUND}]")).unwrap());
    assert_eq!(command["action"]["counters"], json!({"sent": 1, "done": 1, "success": 1}));
    assert_eq!(command["agent"]["environment"]["os"], "linux");
    assert_eq!(rig.folders(id), ["action/done", "command/done"]);
    let path = format!("command?commandid={}", command["id"]);
    let (status, json) = rig.send("GET", &path, &investigator.token(), "");
    assert_eq!((status, &value(&json)["results"]), (200, &command["results"]));
    assert_eq!(value(&json)["agent"]["mode"], "daemon");
    let (_, json) =
        rig.send("GET", "search?type=agent&target=mode%3D'daemon'", &investigator.token(), "");
    assert_eq!(value(&json)["status"], "online", "{json}");
}

fn unknown_signer_and_changed_action_are_refused(kind: Kind) {
    let (investigator, stranger) = (TestInvestigator::new(), TestInvestigator::new());
    let rig = Rig::start(kind, "exit 1");
    rig.add_investigator(&investigator);
    let action = stranger.action("status='online'", "file", 60);
    let (status, json) = rig.try_post(&stranger, &action);
    assert_eq!(status, 401, "{json}");
    let (status, json) = rig.try_post(&investigator, &action);
    assert_eq!(
        (status, message(&json)),
        (500, "VerifySignatures() -> openpgp: signature made by unknown entity")
    );
    let mut action = investigator.action("status='online'", "file", 60);
    action.name.push('!');
    let (status, json) = rig.try_post(&investigator, &action);
    assert_eq!(
        (status, message(&json)),
        (500, "VerifySignatures() -> openpgp: invalid signature: hash tag doesn't match")
    );
}

fn module_that_hangs_is_killed_and_reported(kind: Kind) {
    let (investigator, rig) = (TestInvestigator::new(), Rig::with_timeout(kind, "sleep 100", "2s"));
    rig.add_investigator(&investigator);
    let id = rig.post(&investigator, &investigator.action("status='online'", "file", 60));
    let command = rig.wait(&investigator, id, "completed");
    assert_eq!(command["status"], "timeout");
    assert_eq!(command["results"][0]["errors"], json!(["the module was killed after 2 s"]));
}

fn module_is_killed_when_its_action_expires(kind: Kind) {
    let (investigator, rig) = (TestInvestigator::new(), Rig::start(kind, "sleep 100"));
    rig.add_investigator(&investigator);
    let id = rig.post(&investigator, &investigator.action("status='online'", "file", 15));
    assert_eq!(rig.wait(&investigator, id, "completed")["status"], "timeout");
}

fn failed_operation_does_not_end_the_others(kind: Kind) {
    let (investigator, rig) =
        (TestInvestigator::new(), Rig::start(kind, &format!("cat >/dev/null; echo '{FOUND}'")));
    rig.add_investigator(&investigator);
    let mut action = investigator.action("status='online'", "nosuch", 60);
    let good = investigator.action("status='online'", "file", 60).operations.unwrap();
    action.operations.as_mut().unwrap().extend(good);
    action.signatures = None;
    action.sign_with(&investigator.keyring).unwrap();
    let id = rig.post(&investigator, &action);
    let command = rig.wait(&investigator, id, "completed");
    assert_eq!(command["status"], "failed");
    assert_eq!(command["results"][0]["errors"], json!(["module 'nosuch' is not available"]));
    assert_eq!(command["results"][1]["foundanything"], true);
}

fn action_without_matching_agent_is_invalid(kind: Kind) {
    let (investigator, rig) = (TestInvestigator::new(), Rig::start(kind, "exit 1"));
    rig.add_investigator(&investigator);
    for target in ["name='nosuch'", "name='nosuch", "1=1; drop table agents"] {
        let id = rig.post(&investigator, &investigator.action(target, "file", 60));
        assert_eq!(rig.wait(&investigator, id, "invalid"), Value::Null);
        assert_eq!(rig.folders(id), ["action/invalid"], "{target}");
    }
}

fn stopped_platform_resumes_its_actions(kind: Kind) {
    let (investigator, mut rig) = (TestInvestigator::new(), Rig::start(kind, "sleep 100"));
    rig.add_investigator(&investigator);
    let id = rig.post(&investigator, &investigator.action("status='online'", "file", 3600));
    rig.wait(&investigator, id, "inflight");
    rig.restart(&format!("cat >/dev/null; echo '{FOUND}'"));
    let command = rig.wait(&investigator, id, "completed");
    assert_eq!(command["status"], "success", "{command}");
    // A crash may lose any of the files: they are created again from the database.
    rig.restart("sleep 100");
    let id = rig.post(&investigator, &investigator.action("status='online'", "file", 3600));
    rig.wait(&investigator, id, "inflight");
    rig.stop();
    std::fs::remove_dir_all(rig.tables.folder().join("spool")).unwrap();
    rig.restart(&format!("cat >/dev/null; echo '{FOUND}'"));
    let command = rig.wait(&investigator, id, "completed");
    assert_eq!(command["status"], "success", "{command}");
    assert_eq!(rig.folders(id), ["action/done", "command/done"]);
}

fn unanswered_command_expires(kind: Kind) {
    let (investigator, mut rig) = (TestInvestigator::new(), Rig::start(kind, "sleep 100"));
    rig.add_investigator(&investigator);
    let id = rig.post(&investigator, &investigator.action("status='online'", "file", 60));
    rig.wait(&investigator, id, "inflight");
    rig.clock = Arc::new(TestClock::new(SystemClock.now() + SignedDuration::from_secs(120)));
    rig.restart("exit 1");
    let command = rig.wait(&investigator, id, "completed");
    assert_eq!(command["status"], "expired");
    let empty = json!({"foundanything": false, "success": false, "elements": null, "statistics": null, "errors": null});
    assert_eq!(command["results"], json!([empty]));
}

fn damaged_key_is_not_stored(kind: Kind) {
    let (investigator, tables) = (TestInvestigator::new(), Tables::new(kind));
    let folder = tables.folder().join("data");
    let data = Data::open(&folder, tables.server().as_ref()).unwrap();
    let known = || data.store.investigators().unwrap().len();
    let before = known();
    let half = &investigator.armored[..investigator.armored.len() / 2];
    let refused = data.add_investigator("test", half, Permissions::RUNNER, &SystemClock);
    assert!(matches!(refused, Err(PlatformError::Key { .. })), "{refused:?}");
    assert_eq!(known(), before);
    let kept = std::fs::read_dir(folder.join("gnupg")).unwrap();
    let kept: Vec<_> = kept.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(kept, [""; 0]);
}

fn spool_data_and_keys_cannot_be_used_twice(kind: Kind) {
    let (investigator, rig) = (TestInvestigator::new(), Rig::start(kind, "exit 1"));
    rig.add_investigator(&investigator);
    let data = rig.platform().data();
    let again =
        data.add_investigator("again", &investigator.armored, Permissions::RUNNER, &SystemClock);
    assert!(matches!(again, Err(PlatformError::Known { .. })));
    let file = rig.tables.folder().join("standalone.cfg");
    let config =
        StandaloneConfig::parse(b"[directories]\nspool = spool\ndata = other\n", &file).unwrap();
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let second = Standalone::start(&config, PathBuf::new(), Arc::new(SystemClock), &log);
    assert!(matches!(
        second,
        Err(StandaloneError::Platform(PlatformError::Spool(SpoolError::Locked { .. })))
    ));
    assert!(!rig.tables.folder().join("other").exists());
    let config =
        StandaloneConfig::parse(b"[directories]\nspool = other\ndata = data\n", &file).unwrap();
    let second = Standalone::start(&config, PathBuf::new(), Arc::new(SystemClock), &log);
    assert!(matches!(second, Err(StandaloneError::Platform(PlatformError::Busy { .. }))));
}
