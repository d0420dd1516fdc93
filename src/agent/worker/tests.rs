//! Commands that an agent receives through a relay, with a script as module and without keys.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::agent::child::testing::write_program;
use crate::clock::testing::TestClock;
use crate::disk::{Disk, RealFs};
use crate::relay::{ActionVerifier, AgentRelay, RelayClosed, VerificationError};
use crate::wake::Stop;

/// The result that the script returns.
const FOUND: &str =
    r#"{"foundanything":true,"success":true,"elements":null,"statistics":null,"errors":null}"#;

/// A relay with commands that have already arrived, and a record of the answers.
#[derive(Debug, Default)]
struct FakeRelay {
    commands: Mutex<VecDeque<Command>>,
    sent: Mutex<Vec<AgentMessage>>,
}

impl AgentRelay for FakeRelay {
    fn next_command(&self) -> Option<Command> {
        self.commands.lock().unwrap().pop_front()
    }

    fn send(&self, message: AgentMessage) -> Result<(), RelayClosed> {
        self.sent.lock().unwrap().push(message);
        Ok(())
    }
}

/// Accepts actions that are named `good`, `busy` ones only at the second attempt.
#[derive(Debug, Default)]
struct FakeVerifier(Mutex<usize>);

impl ActionVerifier for FakeVerifier {
    fn verify(&self, action: &Action) -> Result<(), VerificationError> {
        let mut attempts = self.0.lock().unwrap();
        *attempts += 1;
        match action.name.as_str() {
            "good" => Ok(()),
            "busy" if *attempts > 1 => Ok(()),
            "busy" => Err(VerificationError::Unavailable("no descriptors".into())),
            _ => Err(VerificationError::Refused("unknown entity".into())),
        }
    }
}

fn noon() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn action(name: &str, modules: &[&str], seconds: i64) -> Action {
    let operations: Vec<Value> =
        modules.iter().map(|module| json!({"module": module, "parameters": {}})).collect();
    let text = json!({"name": name, "operations": operations, "pgpsignatures": ["s"]});
    let mut action = Action::parse(text.to_string().as_bytes()).unwrap();
    action.expire_after = (noon() + SignedDuration::from_secs(seconds)).into();
    action
}

/// Runs a command with this text as its action; returns the outcome and the results.
fn run(text: String) -> (Outcome, Value) {
    run_script(text, &format!("cat > /dev/null; echo '{FOUND}'"))
}

/// The same, with `script` as the module.
fn run_script(text: String, script: &str) -> (Outcome, Value) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    write_program(&program, script);
    let relay = Arc::new(FakeRelay::default());
    relay.commands.lock().unwrap().push_back(Command { id: 8, action_id: 7, action: text });
    let context = AgentContext {
        program,
        relay: Arc::clone(&relay) as Arc<dyn AgentRelay>,
        verifier: Arc::new(FakeVerifier::default()),
        clock: Arc::new(TestClock::new(noon())),
        disk: Disk::new(Arc::new(RealFs), folder.path().to_owned(), "test"),
        heartbeat_period: Duration::from_secs(30),
        module_timeout: Duration::from_secs(60),
        stop: Stop::new(),
        log: slog::Logger::root(slog::Discard, slog::o!()),
    };
    context.run_commands();
    let mut sent = relay.sent.lock().unwrap();
    let Some(AgentMessage::Answer(answer)) = sent.pop() else { panic!("no answer") };
    assert_eq!((answer.command_id, answer.action_id), (8, 7));
    (answer.outcome, serde_json::from_str(&answer.results).unwrap())
}

#[test]
fn failed_operation_does_not_end_the_others() {
    let found: Value = serde_json::from_str(FOUND).unwrap();
    assert_eq!(
        run(action("good", &["file"], 60).to_json()),
        (Outcome::Success, json!([found.clone()]))
    );
    let (outcome, results) = run(action("good", &["nosuch", "file"], 60).to_json());
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(results[0]["errors"], json!(["module 'nosuch' is not available"]));
    assert_eq!(results[1], found);
}

#[test]
fn refused_command_is_answered_with_the_reason() {
    let unsigned = Action { signatures: None, ..action("good", &["file"], 60) };
    let authorization = "parseCommands() -> checkActionAuthorization()";
    for (text, expected) in [
        (
            action("good", &["file"], -1).to_json(),
            format!(
                "{authorization} -> action validation failed: action expireafter is in the past"
            ),
        ),
        (unsigned.to_json(), format!("{authorization} -> action is not signed")),
        (action("bad", &["file"], 60).to_json(), format!("{authorization}: unknown entity")),
    ] {
        let (outcome, results) = run(text);
        assert_eq!((outcome, &results[0]["errors"]), (Outcome::Failed, &json!([expected])));
        assert_eq!(results.as_array().unwrap().len(), 1);
    }
    let (outcome, results) = run("{".to_owned());
    let error = results[0]["errors"][0].as_str().unwrap();
    assert!(outcome == Outcome::Failed && error.starts_with("parseCommands(): "), "{error}");
}

#[test]
fn signature_is_checked_again_after_a_shortage() {
    assert_eq!(run(action("busy", &["file"], 60).to_json()).0, Outcome::Success);
}

#[test]
fn result_that_exceeds_the_budget_of_its_command_is_replaced() {
    // Each result has 12 MiB, so two of them fit, and the small one after the third.
    let script = r#"
        cat > /dev/null
        printf '{"foundanything":true,"success":true,"elements":"'
        [ "$2" = ping ] || head -c 12582912 /dev/zero | tr '\0' x
        printf '","statistics":null,"errors":null}'"#;
    let modules = ["file", "file", "file", "ping"];
    let (outcome, results) = run_script(action("good", &modules, 60).to_json(), script);
    assert_eq!(outcome, Outcome::Failed);
    let lengths: Vec<Option<usize>> =
        (0..4).map(|at| results[at]["elements"].as_str().map(str::len)).collect();
    assert_eq!(lengths, [Some(12 << 20), Some(12 << 20), None, Some(0)]);
    let error = results[2]["errors"][0].as_str().unwrap();
    assert!(error.contains("the results of this command exceed 32 MiB"), "{error}");
}

#[test]
fn module_without_end_is_stopped_by_the_budget() {
    let (outcome, results) =
        run_script(action("good", &["file"], 60).to_json(), "exec cat /dev/zero");
    assert_eq!(outcome, Outcome::Failed);
    let error = results[0]["errors"][0].as_str().unwrap();
    assert!(error.contains("the results of this command exceed 32 MiB"), "{error}");
}

#[test]
fn action_with_too_many_operations_is_refused() {
    assert_eq!(run(action("good", &["file"; 64], 60).to_json()).0, Outcome::Success);
    let (outcome, results) = run(action("good", &["file"; 65], 60).to_json());
    let error = results[0]["errors"][0].as_str().unwrap();
    assert!(outcome == Outcome::Failed && error.contains("65 operations, more than 64"), "{error}");
    assert_eq!(results.as_array().unwrap().len(), 1);
}

#[test]
fn module_that_runs_a_program_shares_its_memory_with_it() {
    let script = r#"
        cat > /dev/null
        until [ "$(ulimit -v)" != unlimited ]; do :; done
        echo '{"foundanything":true,"success":true,"elements":null,"statistics":null,'
        echo "\"errors\":[\"$(ulimit -v)\"]}""#;
    let modules = ["file", "pkg"];
    let (_, results) = run_script(action("good", &modules, 60).to_json(), script);
    let kibibytes: Vec<&Value> = (0..2).map(|index| &results[index]["errors"][0]).collect();
    assert_eq!(kibibytes, ["524288", "262144"]);
}
