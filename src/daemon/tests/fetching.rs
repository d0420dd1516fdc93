//! Results that are empty, incomplete or of another action.
#![expect(clippy::disallowed_methods, reason = "tests change files as the operator does")]

use super::{ID, rig};
use crate::spool::Folder;

const DOCUMENT: &str = "runners/job/results/20261122/1000.json";

#[test]
fn action_sent_to_no_agent_ends_with_an_empty_document_and_a_reason() {
    // Status, seconds until the end, number of queries for the status, error.
    for (status, seconds, queries, error) in [
        // An invalid or completed action ends at once, any other after the grace period.
        ("invalid", 0, 1, "no agent matched the target"),
        ("completed", 0, 1, "no agent was sent the action: the platform has it as `completed`"),
        // One more query than in the grace period: the action may have commands by then.
        ("pending", 15, 3, "no agent was sent the action: the platform has it as `pending`"),
    ] {
        let mut rig = rig("plugin = p");
        rig.write_plugin("p", "cat > received");
        rig.platform.set_status(status);
        rig.run_at("2026-11-22T12:01:00Z");
        rig.run_at("2026-11-22T12:01:20Z");
        rig.advance(seconds);
        let record = rig.record(Folder::CommandDone, ID);
        assert_eq!(record.error.as_deref(), Some(error));
        assert_eq!(record.status.as_deref(), Some(status));
        assert_eq!((record.summary.unwrap().sent, rig.platform.status_queries()), (0, queries));
        let document = std::fs::read(rig.path(DOCUMENT)).unwrap();
        let parsed: serde_json::Value = serde_json::from_slice(&document).unwrap();
        assert_eq!(parsed["commands"], serde_json::json!([]));
        assert_eq!(std::fs::read(rig.path("plugins/received")).unwrap(), document);
    }
}

#[test]
fn results_of_another_action_are_a_dead_letter_that_can_be_retried() {
    let mut rig = rig("");
    rig.platform.set_agents(3, true);
    rig.platform.return_wrong_action(true);
    rig.run_at("2026-11-22T12:01:00Z");
    rig.write_job("job", "schedule = \"0 0 1 1 *\"");
    rig.advance(20);
    let folder = format!("action/invalid {ID}.command");
    let reason = format!("{folder}.json.reason");
    assert_eq!(rig.spool(), [format!("action/done {ID}"), folder, reason]);
    let invalid = rig.path("spool/action/invalid").join(format!("{ID}.command.json"));
    let why = std::fs::read_to_string(format!("{}.reason", invalid.display())).unwrap();
    let expected = "the API sent a command of the action `another` instead of `mig-runner: job`";
    assert!(why.starts_with(expected), "{why}");

    rig.platform.return_wrong_action(false);
    std::fs::remove_file(format!("{}.reason", invalid.display())).unwrap();
    let ready = rig.path("spool/command/ready").join(format!("{ID}.json"));
    std::fs::rename(invalid, ready).unwrap();
    rig.advance(1);
    assert_eq!(rig.spool(), [format!("action/done {ID}"), format!("command/done {ID}")]);
    assert!(rig.path(DOCUMENT).exists());
}

#[test]
fn empty_first_page_is_checked_against_the_platforms_count() {
    // Number of empty pages, number of reads, and number of missing commands in the end.
    for (pages, reads, missing) in [(1, 2, 0), (9, 3, 3)] {
        let mut rig = rig("");
        rig.platform.set_agents(3, true);
        rig.platform.return_empty_pages(pages);
        rig.run_at("2026-11-22T12:01:00Z");
        rig.write_job("job", "schedule = \"0 0 1 6 *\"");
        rig.run_at("2026-11-22T12:01:20Z");
        let record = rig.record(Folder::CommandInflight, ID);
        assert_eq!(record.error.as_deref(), Some("the API returned 0 of 3 commands"));
        rig.advance(5);
        rig.advance(60);
        let record = rig.record(Folder::CommandDone, ID);
        let summary = record.summary.unwrap();
        assert_eq!((summary.sent, summary.missing), (3, missing));
        let offsets = rig.platform.requested_offsets();
        assert_eq!(offsets.iter().filter(|offset| **offset == 0).count(), reads, "{offsets:?}");
    }
}

#[test]
fn results_without_counters_are_checked_too() {
    // A page has two commands; the second page is empty at first.
    let mut rig = rig("");
    rig.platform.set_agents(3, true);
    rig.platform.omit_counters();
    rig.platform.hide_commands(&[1]);
    rig.run_at("2026-11-22T12:01:00Z");
    rig.write_job("job", "schedule = \"0 0 1 6 *\"");
    rig.run_at("2026-11-22T12:01:20Z");
    let record = rig.record(Folder::CommandInflight, ID);
    assert_eq!(record.error.as_deref(), Some("the API returned 2 of 3 commands"));
    rig.advance(5);
    let summary = rig.record(Folder::CommandDone, ID).summary.unwrap();
    assert_eq!((summary.sent, summary.missing), (3, 0));
}

#[test]
fn empty_document_left_by_a_crash_counts_missing_commands() {
    let mut rig = rig("");
    rig.platform.set_agents(3, true);
    rig.platform.fail_fetches(true);
    rig.run_at("2026-11-22T12:01:00Z");
    rig.write_job("job", "schedule = \"0 0 1 6 *\"");
    rig.run_at("2026-11-22T12:01:20Z");
    let record = rig.record(Folder::CommandInflight, ID);
    let text = record.action.unwrap();
    let head = crate::action::document::head(text.get());
    let tail = crate::action::document::tail("job", "");
    crate::testing::make_private(rig.path(DOCUMENT).parent().unwrap());
    crate::testing::write_private(&rig.path(DOCUMENT), &format!("{head}{tail}"));
    rig.advance(10);
    let summary = rig.record(Folder::CommandDone, ID).summary.unwrap();
    assert_eq!((summary.sent, summary.missing), (3, 3));
}
