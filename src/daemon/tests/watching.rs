//! Watches that are lost, cannot be had, and are restored.
#![expect(clippy::disallowed_methods, reason = "tests do by hand what people do")]

use std::fs;
use std::process::Command;
use std::sync::Arc;

use super::super::testing::Rig;
use crate::clock::Clock as _;
use crate::disk::Fs;
use crate::disk::counting::CountingFs;
use crate::testing::{make_private, skip, write_private};
use crate::wake::Hint;

const NEVER: &str = "schedule = \"0 0 1 1 * 2099\"\nexpiry = 20s";
const NOW: &str = "2026-11-22T12:00:30Z";
/// The name of the test that runs where inotify is used up.
const USED_UP: &str = "daemon::tests::watching::watches_are_had_as_soon_as_the_system_gives_them";
/// How many inotify instances the users of a namespace may have.
const INSTANCES: &str = "/proc/sys/user/max_inotify_instances";

fn drop_in(rig: &Rig, name: &str) {
    let action = r#"{"name":"by hand","target":"status='online'","operations":[]}"#;
    write_private(&rig.path(name), action);
}

#[test]
fn what_changed_before_watching_was_restored_is_seen_by_the_same_look() {
    let mut rig = Rig::new(NOW);
    let fs = Arc::new(CountingFs::default());
    rig.fs = Arc::clone(&fs) as Arc<dyn Fs>;
    rig.job("job", NEVER);
    rig.start_watching();
    // The spool's folder is made anew, and everything watched again; the job changes just before that.
    fs::remove_dir_all(rig.path("spool/action/new")).unwrap();
    let (config, new) = (rig.path("runners/job/entity.cfg"), format!("{NEVER}\npaused = true"));
    fs.on_next_make_folder(move || {
        write_private(&config, &format!("[configuration]\n{new}\n"));
    });
    let job = "job".parse().unwrap();
    assert_eq!(rig.engine().parts.calendar.state(&job), crate::stage::submit::JobState::Ready);
    rig.look();
    assert_eq!(rig.engine().parts.calendar.state(&job), crate::stage::submit::JobState::Paused);
}

#[test]
fn folders_that_were_away_are_watched_again_and_what_is_in_them_is_seen() {
    let mut rig = Rig::new(NOW);
    rig.job("job", NEVER);
    rig.start_watching();
    // The jobs' folder is removed, and cannot be watched when the event comes.
    fs::rename(rig.path("runners"), rig.path("old")).unwrap();
    let runners = rig.path("runners");
    rig.hear_until(|engine| !engine.is_watched(&runners));
    make_private(&rig.path("runners"));
    rig.look();
    // From here on nothing is looked at but where hints lead.
    rig.job("other", NEVER);
    rig.hear_until(|engine| engine.parts.calendar.count() == (1, 0));
    // The spool is replaced by a copy, which causes no event in a watched folder.
    for family in ["action", "command"] {
        let (here, away) = (rig.path("spool").join(family), rig.path(family));
        fs::rename(&here, &away).unwrap();
        assert!(Command::new("cp").arg("-a").args([&away, &here]).status().unwrap().success());
    }
    rig.look();
    drop_in(&rig, "spool/action/new/mine.json");
    rig.hear_until(|engine| engine.index.iter().count() == 1);
}

#[test]
fn events_that_were_lost_lead_to_a_look_at_everything() {
    let mut rig = Rig::new(NOW);
    rig.start_watching();
    rig.job("job", NEVER);
    drop_in(&rig, "spool/action/new/mine.json");
    rig.hear(Hint::Everything);
    assert_eq!(rig.engine().parts.calendar.count(), (1, 0));
    assert_eq!(rig.engine().index.iter().count(), 1);
}

#[test]
fn watches_are_had_as_soon_as_the_system_gives_them() {
    // Only in a namespace of its own may a test take inotify from all: see below.
    let is_there = std::env::vars().any(|(name, _)| name == "MIG_TEST_NAMESPACE");
    if !is_there {
        return;
    }
    fs::write(INSTANCES, "0").unwrap();
    let mut rig = Rig::new(NOW);
    rig.job("job", NEVER);
    rig.start_watching();
    assert!(!rig.engine().is_watched(&rig.path("runners")));
    // Without watches all is found by scans, also what a person puts into `action/done`.
    drop_in(&rig, "spool/action/new/first.json");
    rig.look();
    assert_eq!(rig.engine().index.iter().count(), 1);
    fs::write(INSTANCES, "100").unwrap();
    rig.look();
    assert!(rig.engine().is_watched(&rig.path("runners")));
    drop_in(&rig, "spool/action/new/second.json");
    rig.hear_until(|engine| engine.index.iter().count() == 2);
    rig.job("job", &format!("{NEVER}\npaused = true"));
    let job = "job".parse().unwrap();
    rig.hear_until(|engine| {
        engine.parts.calendar.state(&job) == crate::stage::submit::JobState::Paused
    });
}

#[test]
fn watches_that_the_system_does_not_give_are_asked_for_again() {
    let namespace = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user"]).env("MIG_TEST_NAMESPACE", "1");
        command
    };
    let mut probe = namespace();
    probe.args(["sh", "-c", &format!("echo 100 > {INSTANCES}")]);
    if !probe.output().is_ok_and(|output| output.status.success()) {
        return skip("there is no namespace of users");
    }
    let test = std::env::current_exe().unwrap();
    let output = namespace().arg(test).args(["--exact", USED_UP]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn a_runs_attempts_are_forgotten_when_its_entry_stays_away() {
    let mut rig = Rig::new(NOW);
    rig.job("job", "schedule = \"* * * * *\"\nexpiry = 20s");
    rig.start();
    rig.platform.expect(&[super::Mood::Lose]);
    rig.platform.blind();
    rig.at("2026-11-22T12:01:00Z");
    rig.job("job", NEVER);
    let entry = rig.path("spool/action/new/job.20261122T120100Z.json");
    fs::remove_file(entry).unwrap();
    rig.pass(1);
    assert_eq!(rig.engine().remembered(), 1);
    rig.pass(115);
    assert_eq!(rig.engine().remembered(), 1);
    // An unanswered POST can have no effect any more.
    rig.pass(10);
    assert_eq!(rig.engine().remembered(), 0);
    assert!(rig.clock.now() > NOW.parse().unwrap());
}
