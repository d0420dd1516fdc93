//! The spool under a running runner: replaced, moved away, and on file systems that look alike.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests do by hand what people do")]

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use super::NEVER;
use crate::rig::process::Process;
use crate::rig::{Rig, make_folder, wait_until};

/// Returns the exit status of the runner when it ends, and its messages.
fn end(mut runner: Process) -> (i32, String) {
    wait_until("its end", || runner.has_ended());
    let messages = runner.messages();
    (runner.wait().code().unwrap(), messages)
}

#[test]
fn a_runner_whose_spool_is_replaced_ends_with_a_message() {
    let mut rig = Rig::new();
    rig.scan_every(1);
    rig.point_at(&rig.address.clone());
    rig.job("job", &format!("{NEVER}\nexpiry = 2s"));
    let runner = rig.runner();
    let (spool, away) = (rig.home("spool"), rig.home("spool.away"));
    fs::rename(&spool, &away).unwrap();
    // As if an empty file system were mounted there.
    make_folder(&spool);
    let (exit, messages) = end(runner);
    assert_eq!(exit, 74, "{messages}");
    let told = format!("the spool {} is no longer the one", spool.display());
    assert!(messages.contains(&told), "{messages}");
    assert_eq!(fs::read_dir(&spool).unwrap().count(), 0, "nothing is written there");
    // With the real one it goes on.
    fs::remove_dir(&spool).unwrap();
    fs::rename(&away, &spool).unwrap();
    let runner = rig.runner();
    let run = rig.trigger("job");
    rig.wait_done(&run);
    runner.stop(Signal::TERM);
}

#[test]
fn a_lock_file_that_is_removed_is_locked_anew() {
    let mut rig = Rig::new();
    rig.scan_every(1);
    rig.point_at(&rig.address.clone());
    let runner = rig.runner();
    fs::remove_file(rig.home("spool/.lock")).unwrap();
    runner.wait_logged("the lock file was gone or another one, and is locked anew", &[]);
    let (exit, messages) = end(rig.start_runner("runner.cfg"));
    assert_eq!(exit, 75, "{messages}");
    runner.stop(Signal::TERM);
}

#[test]
fn jobs_that_are_replaced_are_locked_anew() {
    let mut rig = Rig::new();
    rig.scan_every(1);
    rig.point_at(&rig.address.clone());
    let runner = rig.runner();
    fs::rename(rig.home("runners"), rig.home("runners.old")).unwrap();
    make_folder(&rig.home("runners"));
    runner.wait_logged("the folder of all jobs was replaced, and is locked anew", &[]);
    rig.job("job", &format!("{NEVER}\nexpiry = 2s"));
    runner.wait_logged("job added", &[("job", "job")]);
    // Another runner with a spool of its own would launch every slot a second time.
    rig.write_config("other.cfg", "d", "spool2");
    let (exit, messages) = end(rig.start_runner("other.cfg"));
    assert_eq!(exit, 75, "{messages}");
    runner.stop(Signal::TERM);
}

/// What a mount namespace of its own is for. `$1` is a folder, `$2` the program.
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
fn another_file_system_with_the_same_inodes_is_another_spool_as_root() {
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
    assert!(!read("a.status").contains("No runner works"), "{}", read("a.status"));
    assert!(read("b.status").contains("No runner works"), "{}", read("b.status"));
    assert_eq!(read("exit").trim(), "74", "{}", read("a.err"));
    assert!(read("a.err").contains("another file system is mounted over it"), "{}", read("a.err"));
}
