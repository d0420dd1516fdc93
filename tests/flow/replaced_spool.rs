//! The spool or the jobs folder is replaced, moved away or mounted over while the runner is
//! running.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests change files as the operator does")]

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use super::NEVER;
use crate::rig::process::Process;
use crate::rig::{Rig, make_folder, wait_until};

/// Waits for the end of the runner; returns its exit status and messages.
fn wait_for_end(mut runner: Process) -> (i32, String) {
    wait_until("its end", || runner.has_ended());
    let messages = runner.messages();
    (runner.wait().code().unwrap(), messages)
}

#[test]
fn runner_ends_with_a_message_when_its_spool_is_replaced() {
    let mut rig = Rig::new();
    rig.scan_every(1);
    rig.point_at(&rig.address.clone());
    rig.job("job", &format!("{NEVER}\nexpiry = 2s"));
    let runner = rig.runner();
    let (spool, away) = (rig.home("spool"), rig.home("spool.away"));
    fs::rename(&spool, &away).unwrap();
    // This looks like an empty file system that is mounted there.
    make_folder(&spool);
    let (exit, messages) = wait_for_end(runner);
    assert_eq!(exit, 74, "{messages}");
    let message = format!("the spool {} is no longer the one", spool.display());
    assert!(messages.contains(&message), "{messages}");
    assert_eq!(fs::read_dir(&spool).unwrap().count(), 0, "the runner must not write there");
    // With the real spool, the next start continues.
    fs::remove_dir(&spool).unwrap();
    fs::rename(&away, &spool).unwrap();
    let runner = rig.runner();
    let run = rig.trigger("job");
    rig.wait_done(&run);
    runner.stop(Signal::TERM);
}

#[test]
fn removed_lock_file_is_created_and_locked_again() {
    let mut rig = Rig::new();
    rig.scan_every(1);
    rig.point_at(&rig.address.clone());
    let runner = rig.runner();
    fs::remove_file(rig.home("spool/.lock")).unwrap();
    runner.wait_logged("lock file was missing or replaced; locked a new one", &[]);
    let (exit, messages) = wait_for_end(rig.start_runner("runner.cfg"));
    assert_eq!(exit, 75, "{messages}");
    runner.stop(Signal::TERM);
}

#[test]
fn replaced_jobs_folder_is_locked_again() {
    let mut rig = Rig::new();
    rig.scan_every(1);
    rig.point_at(&rig.address.clone());
    let runner = rig.runner();
    fs::rename(rig.home("runners"), rig.home("runners.old")).unwrap();
    make_folder(&rig.home("runners"));
    runner.wait_logged("jobs folder was replaced; locked the new one", &[]);
    rig.job("job", &format!("{NEVER}\nexpiry = 2s"));
    runner.wait_logged("job added", &[("job", "job")]);
    // Another runner with a spool of its own would launch every slot a second time.
    rig.write_config("other.cfg", "d", "spool2");
    let (exit, messages) = wait_for_end(rig.start_runner("other.cfg"));
    assert_eq!(exit, 75, "{messages}");
    runner.stop(Signal::TERM);
}

/// A shell script for a mount namespace of its own. `$1` is a folder, `$2` the program.
const SCRIPT: &str = r#"
set -eu
cd "$1"
runner=
trap 'test -z "$runner" || kill -9 $runner' EXIT
wait_for() { i=0; until "$@"; do i=$((i+1)); test $i -lt 1200 || { echo "in vain: $*"; exit 1; }; sleep 0.05; done; }
ready() { grep -q '"ready"' "$1.log"; }
for name in a b; do
    mount -t tmpfs -o mode=0700 none $name
done
for name in b a; do
    "$2" -c $name.cfg > $name.log 2> $name.err & runner=$!
    wait_for ready $name
    if test $name = b; then kill $runner; wait $runner; runner=; fi
done
test $(stat -c %i a/.lock) = $(stat -c %i b/.lock) || { echo "other inodes"; exit 2; }
"$2" -c a.cfg status > a.status || true
"$2" -c b.cfg status > b.status || true
mount -t tmpfs none a
gone() { ! grep -qs 'State:.*[SRD] (' /proc/$runner/status; }
wait_for gone
set +e
wait $runner
echo $? > exit
runner=
"#;

#[test]
fn file_system_with_the_same_inodes_is_another_spool_as_root() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can mount");
        return;
    }
    let mut rig = Rig::new();
    rig.scan_every(1);
    rig.point_at(&rig.address.clone());
    for name in ["a", "b"] {
        make_folder(&rig.path(&format!("d{name}")));
        make_folder(&rig.path(name));
        let spool = rig.path(name).display().to_string();
        rig.write_config(&format!("{name}.cfg"), &format!("d{name}"), &spool);
    }
    let done = Command::new("unshare")
        .args(["-m", "/bin/sh", "-c", SCRIPT, "sh"])
        .arg(rig.path(""))
        .arg(env!("CARGO_BIN_EXE_mig-runner"))
        .env("HOME", rig.path(""))
        .output()
        .unwrap();
    let read = |name: &str| fs::read_to_string(rig.path(name)).unwrap_or_default();
    assert!(done.status.success(), "{done:?} {} {}", read("a.err"), read("b.err"));
    assert!(!read("a.status").contains("No runner is running"), "{}", read("a.status"));
    assert!(read("b.status").contains("No runner is running"), "{}", read("b.status"));
    assert_eq!(read("exit").trim(), "74", "{}", read("a.err"));
    assert!(read("a.err").contains("another file system is mounted over it"), "{}", read("a.err"));
}
