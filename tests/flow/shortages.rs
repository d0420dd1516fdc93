//! Temporary shortages of disk space, descriptors and processes: a start that fails may be
//! repeated.

use std::path::Path;
use std::process::{Command, Output};

use rustix::process::Signal;

use super::NEVER;
use crate::rig::Rig;

/// The exit statuses of temporary failures.
const TEMPORARY: [i32; 3] = [71, 74, 75];
/// A shell script: mounts a small disk over the folder `$1`, copies its files there, fills the
/// disk, and executes the remaining arguments.
const FILLED: &str = "
set -e
place=$1; shift
cp -a \"$place\" \"$place.copy\"; rm -f \"$place\".copy/S.*
mount -t tmpfs -o \"$OPTIONS\" tmpfs \"$place\"
cp -a \"$place.copy/.\" \"$place/\"; rm -rf \"$place.copy\"
if [ \"$FILL\" = bytes ]; then
    dd if=/dev/zero of=\"$place/filler\" bs=4k 2> /dev/null || true
else
    mkdir \"$place/.filler\"; number=0
    while touch \"$place/.filler/$number\" 2> /dev/null; do number=$((number + 1)); done
fi
exec \"$@\"";

/// Runs a command while the disk at `folder` is full.
fn on_full_disk(folder: &Path, fill: &str, command: &Command) -> Output {
    let options = if fill == "bytes" { "size=400k,mode=700" } else { "nr_inodes=60,mode=700" };
    let mut unshare = Command::new("unshare");
    unshare
        .args(["--mount", "--propagation", "private", "sh", "-c", FILLED, "sh"])
        .arg(folder)
        .arg(command.get_program())
        .args(command.get_args())
        .env("OPTIONS", options)
        .env("FILL", fill)
        .env_remove("GNUPGHOME");
    unshare.output().unwrap()
}

/// Returns whether a disk can be mounted here, and prints a message if not.
fn can_mount() -> bool {
    let mut mounted = Command::new("unshare");
    mounted.args(["--mount", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]);
    let is_root = rustix::process::geteuid().is_root();
    let may = is_root && mounted.output().is_ok_and(|output| output.status.success());
    if !may {
        eprintln!("skipped: this test mounts a disk, which requires root and the right to mount");
    }
    may
}

/// Ends the GnuPG agent, which would otherwise answer without using the full disk.
fn end_gpg_agent(rig: &Rig) {
    let mut gpgconf = Command::new("gpgconf");
    gpgconf.arg("--homedir").arg(rig.key.home()).args(["--kill", "all"]);
    assert!(gpgconf.status().unwrap().success());
}

/// Returns a command that runs another one and sends it SIGTERM after `seconds`.
fn stopped_after(seconds: u32, command: &Command) -> Command {
    let mut limited = Command::new("timeout");
    // Without --foreground, timeout sends SIGTERM twice: to the command and to its group. The runner
    // exits at once at the second signal.
    limited.args(["--foreground", "--signal=TERM"]).arg(seconds.to_string());
    limited.arg(command.get_program()).args(command.get_args());
    limited
}

fn check_temporary(output: &Output, text: &str) {
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(TEMPORARY.contains(&output.status.code().unwrap()), "{output:?}");
    assert!(messages.contains(text), "{messages}");
    assert!(!messages.contains("no secret key"), "{messages}");
}

#[test]
fn gnupg_home_on_a_full_disk_is_not_a_missing_key_as_root() {
    if !can_mount() {
        return;
    }
    let rig = Rig::new();
    for fill in ["bytes", "inodes"] {
        end_gpg_agent(&rig);
        let command = rig.mig_runner("runner.cfg", &["run"]);
        let output = on_full_disk(rig.key.home(), fill, &command);
        check_temporary(&output, "No space left on device");
    }
    // A key that is really missing is still an error of the configuration.
    end_gpg_agent(&rig);
    std::fs::remove_dir_all(rig.key.home().join("private-keys-v1.d")).unwrap();
    let output = rig.mig_runner("runner.cfg", &["run"]).output().unwrap();
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("no secret key"), "{output:?}");
}

#[test]
fn lack_of_descriptors_is_not_a_configuration_error() {
    let rig = Rig::new();
    rig.job("job", NEVER);
    let action = rig.home("runners/job/action.json");
    let command =
        rig.mig_runner("runner.cfg", &["action", action.to_str().unwrap(), "--json", "--sign"]);
    for files in [5, 6] {
        let mut limited = Command::new("prlimit");
        limited.arg(format!("--nofile={files}:{files}"));
        limited.arg(command.get_program()).args(command.get_args()).env_remove("GNUPGHOME");
        check_temporary(&limited.output().unwrap(), "Too many open files");
    }
}

#[test]
fn runner_starts_on_a_spool_without_a_free_file_as_root() {
    if !can_mount() {
        return;
    }
    let rig = Rig::new();
    rig.runner().stop(Signal::TERM);
    let command = rig.mig_runner("runner.cfg", &["run"]);
    let output = on_full_disk(&rig.home("spool"), "inodes", &stopped_after(10, &command));
    let said = String::from_utf8_lossy(&output.stdout);
    for message in ["disk is full; starting anyway", "\"ready\"", "\"stopped\""] {
        assert!(said.contains(message), "{message}: {output:?}");
    }
}

#[test]
fn runner_starts_when_spool_and_key_share_a_disk_without_a_free_file_as_root() {
    if !can_mount() {
        return;
    }
    let rig = Rig::new();
    rig.write_config("shared.cfg", "d", rig.key.home().join("spool").to_str().unwrap());
    let runner = rig.start_runner("shared.cfg");
    runner.wait_logged("ready", &[]);
    runner.stop(Signal::TERM);
    end_gpg_agent(&rig);
    let command = rig.mig_runner("shared.cfg", &["run"]);
    let output = on_full_disk(rig.key.home(), "inodes", &stopped_after(10, &command));
    let said = String::from_utf8_lossy(&output.stdout);
    for message in ["cannot use the key yet", "\"ready\"", "\"stopped\""] {
        assert!(said.contains(message), "{message}: {output:?}");
    }
}

#[test]
fn platform_init_on_a_full_disk_is_a_temporary_failure_as_root() {
    if !can_mount() {
        return;
    }
    let rig = Rig::new();
    let place = rig.path("small");
    crate::rig::make_folder(&place);
    let mut command = Command::new(env!("CARGO_BIN_EXE_mig-standalone"));
    command.arg("init").arg(place.join("p")).arg("--key").arg(rig.path("key.asc"));
    for fill in ["bytes", "inodes"] {
        let output = on_full_disk(&place, fill, &command);
        assert!(TEMPORARY.contains(&output.status.code().unwrap()), "{fill}: {output:?}");
    }
}

/// Limits of processes and threads to try, counted in a user namespace of their own.
const PROCESSES: std::ops::RangeInclusive<u32> = 1..=24;

/// Returns a command that runs another one with at most `limit` processes and threads.
fn with_processes(limit: u32, command: &Command) -> Command {
    let mut limited = Command::new("unshare");
    limited.args(["--user", "--map-current-user", "timeout", "--signal=TERM", "4", "prlimit"]);
    limited.arg(format!("--nproc={limit}:{limit}"));
    limited.arg(command.get_program()).args(command.get_args()).env_remove("GNUPGHOME");
    limited
}

/// Returns whether the limit of processes is effective here, and prints a message if not.
fn can_limit_processes() -> bool {
    let shell = Command::new("/bin/true");
    let holds = |limit| with_processes(limit, &shell).output().is_ok_and(|o| o.status.success());
    let mut forks = Command::new("sh");
    forks.args(["-c", "(:) || exit 1"]);
    let is_limited =
        with_processes(1, &forks).output().is_ok_and(|output| !output.status.success());
    let may = !rustix::process::geteuid().is_root() && holds(9) && is_limited;
    if !may {
        eprintln!(
            "skipped: the limit of processes requires an ordinary user who may create a user namespace"
        );
    }
    may
}

#[test]
fn lack_of_processes_is_a_temporary_failure_without_a_panic() {
    if !can_limit_processes() {
        return;
    }
    let rig = Rig::new();
    rig.job("job", NEVER);
    rig.runner().stop(Signal::TERM);
    let action = rig.home("runners/job/action.json");
    let sign = ["action", action.to_str().unwrap(), "--json", "--sign"];
    let init = |limit: u32| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mig-standalone"));
        let place = rig.path(&format!("platform-{limit}"));
        command.arg("init").arg(place).arg("--key").arg(rig.path("key.asc"));
        command
    };
    let programs: [&dyn Fn(u32) -> Command; 4] = [
        &|_| rig.mig_runner("runner.cfg", &["run"]),
        &|_| rig.mig_runner("runner.cfg", &["check"]),
        &|_| rig.mig_runner("runner.cfg", &sign),
        &init,
    ];
    for program in programs {
        for limit in PROCESSES {
            end_gpg_agent(&rig);
            let output = with_processes(limit, &program(limit)).output().unwrap();
            let status = output.status.code();
            // 124: the program ran until the time limit.
            let is_expected =
                status.is_some_and(|status| [0, 69, 71, 74, 75, 124].contains(&status));
            assert!(is_expected, "with {limit} processes: {output:?}");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!said.contains("panicked") && !said.contains("no secret key"), "{said}");
            if matches!(status, Some(0 | 124)) {
                break;
            }
        }
    }
}
