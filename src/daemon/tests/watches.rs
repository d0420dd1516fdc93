//! Watches that are lost, unavailable and restored.
#![expect(clippy::disallowed_methods, reason = "tests change files as the operator does")]

use std::fs;
use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;

use super::super::testing::Rig;
use crate::clock::Clock as _;
use crate::disk::counting::CountingFs;
use crate::disk::{COMMAND_PREFIX, Disk, Fs, RealFs};
use crate::testing::{copy_of_this_program, make_private, private_folder, skip, write_private};
use crate::wake::Hint;

const NEVER: &str = "schedule = \"0 0 1 1 * 2099\"\nexpiry = 20s";
const NOW: &str = "2026-11-22T12:00:30Z";
/// The name of the test that runs in a namespace without inotify instances.
const WITHOUT_INOTIFY: &str =
    "daemon::tests::watches::watches_are_set_as_soon_as_inotify_is_available";
/// Maximum number of inotify instances of the users of a namespace.
const INSTANCES: &str = "/proc/sys/user/max_inotify_instances";

fn drop_in(rig: &Rig, name: &str) {
    let action = r#"{"name":"by hand","target":"status='online'","operations":[]}"#;
    write_private(&rig.path(name), action);
}

#[test]
fn change_before_watches_are_restored_is_seen_by_the_same_scan() {
    let mut rig = Rig::new(NOW);
    let fs = Arc::new(CountingFs::default());
    rig.fs = Arc::clone(&fs) as Arc<dyn Fs>;
    rig.write_job("job", NEVER);
    rig.start_watching();
    // The scan creates the spool's folder again and sets all watches again; the job changes just
    // before.
    fs::remove_dir_all(rig.path("spool/action/new")).unwrap();
    let (config, new) = (rig.path("runners/job/entity.cfg"), format!("{NEVER}\npaused = true"));
    fs.on_next_make_folder(move || {
        write_private(&config, &format!("[configuration]\n{new}\n"));
    });
    let job = "job".parse().unwrap();
    assert_eq!(rig.engine().parts().calendar.state(&job), crate::stage::submit::JobState::Ready);
    rig.scan();
    assert_eq!(rig.engine().parts().calendar.state(&job), crate::stage::submit::JobState::Paused);
}

#[test]
fn replaced_folders_are_watched_again() {
    let mut rig = Rig::new(NOW);
    rig.write_job("job", NEVER);
    rig.start_watching();
    // The jobs folder is removed, and cannot be watched when the event arrives.
    fs::rename(rig.path("runners"), rig.path("old")).unwrap();
    let runners = rig.path("runners");
    rig.run_until(|engine| !engine.scan().is_watched(&runners));
    make_private(&rig.path("runners"));
    rig.scan();
    // From here on, only the paths of events are scanned.
    rig.write_job("other", NEVER);
    rig.run_until(|engine| engine.parts().calendar.count() == (1, 0));
    // A copy replaces the spool, which causes no event in a watched folder.
    for family in ["action", "command"] {
        let (here, away) = (rig.path("spool").join(family), rig.path(family));
        fs::rename(&here, &away).unwrap();
        assert!(Command::new("cp").arg("-a").args([&away, &here]).status().unwrap().success());
    }
    rig.scan();
    drop_in(&rig, "spool/action/new/mine.json");
    rig.run_until(|engine| engine.index().iter().count() == 1);
}

#[test]
fn scan_takes_one_call_for_a_watched_job() {
    const JOBS: usize = 200;
    let mut rig = Rig::new(NOW);
    let fs = Arc::new(CountingFs::default());
    rig.fs = Arc::clone(&fs) as Arc<dyn Fs>;
    for number in 0..JOBS {
        rig.write_job(&format!("job{number}"), NEVER);
    }
    let disk = Disk::new(Arc::new(RealFs), rig.path("unused"), COMMAND_PREFIX);
    if !disk.is_local(&rig.path("runners/job0")) {
        return skip("this file system does not report all changes");
    }
    rig.start_watching();
    let mut cost = || {
        fs.reset();
        rig.scan();
        fs.metas()
    };
    // The folders of the spool and the slots of the jobs cost the same in each scan. One job in
    // twenty costs three calls.
    let (first, second) = (cost(), cost());
    assert_eq!(first, second);
    assert!((JOBS..JOBS + JOBS / 10 + 50).contains(&first), "{first}");
    // After lost events, the files are examined as well.
    fs.reset();
    rig.send_hint(Hint::Everything);
    assert!(fs.metas() > 3 * JOBS, "{}", fs.metas());
    fs.reset();
    rig.scan();
    assert_eq!(fs.metas(), first);
}

#[test]
fn write_before_lost_events_is_found() {
    let mut rig = Rig::new(NOW);
    rig.write_job("job", NEVER);
    rig.start_watching();
    rig.write_job("job", &format!("{NEVER}\npaused = true"));
    // The event of the write is lost.
    rig.send_hint(Hint::Everything);
    let job = "job".parse().unwrap();
    assert_eq!(rig.engine().parts().calendar.state(&job), crate::stage::submit::JobState::Paused);
}

#[test]
fn write_to_a_file_that_stays_open_is_found_by_the_next_scan() {
    let mut rig = Rig::new(NOW);
    rig.write_job("job", NEVER);
    rig.write_job("cut", &format!("{NEVER}\npaused = true"));
    rig.start_watching();
    rig.scan();
    let path = |job: &str| rig.path("runners").join(job).join("entity.cfg");
    let open = |job| fs::File::options().append(true).open(path(job)).unwrap();
    let (mut written, cut) = (open("job"), open("cut"));
    written.write_all(b"paused = true\n").unwrap();
    let kept = fs::read_to_string(path("cut")).unwrap().replace("paused = true\n", "");
    cut.set_len(u64::try_from(kept.len()).unwrap()).unwrap();
    // The events of the writes come before that of another job.
    rig.write_job("later", NEVER);
    rig.run_until(|engine| engine.parts().calendar.count() == (3, 0));
    rig.scan();
    let state = |job: &str| rig.engine().parts().calendar.state(&job.parse().unwrap());
    use crate::stage::submit::JobState;
    assert_eq!((state("job"), state("cut")), (JobState::Paused, JobState::Ready));
    drop((written, cut));
}

#[test]
fn lost_events_lead_to_a_full_scan() {
    let mut rig = Rig::new(NOW);
    rig.start_watching();
    rig.write_job("job", NEVER);
    drop_in(&rig, "spool/action/new/mine.json");
    rig.send_hint(Hint::Everything);
    rig.recheck_files();
    assert_eq!(rig.engine().parts().calendar.count(), (1, 0));
    assert_eq!(rig.engine().index().iter().count(), 1);
}

#[test]
fn watches_are_set_as_soon_as_inotify_is_available() {
    // A test may disable inotify only in a namespace of its own: see the next test.
    let is_isolated = std::env::vars().any(|(name, _)| name == "MIG_TEST_NAMESPACE");
    if !is_isolated {
        return;
    }
    fs::write(INSTANCES, "0").unwrap();
    let mut rig = Rig::new(NOW);
    rig.write_job("job", NEVER);
    rig.start_watching();
    assert!(!rig.engine().scan().is_watched(&rig.path("runners")));
    // Without watches, scans find everything.
    drop_in(&rig, "spool/action/new/first.json");
    rig.scan();
    rig.recheck_files();
    assert_eq!(rig.engine().index().iter().count(), 1);
    fs::write(INSTANCES, "100").unwrap();
    rig.scan();
    assert!(rig.engine().scan().is_watched(&rig.path("runners")));
    drop_in(&rig, "spool/action/new/second.json");
    rig.run_until(|engine| engine.index().iter().count() == 2);
    rig.write_job("job", &format!("{NEVER}\npaused = true"));
    let job = "job".parse().unwrap();
    rig.run_until(|engine| {
        engine.parts().calendar.state(&job) == crate::stage::submit::JobState::Paused
    });
}

#[test]
fn watches_are_retried_in_a_namespace_without_inotify() {
    let namespace = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user"]).env("MIG_TEST_NAMESPACE", "1");
        command
    };
    let mut probe = namespace();
    probe.args(["sh", "-c", &format!("echo 100 > {INSTANCES}")]);
    if !probe.output().is_ok_and(|output| output.status.success()) {
        return skip("user namespaces are not available");
    }
    let folder = private_folder();
    let test = copy_of_this_program(folder.path());
    let output = namespace().arg(test).args(["--exact", WITHOUT_INOTIFY]).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && printed.contains("1 passed"), "{output:?}");
}

#[test]
fn attempts_are_forgotten_when_the_entry_stays_away() {
    let mut rig = Rig::new(NOW);
    rig.write_job("job", "schedule = \"* * * * *\"\nexpiry = 20s");
    rig.start();
    rig.platform.script_replies(&[super::PostReply::LoseAnswer]);
    rig.platform.find_nothing();
    rig.run_at("2026-11-22T12:01:00Z");
    rig.write_job("job", NEVER);
    let entry = rig.path("spool/action/new/job.20261122T120100Z.json");
    fs::remove_file(entry).unwrap();
    rig.advance(1);
    assert_eq!(rig.engine().remembered(), 1);
    rig.advance(115);
    assert_eq!(rig.engine().remembered(), 1);
    // The unanswered POST can no longer take effect.
    rig.advance(10);
    assert_eq!(rig.engine().remembered(), 0);
    assert!(rig.clock.now() > NOW.parse().unwrap());
}
