//! Tests of the engine: runs, from their jobs to their plugins.
#![expect(clippy::disallowed_methods, reason = "tests change files as the operator does")]

mod downtime;
mod fairness;
mod fetching;
mod finished;
mod grace;
mod joint_moves;
mod messages;
mod operator;
mod pending;
mod retention;
mod retry_report;
mod signature_length;
mod signing_periods;
mod slots;
mod stopping;
mod superseded;
mod turned_away;
mod watches;

use super::testing::{PostReply, Rig};
use crate::spool::{Fate, Folder};
use crate::testing::write_private;

const ID: &str = "job.20261122T120100Z";

fn rig(config: &str) -> Rig {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.write_job("job", &format!("schedule = \"* * * * *\"\nexpiry = 20s\n{config}"));
    rig.start();
    rig
}

#[test]
fn scheduled_job_delivers_its_results_to_its_plugin() {
    let mut rig = rig("plugin = keep");
    rig.write_plugin(
        "keep",
        "cat > received; echo $MIG_JOB $MIG_RUN $MIG_ACTION_ID $MIG_ATTEMPT > environment",
    );
    rig.platform.set_agents(3, true);
    rig.run_at("2026-11-22T12:00:59Z");
    assert_eq!(rig.spool(), [""; 0]);
    rig.run_at("2026-11-22T12:01:00Z");
    assert_eq!(rig.spool(), [format!("action/inflight {ID}")]);
    rig.run_at("2026-11-22T12:01:19Z");
    assert_eq!(rig.spool(), [format!("action/inflight {ID}")]);
    rig.run_at("2026-11-22T12:01:20Z");
    assert_eq!(rig.spool(), [format!("action/done {ID}"), format!("command/done {ID}")]);
    let document = rig.path("runners/job/results/20261122/1000.json");
    let stored = std::fs::read(&document).unwrap();
    assert_eq!(std::fs::read(rig.path("plugins/received")).unwrap(), stored);
    assert_eq!(std::fs::read(rig.path("results/1000.json")).unwrap(), stored);
    let environment = std::fs::read_to_string(rig.path("plugins/environment")).unwrap();
    assert_eq!(environment, format!("job {ID} 1000 1\n"));
    let document: serde_json::Value = serde_json::from_slice(&stored).unwrap();
    assert_eq!(document["commands"].as_array().unwrap().len(), 3);
    assert_eq!((&document["name"], &document["plugin"]), (&"job".into(), &"keep".into()));
    let summary = rig.record(Folder::CommandDone, ID).summary.unwrap();
    assert_eq!((summary.sent, summary.answered, summary.found, summary.missing), (3, 3, 3, 0));
}

#[test]
fn uncompleted_action_is_collected_fifteen_seconds_after_expiry() {
    let mut rig = rig("");
    rig.platform.set_agents(1, false);
    rig.run_at("2026-11-22T12:01:00Z");
    rig.run_at("2026-11-22T12:01:20Z");
    rig.run_at("2026-11-22T12:01:34Z");
    assert!(rig.spool().contains(&format!("action/inflight {ID}")));
    rig.run_at("2026-11-22T12:01:35Z");
    assert!(rig.spool().contains(&format!("command/done {ID}")));
}

#[test]
fn delayresults_delays_and_sendonly_skips_results() {
    let mut delayed = rig("delayresults = 30s");
    delayed.platform.set_agents(1, true);
    delayed.run_at("2026-11-22T12:01:00Z");
    delayed.run_at("2026-11-22T12:01:49Z");
    assert!(delayed.spool().contains(&format!("action/inflight {ID}")));
    delayed.run_at("2026-11-22T12:01:50Z");
    assert!(delayed.spool().contains(&format!("command/done {ID}")));

    let mut sent = rig("sendonly = true");
    sent.run_at("2026-11-22T12:01:00Z");
    assert_eq!(sent.spool(), [format!("action/done {ID}")]);
}

#[test]
fn early_results_are_fetched_when_all_agents_have_answered() {
    let mut rig = rig("earlyresults = true\nplugin = p");
    rig.write_plugin("p", "cat > /dev/null");
    rig.platform.set_agents(1, false);
    rig.run_at("2026-11-22T12:01:00Z");
    rig.run_at("2026-11-22T12:01:05Z");
    assert!(rig.spool().contains(&format!("action/inflight {ID}")));
    rig.platform.set_agents(1, true);
    rig.run_at("2026-11-22T12:01:13Z");
    assert!(rig.spool().contains(&format!("command/done {ID}")));
}

#[test]
fn lost_answer_to_a_post_leads_to_one_action() {
    for crash in [false, true] {
        let mut rig = rig("");
        rig.platform.script_replies(&[PostReply::LoseAnswer]);
        rig.run_at("2026-11-22T12:01:00Z");
        assert_eq!(rig.record(Folder::New, ID).request.fate, Fate::Unknown);
        if crash {
            rig.crash();
            rig.start();
        }
        rig.advance(10);
        assert_eq!(rig.spool(), [format!("action/inflight {ID}")], "{crash}");
        assert_eq!(rig.platform.post_count(), 1);
    }
}

#[test]
fn search_does_not_take_the_action_of_a_finished_run() {
    // All signatures are the same here, as for a signed action that is submitted twice.
    let mut rig = rig("");
    rig.platform.set_agents(1, true);
    rig.run_at("2026-11-22T12:01:00Z");
    rig.run_at("2026-11-22T12:01:20Z");
    assert!(rig.spool().contains(&format!("command/done {ID}")));
    for crash in [false, true] {
        rig.platform.script_replies(&[PostReply::LoseAnswer]);
        rig.advance(40);
        if crash {
            rig.crash();
            rig.start();
        }
        rig.advance(10);
        rig.advance(20);
    }
    for id in [1000, 1001, 1002] {
        assert!(rig.path(&format!("results/{id}.json")).exists(), "{id}");
    }
    assert_eq!(rig.platform.action_names().len(), 3);
}

#[test]
fn unreceived_post_is_repeated_only_after_the_settle_time() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.write_job("job", "schedule = \"* 12 * * *\"\nexpiry = 30m");
    rig.start();
    rig.platform.script_replies(&[PostReply::DropConnection]);
    rig.run_at("2026-11-22T12:01:00Z");
    rig.write_job("job", "schedule = \"0 0 1 1 *\"\nexpiry = 30m");
    for second in [1, 10, 60, 119] {
        rig.run_at(&format!("2026-11-22T12:0{}:{:02}Z", 1 + second / 60, second % 60));
        assert_eq!(rig.platform.post_count(), 1, "{second}");
    }
    rig.run_at("2026-11-22T12:03:01Z");
    rig.advance(2);
    assert_eq!(rig.platform.post_count(), 2);
    assert_eq!(rig.platform.action_names().len(), 1);
    assert_eq!(rig.spool(), [format!("action/inflight {ID}")]);
}

#[test]
fn rejected_action_is_a_dead_letter_and_can_be_retried() {
    let mut rig = rig("");
    rig.platform.script_replies(&[PostReply::Reject]);
    rig.run_at("2026-11-22T12:01:00Z");
    assert_eq!(rig.spool(), [format!("action/invalid {ID}")]);
    assert!(rig.record(Folder::Invalid, ID).reason.is_some());
    rig.move_run(ID, Folder::Invalid, Folder::New);
    rig.advance(1);
    assert_eq!(rig.spool(), [format!("action/inflight {ID}")]);
}

#[test]
fn after_an_outage_only_the_newest_run_is_sent() {
    let mut rig = rig("");
    rig.platform.script_replies(&[PostReply::Unavailable; 3]);
    rig.run_at("2026-11-22T12:01:00Z");
    assert_eq!(rig.spool(), [format!("action/new {ID}")]);
    rig.run_at("2026-11-22T12:02:00Z");
    rig.run_at("2026-11-22T12:03:00Z");
    rig.advance(20);
    let newest = "job.20261122T120300Z";
    let posted: Vec<String> =
        rig.spool().into_iter().filter(|entry| entry.starts_with("action/inflight")).collect();
    assert_eq!(posted, [format!("action/inflight {newest}")], "{:?}", rig.spool());
    assert!(
        rig.spool().contains(&"action/done job.20261122T120200Z".to_owned()),
        "{:?}",
        rig.spool()
    );
}

#[test]
fn posts_back_off_during_an_outage() {
    let mut rig = rig("expiry = 5m");
    rig.platform.script_replies(&[PostReply::Unavailable; 9]);
    rig.run_at("2026-11-22T12:01:00Z");
    assert_eq!(rig.platform.post_count(), 1);
    // The signature is still fresh, but the POST backs off: a second, then two.
    for posts in 2..4 {
        rig.advance(posts - 1);
        assert_eq!(rig.platform.post_count(), usize::try_from(posts).unwrap());
    }
}

#[test]
fn failing_plugin_is_retried_without_delaying_others() {
    let mut rig = rig("plugin = bad\nplugin = good");
    rig.write_plugin("bad", "test -e ../repaired");
    rig.write_plugin("good", "echo x >> count");
    rig.platform.set_agents(1, true);
    rig.run_at("2026-11-22T12:01:00Z");
    rig.write_job("job", "schedule = \"0 0 1 1 *\"");
    rig.run_at("2026-11-22T12:01:20Z");
    assert!(rig.spool().contains(&format!("command/returned {ID}")));
    assert_eq!(std::fs::read_to_string(rig.path("plugins/count")).unwrap(), "x\n");
    write_private(&rig.path("repaired"), "");
    rig.crash();
    rig.start();
    rig.advance(1);
    assert!(rig.spool().contains(&format!("command/done {ID}")), "{:?}", rig.spool());
    assert_eq!(std::fs::read_to_string(rig.path("plugins/count")).unwrap(), "x\n");
}

#[test]
fn paused_job_sends_nothing_and_a_slot_is_launched_once() {
    let mut rig = rig("paused = true");
    rig.run_at("2026-11-22T12:01:00Z");
    assert_eq!(rig.spool(), [""; 0]);
    rig.write_job("job", "schedule = \"* * * * *\"\nexpiry = 20s");
    rig.run_at("2026-11-22T12:01:30Z");
    assert_eq!(rig.spool(), [""; 0]);
    rig.run_at("2026-11-22T12:02:00Z");
    rig.crash();
    rig.start();
    rig.run_at("2026-11-22T12:02:05Z");
    assert_eq!(rig.platform.post_count(), 1);
    // A clock that is set back launches no slot twice.
    rig.run_at("2026-11-22T12:01:30Z");
    rig.run_at("2026-11-22T12:02:10Z");
    assert_eq!(rig.platform.post_count(), 1);
}

#[test]
fn missing_commands_are_requested_again_twice() {
    // The missing command is found the second time, or never. A page has two commands.
    for (hidden, reads, missing) in [(&[1][..], 2, 0), (&[1; 9], 3, 1)] {
        let mut rig = rig("");
        rig.platform.set_agents(3, true);
        rig.platform.hide_commands(hidden);
        rig.run_at("2026-11-22T12:01:00Z");
        rig.write_job("job", "schedule = \"0 0 1 1 *\"");
        rig.run_at("2026-11-22T12:01:20Z");
        assert!(rig.spool().contains(&format!("command/inflight {ID}")));
        rig.advance(5);
        rig.advance(60);
        assert!(rig.spool().contains(&format!("command/done {ID}")), "{:?}", rig.spool());
        let summary = rig.record(Folder::CommandDone, ID).summary.unwrap();
        assert_eq!((summary.sent, summary.missing), (3, missing));
        // No page after the last is requested, because the number of commands is known.
        let offsets = rig.platform.requested_offsets();
        assert!(offsets.iter().all(|offset| [0, 2].contains(offset)), "{offsets:?}");
        assert_eq!(offsets.iter().filter(|offset| **offset == 0).count(), reads);
    }
}

#[test]
fn api_whose_clock_is_ahead_is_not_flooded() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.write_job("job", "schedule = \"0 1 12 * * * *\"\nexpiry = 20s");
    rig.start();
    rig.platform.script_replies(&[PostReply::RejectAsExpired; 100]);
    rig.run_at("2026-11-22T12:01:00Z");
    assert_eq!(rig.platform.post_count(), 1);
    for _ in 0..60 {
        rig.advance(1);
    }
    // The delays double from one second, with jitter: 1, 2, 4, …
    let posts = rig.platform.post_count();
    assert!((3..=10).contains(&posts), "{posts}");
}

#[test]
fn failing_posts_of_other_runs_do_not_delay_results() {
    let mut rig = rig("");
    rig.platform.set_agents(1, true);
    rig.run_at("2026-11-22T12:01:00Z");
    rig.write_job("job", "schedule = \"0 0 1 1 *\"");
    // Another run finds the API unavailable and trips the circuit breaker.
    rig.platform.script_replies(&[PostReply::Unavailable; 9]);
    write_private(
        &rig.path("spool/action/new/a.json"),
        r#"{"name":"a","target":"t","operations":[]}"#,
    );
    rig.advance(5);
    rig.run_at("2026-11-22T12:01:20Z");
    assert!(rig.spool().contains(&format!("command/done {ID}")), "{:?}", rig.spool());
}
