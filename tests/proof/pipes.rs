//! Named pipes in the place of files: the runner never waits for their other end.

use std::process::Command;

use rustix::process::Signal;

use crate::rig::runs::{End, KilledRuns};
use crate::rig::{Rig, make_folder, wait_until};

fn mkfifo(rig: &Rig, path: &str) {
    let made = Command::new("mkfifo").args(["-m", "600"]).arg(rig.home(path)).status().unwrap();
    assert!(made.success());
}

#[test]
fn pipe_in_the_place_of_a_file_does_not_block_the_runner() {
    let rig = Rig::new();
    let mut lives = KilledRuns::new(&rig);
    let folders =
        ["action/new", "action/inflight", "command/ready", "command/inflight", "command/returned"];
    for folder in folders {
        let name = folder.replace('/', "-");
        mkfifo(&rig, &format!("spool/{folder}/{name}.20261122T120000Z.json"));
    }
    // A process that simply opens one of these for reading waits forever.
    for (job, file) in [("config", "entity.cfg"), ("action", "action.json")] {
        make_folder(&rig.home(&format!("runners/{job}")));
        mkfifo(&rig, &format!("runners/{job}/{file}"));
    }
    mkfifo(&rig, "spool/.slots/gone");
    mkfifo(&rig, "spool/.tmp/runner-1-0");
    mkfifo(&rig, "plugins/pipe");
    rig.job("piped", "schedule = \"0 0 1 1 *\"\nplugin = pipe");
    let mut runner = rig.runner();
    let run = rig.trigger("job");
    assert_eq!(lives.wait_end(&run, &mut runner), End::RunFinished);
    wait_until("the pipes among the dead letters", || {
        let letters = rig.entries("action/invalid");
        folders.iter().all(|folder| {
            let name = folder.replace('/', "-");
            letters.iter().any(|letter| letter.starts_with(&name) && letter.ends_with(".reason"))
        })
    });
    lives.check_and_remove(&run, "pipes");
    // The same while the runner is running.
    mkfifo(&rig, "spool/action/new/late.json");
    wait_until("the pipe among the dead letters", || {
        rig.entries("action/invalid").contains(&"late.json.reason".to_owned())
    });
    let run = rig.trigger("job");
    assert_eq!(lives.wait_end(&run, &mut runner), End::RunFinished);
    lives.check_and_remove(&run, "pipes");
    runner.stop(Signal::TERM);
    lives.tally.close("pipes");
}
