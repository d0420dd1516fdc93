//! The scheduler's steps, with a clock that is set by hand and the test in place of the agent.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests put the spool into states that a crash leaves"
)]

use std::sync::mpsc::channel;

use jiff::SignedDuration;

use super::commands::empty_results;
use super::testing::{ACTION, Rig, action, agent, answer, noon, scheduler};
use super::*;
use crate::data::testing::{DatabaseKind as Kind, on_each_database};

on_each_database!(
    action_passes_through_its_folders,
    action_waits_for_the_start_of_its_period,
    action_found_after_its_end_is_invalid,
    command_at_an_agent_expires_shortly_after_its_action,
    command_is_sent_again_after_a_kill_or_expires,
    crash_between_two_steps_loses_no_work,
    damaged_answer_is_set_aside_and_the_command_expires,
    completed_action_is_not_sent_again,
    foreign_file_is_ignored_and_delays_no_entry,
    silent_agent_becomes_idle_and_then_offline,
    retention_applies_to_files_and_rows,
    stop_saves_arrived_answers_and_begins_nothing
);

fn stop_saves_arrived_answers_and_begins_nothing(kind: Kind) {
    let mut rig = Rig::new(kind);
    let stop = Stop::new();
    rig.scheduler.stop = stop.clone();
    stop.request();
    rig.collect_after(0);
    assert_eq!((rig.used_folders(), rig.status().as_str()), (Vec::new(), "pending"));
    let mut rig = rig.restart();
    rig.collect_after(0);
    let command = rig.commands.try_recv().unwrap();
    rig.scheduler.stop = stop;
    let (inbox, events) = channel();
    inbox.deliver(AgentMessage::Answer(answer(&command, "[]"))).unwrap();
    let Rig { tables, clock, store, scheduler: stopping, .. } = rig;
    stopping.run(&events);
    let (scheduler, commands) = scheduler(&tables.folder().join("spool"), &store, &clock);
    let mut rig = Rig { tables, clock, store, scheduler, commands };
    assert_eq!(rig.used_folders(), ["action/inflight", "command/inflight", "command/returned"]);
    rig.collect_after(1);
    assert!(rig.commands.try_recv().is_err(), "the command is sent again");
    assert_eq!((rig.status().as_str(), rig.command().status.as_str()), ("completed", "success"));
}

fn action_passes_through_its_folders(kind: Kind) {
    let mut rig = Rig::new(kind);
    rig.collect_after(0);
    assert_eq!(rig.used_folders(), ["action/inflight", "command/inflight"]);
    assert_eq!(rig.status(), "inflight");
    let command = rig.commands.try_recv().unwrap();
    rig.collect_after(1);
    assert!(rig.commands.try_recv().is_err(), "the command is sent twice");
    rig.answer(&command);
    rig.collect_after(2);
    assert_eq!(rig.used_folders(), ["action/done", "command/done"]);
    assert_eq!(rig.status(), "completed");
    assert_eq!(rig.command().status, "success");
    let kept = std::fs::read_to_string(rig.path("action/done/7.json")).unwrap();
    assert!(kept.contains("\"operations\":null") && kept.contains("\"success\":1"), "{kept}");
}

fn action_waits_for_the_start_of_its_period(kind: Kind) {
    let mut rig = Rig::new(kind);
    rig.collect_after(-120);
    assert_eq!((rig.used_folders(), rig.status().as_str()), (Vec::new(), "pending"));
}

fn action_found_after_its_end_is_invalid(kind: Kind) {
    let mut rig = Rig::new(kind);
    rig.collect_after(61);
    assert_eq!(
        (rig.used_folders(), rig.status().as_str()),
        (vec!["action/invalid".to_owned()], "invalid")
    );
}

fn command_at_an_agent_expires_shortly_after_its_action(kind: Kind) {
    let mut rig = Rig::new(kind);
    rig.collect_after(0);
    let command = rig.commands.try_recv().unwrap();
    rig.collect_after(61);
    assert_eq!(rig.command().status, "sent");
    rig.collect_after(63);
    assert_eq!((rig.command().status.as_str(), rig.status().as_str()), ("expired", "completed"));
    rig.answer(&command);
    rig.collect_after(64);
    assert_eq!(rig.command().status, "expired", "a stored status changed");
    assert!(rig.scheduler.unsaved_answers.is_empty());
}

fn command_is_sent_again_after_a_kill_or_expires(kind: Kind) {
    let mut rig = Rig::new(kind);
    rig.collect_after(0);
    rig = rig.restart();
    rig.collect_after(1);
    assert_eq!(rig.commands.try_recv().unwrap().id, rig.command().id.number());
    rig = rig.restart();
    rig.collect_after(61);
    assert!(rig.commands.try_recv().is_err());
    assert_eq!(rig.status(), "completed");
}

/// Undoes the step after each step of the scheduler, as a crash between the two does.
fn crash_between_two_steps_loses_no_work(kind: Kind) {
    let copy = |rig: &Rig, from: &str, to: &str| {
        let (from, to) = (rig.path(from), rig.path(to));
        for file in from.read_dir().unwrap().map(|file| file.unwrap().file_name()) {
            std::fs::copy(from.join(&file), to.join(&file)).unwrap();
        }
    };
    let clear = |rig: &Rig, folder: &str| {
        for file in rig.path(folder).read_dir().unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
    };
    type Crash<'a> = &'a dyn Fn(&Rig);
    let crashes: [(&str, Crash<'_>); 5] = [
        ("no crash", &|_| {}),
        ("in new although inflight", &|rig| {
            copy(rig, "action/inflight", "action/new");
            clear(rig, "action/inflight");
        }),
        ("in new and in inflight", &|rig| copy(rig, "action/inflight", "action/new")),
        ("no command files", &|rig| clear(rig, "command/inflight")),
        ("ready and inflight", &|rig| copy(rig, "command/inflight", "command/ready")),
    ];
    for (what, crash) in crashes {
        let mut rig = Rig::new(kind);
        rig.collect_after(0);
        crash(&rig);
        rig = rig.restart();
        rig.collect_after(1);
        assert_eq!(rig.used_folders(), ["action/inflight", "command/inflight"], "{what}");
        let command = rig.commands.try_recv().unwrap();
        rig.answer(&command);
        rig.collect_after(2);
        copy(&rig, "command/done", "command/inflight");
        copy(&rig, "action/done", "action/inflight");
        rig = rig.restart();
        rig.collect_after(3);
        rig.collect_after(4);
        assert_eq!(rig.used_folders(), ["action/done", "command/done"], "{what}");
        assert_eq!(rig.store.command_counts(ACTION).unwrap().all(), 1, "{what}");
    }
}

fn damaged_answer_is_set_aside_and_the_command_expires(kind: Kind) {
    let mut rig = Rig::new(kind);
    rig.collect_after(0);
    let name = EntryName::command(ACTION, rig.command().id).to_string();
    std::fs::write(rig.path("command/returned").join(&name), "{\"status\":\"sent\"").unwrap();
    rig.collect_after(1);
    assert!(rig.path("command/returned").join(format!("{name}.fail")).exists());
    rig.collect_after(64);
    assert_eq!(rig.command().status, "expired");
}

fn completed_action_is_not_sent_again(kind: Kind) {
    let mut rig = Rig::new(kind);
    rig.collect_after(0);
    let command = rig.commands.try_recv().unwrap();
    rig.answer(&command);
    rig.collect_after(1);
    std::fs::rename(rig.path("action/done/7.json"), rig.path("action/new/7.json")).unwrap();
    rig.collect_after(2);
    assert_eq!(rig.used_folders(), ["action/done", "command/done"]);
    assert!(rig.commands.try_recv().is_err());
}

fn foreign_file_is_ignored_and_delays_no_entry(kind: Kind) {
    let mut rig = Rig::new(kind);
    for name in ["notes.txt", "99.json", ".hidden"] {
        std::fs::write(rig.path("action/new").join(name), "x").unwrap();
    }
    rig.collect_after(0);
    assert_eq!(rig.status(), "inflight");
    assert!(rig.path("action/new/99.json").exists());
    assert_eq!(rig.scheduler.failures.len(), 1);
}

fn silent_agent_becomes_idle_and_then_offline(kind: Kind) {
    let mut rig = Rig::new(kind);
    for (seconds, status) in [(2999, "online"), (3001, "idle"), (36_001, "offline")] {
        rig.collect_after(seconds);
        assert_eq!(rig.store.agent(agent().id).unwrap().unwrap().status, status, "{seconds}");
    }
    assert_eq!(rig.store.disappeared_endpoints().unwrap(), 1);
}

fn retention_applies_to_files_and_rows(kind: Kind) {
    let mut rig = Rig::new(kind);
    let days = |days: i64| noon() + SignedDuration::from_hours(24 * days);
    let late = ActionRow { expireafter: days(400), ..action("1=1") };
    let (bad, waits) = (Id::new(8), Id::new(9));
    let invalid = ActionRow { id: bad, target: "nonsense(".to_owned(), ..late.clone() };
    rig.store.insert_action(&invalid, &[]).unwrap();
    // An unfinished action stays, however old it is.
    let owed = ActionRow { id: waits, validfrom: days(300), ..late };
    rig.store.insert_action(&owed, &[]).unwrap();
    rig.collect_after(0);
    rig.collect_after(120);
    assert_eq!(rig.used_folders(), ["action/done", "action/invalid", "command/done"]);
    std::fs::write(rig.path("command/returned/7-7.json.fail"), "?").unwrap();
    std::fs::write(rig.path("action/done/mine"), "!").unwrap();
    for folder in rig.used_folders() {
        for file in rig.path(&folder).read_dir().unwrap() {
            let file = std::fs::File::open(file.unwrap().path()).unwrap();
            file.set_modified(noon().into()).unwrap();
        }
    }
    let mut on = |day| {
        rig.clock.set(days(day));
        rig.scheduler.collect();
        let kept = |id| rig.store.action(id).unwrap().is_some();
        (
            rig.used_folders().len(),
            [ACTION, bad, waits].map(kept),
            rig.store.commands_of(ACTION).unwrap().len(),
        )
    };
    assert_eq!(on(6), (4, [true, true, true], 1));
    assert_eq!(on(8), (1, [true, true, true], 1), "only the foreign file is left in the spool");
    assert_eq!(on(29), (1, [false, false, true], 0));
}

#[test]
fn empty_results_are_one_per_operation() {
    assert_eq!(empty_results("null").unwrap(), "[]");
    let results = empty_results(r#"[{"module":"file"},{}]"#).unwrap();
    assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&results).unwrap().len(), 2);
}
