//! What becomes of results that are not as they should be.
#![expect(clippy::disallowed_methods, reason = "tests do by hand what people do")]

use super::{ID, rig};
use crate::spool::Folder;

const DOCUMENT: &str = "runners/job/results/20261122/1000.json";

#[test]
fn an_action_that_no_agent_was_sent_ends_in_an_empty_document_and_says_why() {
    for (status, seconds, error) in [
        // Called invalid it is over at once, else after some patience.
        ("invalid", 0, "no agent matched the target"),
        ("pending", 15, "no agent was sent the action: the platform has it as `pending`"),
    ] {
        let mut rig = rig("plugin = p");
        rig.plugin("p", "cat > received");
        rig.platform.call(status);
        rig.at("2026-11-22T12:01:00Z");
        rig.at("2026-11-22T12:01:20Z");
        rig.pass(seconds);
        let record = rig.record(Folder::CommandDone, ID);
        assert_eq!(record.error.as_deref(), Some(error));
        assert_eq!(record.status.as_deref(), Some(status));
        assert_eq!(record.summary.unwrap().sent, 0);
        let document = std::fs::read(rig.path(DOCUMENT)).unwrap();
        let parsed: serde_json::Value = serde_json::from_slice(&document).unwrap();
        assert_eq!(parsed["commands"], serde_json::json!([]));
        assert_eq!(std::fs::read(rig.path("plugins/received")).unwrap(), document);
    }
}

#[test]
fn results_of_another_action_are_a_dead_letter_that_can_be_fetched_anew() {
    let mut rig = rig("");
    rig.platform.answer(3, true);
    rig.platform.confuse(true);
    rig.at("2026-11-22T12:01:00Z");
    rig.job("job", "schedule = \"0 0 1 1 *\"");
    rig.pass(20);
    let grave = format!("action/invalid {ID}.command");
    let reason = format!("{grave}.json.reason");
    assert_eq!(rig.spool(), [format!("action/done {ID}"), grave, reason]);
    let invalid = rig.path("spool/action/invalid").join(format!("{ID}.command.json"));
    let why = std::fs::read_to_string(format!("{}.reason", invalid.display())).unwrap();
    let expected = "the API sent a command of the action `another` instead of `mig-runner: job`";
    assert!(why.starts_with(expected), "{why}");

    rig.platform.confuse(false);
    std::fs::remove_file(format!("{}.reason", invalid.display())).unwrap();
    let ready = rig.path("spool/command/ready").join(format!("{ID}.json"));
    std::fs::rename(invalid, ready).unwrap();
    rig.pass(1);
    assert_eq!(rig.spool(), [format!("action/done {ID}"), format!("command/done {ID}")]);
    assert!(rig.path(DOCUMENT).exists());
}
