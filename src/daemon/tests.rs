//! What becomes of runs, from a job's folder to its plugins.
#![expect(clippy::disallowed_methods, reason = "tests do by hand what people do")]

mod dates;
mod fetching;
mod grace;
mod hand;
mod held;
mod messages;
mod off;
mod past;
mod retention;
mod retry_report;
mod short;
mod slots;
mod stopping;
mod superseded;
mod turns;
mod watching;

use super::testing::{Mood, Rig};
use crate::spool::{Fate, Folder};
use crate::testing::write_private;

const ID: &str = "job.20261122T120100Z";

fn rig(config: &str) -> Rig {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.job("job", &format!("schedule = \"* * * * *\"\nexpiry = 20s\n{config}"));
    rig.start();
    rig
}

#[test]
fn a_job_runs_from_its_folder_to_its_plugin() {
    let mut rig = rig("plugin = keep");
    rig.plugin("keep", "cat > received; echo $MIG_JOB $MIG_RUN $MIG_ACTION_ID $MIG_ATTEMPT > said");
    rig.platform.answer(3, true);
    rig.at("2026-11-22T12:00:59Z");
    assert_eq!(rig.spool(), [""; 0]);
    rig.at("2026-11-22T12:01:00Z");
    assert_eq!(rig.spool(), [format!("action/inflight {ID}")]);
    rig.at("2026-11-22T12:01:19Z");
    assert_eq!(rig.spool(), [format!("action/inflight {ID}")]);
    rig.at("2026-11-22T12:01:20Z");
    assert_eq!(rig.spool(), [format!("action/done {ID}"), format!("command/done {ID}")]);
    let document = rig.path("runners/job/results/20261122/1000.json");
    let stored = std::fs::read(&document).unwrap();
    assert_eq!(std::fs::read(rig.path("plugins/received")).unwrap(), stored);
    assert_eq!(std::fs::read(rig.path("results/1000.json")).unwrap(), stored);
    let said = std::fs::read_to_string(rig.path("plugins/said")).unwrap();
    assert_eq!(said, format!("job {ID} 1000 1\n"));
    let document: serde_json::Value = serde_json::from_slice(&stored).unwrap();
    assert_eq!(document["commands"].as_array().unwrap().len(), 3);
    assert_eq!((&document["name"], &document["plugin"]), (&"job".into(), &"keep".into()));
    let summary = rig.record(Folder::CommandDone, ID).summary.unwrap();
    assert_eq!((summary.sent, summary.answered, summary.found, summary.missing), (3, 3, 3, 0));
}

#[test]
fn what_is_not_called_completed_is_collected_fifteen_seconds_late() {
    let mut rig = rig("");
    rig.platform.answer(1, false);
    rig.at("2026-11-22T12:01:00Z");
    rig.at("2026-11-22T12:01:20Z");
    rig.at("2026-11-22T12:01:34Z");
    assert!(rig.spool().contains(&format!("action/inflight {ID}")));
    rig.at("2026-11-22T12:01:35Z");
    assert!(rig.spool().contains(&format!("command/done {ID}")));
}

#[test]
fn delayresults_and_sendonly_do_as_they_say() {
    let mut delayed = rig("delayresults = 30s");
    delayed.platform.answer(1, true);
    delayed.at("2026-11-22T12:01:00Z");
    delayed.at("2026-11-22T12:01:49Z");
    assert!(delayed.spool().contains(&format!("action/inflight {ID}")));
    delayed.at("2026-11-22T12:01:50Z");
    assert!(delayed.spool().contains(&format!("command/done {ID}")));

    let mut sent = rig("sendonly = true");
    sent.at("2026-11-22T12:01:00Z");
    assert_eq!(sent.spool(), [format!("action/done {ID}")]);
}

#[test]
fn early_results_are_taken_when_all_agents_have_answered() {
    let mut rig = rig("earlyresults = true\nplugin = p");
    rig.plugin("p", "cat > /dev/null");
    rig.platform.answer(1, false);
    rig.at("2026-11-22T12:01:00Z");
    rig.at("2026-11-22T12:01:05Z");
    assert!(rig.spool().contains(&format!("action/inflight {ID}")));
    rig.platform.answer(1, true);
    rig.at("2026-11-22T12:01:13Z");
    assert!(rig.spool().contains(&format!("command/done {ID}")));
}

#[test]
fn an_answer_that_was_lost_leads_to_one_action() {
    for crash in [false, true] {
        let mut rig = rig("");
        rig.platform.expect(&[Mood::Lose]);
        rig.at("2026-11-22T12:01:00Z");
        assert_eq!(rig.record(Folder::New, ID).request.fate, Fate::Unknown);
        if crash {
            rig.crash();
            rig.start();
        }
        rig.pass(10);
        assert_eq!(rig.spool(), [format!("action/inflight {ID}")], "{crash}");
        assert_eq!(rig.platform.posts(), 1);
    }
}

#[test]
fn an_action_that_a_finished_run_holds_is_not_adopted() {
    // All signatures are the same here, as they are for a signed action that is put in twice.
    let mut rig = rig("");
    rig.platform.answer(1, true);
    rig.at("2026-11-22T12:01:00Z");
    rig.at("2026-11-22T12:01:20Z");
    assert!(rig.spool().contains(&format!("command/done {ID}")));
    for crash in [false, true] {
        rig.platform.expect(&[Mood::Lose]);
        rig.pass(40);
        if crash {
            rig.crash();
            rig.start();
        }
        rig.pass(10);
        rig.pass(20);
    }
    for id in [1000, 1001, 1002] {
        assert!(rig.path(&format!("results/{id}.json")).exists(), "{id}");
    }
    assert_eq!(rig.platform.actions().len(), 3);
}

#[test]
fn what_was_never_received_is_posted_again_only_after_settling() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.job("job", "schedule = \"* 12 * * *\"\nexpiry = 30m");
    rig.start();
    rig.platform.expect(&[Mood::Drop]);
    rig.at("2026-11-22T12:01:00Z");
    rig.job("job", "schedule = \"0 0 1 1 *\"\nexpiry = 30m");
    for second in [1, 10, 60, 119] {
        rig.at(&format!("2026-11-22T12:0{}:{:02}Z", 1 + second / 60, second % 60));
        assert_eq!(rig.platform.posts(), 1, "{second}");
    }
    rig.at("2026-11-22T12:03:01Z");
    rig.pass(2);
    assert_eq!(rig.platform.posts(), 2);
    assert_eq!(rig.platform.actions().len(), 1);
    assert_eq!(rig.spool(), [format!("action/inflight {ID}")]);
}

#[test]
fn a_refused_action_is_a_dead_letter_and_can_be_tried_anew() {
    let mut rig = rig("");
    rig.platform.expect(&[Mood::Refuse]);
    rig.at("2026-11-22T12:01:00Z");
    assert_eq!(rig.spool(), [format!("action/invalid {ID}")]);
    assert!(rig.record(Folder::Invalid, ID).reason.is_some());
    rig.mv(ID, Folder::Invalid, Folder::New);
    rig.pass(1);
    assert_eq!(rig.spool(), [format!("action/inflight {ID}")]);
}

#[test]
fn while_the_api_is_away_one_run_tries_and_the_newest_is_sent() {
    let mut rig = rig("");
    rig.platform.expect(&[Mood::Away; 3]);
    rig.at("2026-11-22T12:01:00Z");
    assert_eq!(rig.spool(), [format!("action/new {ID}")]);
    rig.at("2026-11-22T12:02:00Z");
    rig.at("2026-11-22T12:03:00Z");
    rig.pass(20);
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
fn while_the_api_is_away_nothing_is_posted_before_its_time() {
    let mut rig = rig("expiry = 5m");
    rig.platform.expect(&[Mood::Away; 9]);
    rig.at("2026-11-22T12:01:00Z");
    assert_eq!(rig.platform.posts(), 1);
    // What was signed is still fresh, and waits all the same: a second, then two.
    for posts in 2..4 {
        rig.pass(posts - 1);
        assert_eq!(rig.platform.posts(), usize::try_from(posts).unwrap());
    }
}

#[test]
fn a_failing_plugin_is_tried_again_and_others_are_not_held_up() {
    let mut rig = rig("plugin = bad\nplugin = good");
    rig.plugin("bad", "test -e ../mended");
    rig.plugin("good", "echo x >> count");
    rig.platform.answer(1, true);
    rig.at("2026-11-22T12:01:00Z");
    rig.job("job", "schedule = \"0 0 1 1 *\"");
    rig.at("2026-11-22T12:01:20Z");
    assert!(rig.spool().contains(&format!("command/returned {ID}")));
    assert_eq!(std::fs::read_to_string(rig.path("plugins/count")).unwrap(), "x\n");
    write_private(&rig.path("mended"), "");
    rig.crash();
    rig.start();
    rig.pass(1);
    assert!(rig.spool().contains(&format!("command/done {ID}")), "{:?}", rig.spool());
    assert_eq!(std::fs::read_to_string(rig.path("plugins/count")).unwrap(), "x\n");
}

#[test]
fn a_paused_job_sends_nothing_and_a_slot_fires_once() {
    let mut rig = rig("paused = true");
    rig.at("2026-11-22T12:01:00Z");
    assert_eq!(rig.spool(), [""; 0]);
    rig.job("job", "schedule = \"* * * * *\"\nexpiry = 20s");
    rig.at("2026-11-22T12:01:30Z");
    assert_eq!(rig.spool(), [""; 0]);
    rig.at("2026-11-22T12:02:00Z");
    rig.crash();
    rig.start();
    rig.at("2026-11-22T12:02:05Z");
    assert_eq!(rig.platform.posts(), 1);
    // A clock that was set back fires nothing twice.
    rig.at("2026-11-22T12:01:30Z");
    rig.at("2026-11-22T12:02:10Z");
    assert_eq!(rig.platform.posts(), 1);
}

#[test]
fn commands_that_are_missing_are_asked_for_again_twice() {
    // Found the second time, or never: the pages have two commands each.
    for (hidden, reads, missing) in [(&[1][..], 2, 0), (&[1; 9], 3, 1)] {
        let mut rig = rig("");
        rig.platform.answer(3, true);
        rig.platform.hide(hidden);
        rig.at("2026-11-22T12:01:00Z");
        rig.job("job", "schedule = \"0 0 1 1 *\"");
        rig.at("2026-11-22T12:01:20Z");
        assert!(rig.spool().contains(&format!("command/inflight {ID}")));
        rig.pass(5);
        rig.pass(60);
        assert!(rig.spool().contains(&format!("command/done {ID}")), "{:?}", rig.spool());
        let summary = rig.record(Folder::CommandDone, ID).summary.unwrap();
        assert_eq!((summary.sent, summary.missing), (3, missing));
        // Nobody asks for a page after the last: it is known how many there are.
        let offsets = rig.platform.offsets();
        assert!(offsets.iter().all(|offset| [0, 2].contains(offset)), "{offsets:?}");
        assert_eq!(offsets.iter().filter(|offset| **offset == 0).count(), reads);
    }
}

#[test]
fn an_api_whose_clock_is_ahead_is_not_flooded() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.job("job", "schedule = \"0 1 12 * * * *\"\nexpiry = 20s");
    rig.start();
    rig.platform.expect(&[Mood::CallLate; 100]);
    rig.at("2026-11-22T12:01:00Z");
    assert_eq!(rig.platform.posts(), 1);
    for _ in 0..60 {
        rig.pass(1);
    }
    // Doubling from a second: 1, 2, 4, … with jitter.
    let posts = rig.platform.posts();
    assert!((3..=10).contains(&posts), "{posts}");
}

#[test]
fn questions_that_are_not_answered_put_no_result_off() {
    let mut rig = rig("");
    rig.platform.answer(1, true);
    rig.at("2026-11-22T12:01:00Z");
    rig.job("job", "schedule = \"0 0 1 1 *\"");
    // Another run finds the API away and closes the way for all.
    rig.platform.expect(&[Mood::Away; 9]);
    write_private(
        &rig.path("spool/action/new/a.json"),
        r#"{"name":"a","target":"t","operations":[]}"#,
    );
    rig.pass(5);
    rig.at("2026-11-22T12:01:20Z");
    assert!(rig.spool().contains(&format!("command/done {ID}")), "{:?}", rig.spool());
}
