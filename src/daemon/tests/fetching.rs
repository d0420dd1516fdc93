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
    let folder = format!("action/invalid {ID}.command");
    let reason = format!("{folder}.json.reason");
    assert_eq!(rig.spool(), [format!("action/done {ID}"), folder, reason]);
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

#[test]
fn an_empty_first_page_is_checked_against_what_the_platform_counts() {
    // The pages that are empty → how often it is read, and how many commands are missing in the end.
    for (pages, reads, missing) in [(1, 2, 0), (9, 3, 3)] {
        let mut rig = rig("");
        rig.platform.answer(3, true);
        rig.platform.empty(pages);
        rig.at("2026-11-22T12:01:00Z");
        rig.job("job", "schedule = \"0 0 1 6 *\"");
        rig.at("2026-11-22T12:01:20Z");
        let record = rig.record(Folder::CommandInflight, ID);
        assert_eq!(record.error.as_deref(), Some("the API returned 0 of 3 commands"));
        rig.pass(5);
        rig.pass(60);
        let record = rig.record(Folder::CommandDone, ID);
        let summary = record.summary.unwrap();
        assert_eq!((summary.sent, summary.missing), (3, missing));
        let offsets = rig.platform.offsets();
        assert_eq!(offsets.iter().filter(|offset| **offset == 0).count(), reads, "{offsets:?}");
    }
}

#[test]
fn commands_that_do_not_tell_how_many_there_are_are_checked_too() {
    // Two commands a page: the second one is empty at first.
    let mut rig = rig("");
    rig.platform.answer(3, true);
    rig.platform.untold();
    rig.platform.hide(&[1]);
    rig.at("2026-11-22T12:01:00Z");
    rig.job("job", "schedule = \"0 0 1 6 *\"");
    rig.at("2026-11-22T12:01:20Z");
    let record = rig.record(Folder::CommandInflight, ID);
    assert_eq!(record.error.as_deref(), Some("the API returned 2 of 3 commands"));
    rig.pass(5);
    let summary = rig.record(Folder::CommandDone, ID).summary.unwrap();
    assert_eq!((summary.sent, summary.missing), (3, 0));
}

#[test]
fn an_empty_document_that_a_crash_left_says_what_is_missing() {
    let mut rig = rig("");
    rig.platform.answer(3, true);
    rig.platform.mute(true);
    rig.at("2026-11-22T12:01:00Z");
    rig.job("job", "schedule = \"0 0 1 6 *\"");
    rig.at("2026-11-22T12:01:20Z");
    let record = rig.record(Folder::CommandInflight, ID);
    let text = record.action.unwrap();
    let head = crate::action::document::head(text.get());
    let tail = crate::action::document::tail("job", "");
    crate::testing::make_private(rig.path(DOCUMENT).parent().unwrap());
    crate::testing::write_private(&rig.path(DOCUMENT), &format!("{head}{tail}"));
    rig.pass(10);
    let summary = rig.record(Folder::CommandDone, ID).summary.unwrap();
    assert_eq!((summary.sent, summary.missing), (3, 3));
}
