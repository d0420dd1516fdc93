//! Secrets in memory and in the environment stay in their process.

#![expect(clippy::disallowed_methods, reason = "tests read /proc and files directly")]

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::super::home::Home;
use super::super::rig::process::Process;
use super::super::rig::trace::require_strace;
use super::super::rig::{Rig, wait_until};

/// The passphrase of the key of a test.
const PASSPHRASE: &str = "open-sesame-7f3a91";
/// A passphrase that only one test uses.
const UNIQUE: &str = "open-sesame-c40d52";
/// The user to which nothing belongs.
const NOBODY: u32 = 65534;

/// Returns the ids of the visible processes with a passphrase in their environment.
fn processes_with(passphrase: &str) -> Vec<u32> {
    let found = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        let environment = fs::read(entry.path().join("environ")).ok()?;
        let mut parts = environment.windows(passphrase.len());
        parts.any(|part| part == passphrase.as_bytes()).then_some(number)
    });
    found.collect()
}

/// Returns the answer of the agent of a GnuPG home to a question.
fn ask_agent(home: &Path, question: &str) -> String {
    let mut command = Command::new("gpg-connect-agent");
    command.arg("--homedir").arg(home).args(["--no-autostart", question, "/bye"]);
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

/// Checks that the agent of a GnuPG home runs, and did not get the passphrase in its environment.
fn assert_agent_has_no_passphrase(home: &Path) {
    let path = ask_agent(home, "getinfo getenv PATH");
    assert!(path.starts_with("D /"), "{path}");
    let passphrase = ask_agent(home, "getinfo getenv MIGPGPPASSPHRASE");
    assert!(passphrase.starts_with("ERR "), "{passphrase}");
    let answer = ask_agent(home, "getinfo pid");
    let pid = answer.lines().find_map(|line| line.strip_prefix("D ")).unwrap();
    // An agent protects itself, so only root can read this.
    if let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) {
        let environment = String::from_utf8(environment).unwrap();
        assert!(!environment.contains("MIGPGP") && !environment.contains("open-sesame"));
    }
}

fn end_agent(home: &Path) {
    let mut command = Command::new("gpgconf");
    assert!(command.arg("--homedir").arg(home).args(["--kill", "all"]).status().unwrap().success());
}

#[test]
fn passphrase_in_the_environment_unlocks_the_key_and_is_not_passed_to_the_agent() {
    let home = Home::new();
    fs::create_dir(home.path("g")).unwrap();
    home.chmod("g", 0o700);
    let mut gpg = Command::new("gpg");
    gpg.arg("--homedir").arg(home.path("g"));
    gpg.args(["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", PASSPHRASE]);
    gpg.args(["--quick-gen-key", "Test <test@localhost>", "rsa2048", "sign", "never"]);
    assert!(gpg.status().unwrap().success());
    // This agent has the passphrase in its memory.
    end_agent(&home.path("g"));
    let listed = home.gpg(&["--list-secret-keys", "--with-colons"]).stdout;
    let listed = String::from_utf8(listed).unwrap();
    let line = listed.lines().find(|line| line.starts_with("fpr:")).unwrap();
    home.client(line.split(':').nth(9).unwrap(), "http://127.0.0.1:9/api/v1/");
    home.write("action.json", r#"{"name":"x","target":"status='online'","operations":[]}"#);
    end_agent(&home.path("g"));
    let sign = |passphrase: Option<&str>| {
        let mut command = home.command(&["action", "--json", "--sign", "action.json"]);
        command.envs(passphrase.map(|value| ("MIGPGPPASSPHRASE", value)));
        command.output().unwrap()
    };
    let failed = sign(None);
    let said = String::from_utf8(failed.stderr).unwrap();
    assert!(said.contains("the key needs a passphrase"), "{said}");
    let signed = sign(Some(PASSPHRASE));
    assert!(signed.status.success(), "{signed:?}");
    assert!(String::from_utf8(signed.stdout).unwrap().contains("pgpsignatures"));
    assert_agent_has_no_passphrase(&home.path("g"));
}

#[test]
fn no_child_of_the_runner_gets_the_passphrase() {
    let rig = Rig::new();
    rig.job("job", "schedule = \"0 0 1 1 *\"\nexpiry = 2s\nplugin = show");
    rig.plugin("show", "env > environment; sed 1q > ready; until [ -e go ]; do sleep 0.1; done");
    end_agent(rig.key.home());
    let mut command = rig.mig_runner("runner.cfg", &[]);
    command.env("MIGPGPPASSPHRASE", UNIQUE);
    let mut runner = Process::start(command, &rig.path("logs"), "runner");
    assert!(runner.is_ready());
    let run = rig.trigger("job");
    wait_until("the plugin", || !rig.plugin_file("ready").is_empty());
    let shown = rig.plugin_file("environment");
    assert!(shown.contains("MIG_JOB=job") && !shown.contains("PASSPHRASE"), "{shown}");
    assert_agent_has_no_passphrase(rig.key.home());
    // Only the runner itself has it, and only root can read that. A process has the environment of
    // its parent for the moment until it executes its program.
    let own = u32::try_from(runner.pid().as_raw_nonzero().get()).unwrap();
    wait_until("only the runner", || processes_with(UNIQUE).iter().all(|pid| *pid == own));
    fs::write(rig.home("plugins/go"), "").unwrap();
    rig.wait_done(&run);
}

#[test]
fn programs_are_protected_from_other_processes_of_their_user() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for (program, argument) in [
        (env!("CARGO_BIN_EXE_mig-runner"), "gnupg-worker"),
        (env!("CARGO_BIN_EXE_mig-runner"), "gnupg-signer"),
        (env!("CARGO_BIN_EXE_mig-standalone"), "gnupg-worker"),
        (env!("CARGO_BIN_EXE_mig-data"), "gnupg-worker"),
    ] {
        // Where every user can execute it.
        let copy = folder.path().join("program");
        fs::copy(program, &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
        // Waits for requests.
        let (_ours, theirs) = UnixStream::pair().unwrap();
        let mut command = Command::new(&copy);
        command.arg(argument).env_clear().process_group(0);
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
        let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        let mut child = command.spawn().unwrap();
        let proc = Path::new("/proc").join(child.id().to_string());
        // The files of a process that can be traced belong to its user.
        wait_until("the protection", || fs::metadata(proc.join("environ")).unwrap().uid() == 0);
        let limits = fs::read_to_string(proc.join("limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
        for file in ["environ", "mem"] {
            let mut read = Command::new("cat");
            read.arg(proc.join(file));
            if is_root {
                read.uid(NOBODY).gid(NOBODY);
            }
            let denied = read.output().unwrap();
            let said = String::from_utf8(denied.stderr).unwrap();
            assert!(said.contains("Permission denied"), "{said}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// At a change of the user, the kernel resets the protection to `fs.suid_dumpable`.
#[test]
fn protection_is_renewed_after_a_change_of_the_user_as_root() {
    let home = Home::new();
    if fs::metadata(home.path("")).unwrap().uid() != 0 {
        return;
    }
    require_strace();
    assert_eq!(home.run(&["init", "runner"]).exit, 0);
    let mut chown = Command::new("chown");
    chown.args(["-R", &format!("{NOBODY}:{NOBODY}")]).arg(home.path(""));
    assert!(chown.status().unwrap().success());
    let folder = tempfile::tempdir().unwrap();
    let (trace, config) = (folder.path().join("trace"), home.path("runner/runner.cfg"));
    let mut command = home.command_of("strace", &["-e", "trace=setresuid,prctl", "-o"]);
    command.arg(&trace).arg(env!("CARGO_BIN_EXE_mig-runner")).arg("-c").arg(config);
    let triggered = command.args(["trigger", "setuid"]).output().unwrap();
    assert!(triggered.status.success(), "{triggered:?}");
    let trace = fs::read_to_string(trace).unwrap();
    let changed = format!("setresuid({NOBODY}, {NOBODY}, {NOBODY})");
    let (_, after) = trace.split_once(&changed).expect(&trace);
    assert!(after.contains("prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE) = 0"), "{trace}");
}

#[test]
fn worker_is_not_shown_and_cannot_be_used_by_hand() {
    let home = Home::new();
    for program in ["mig-runner", "mig-standalone", "mig-data"] {
        let path = Path::new(env!("CARGO_BIN_EXE_mig-runner")).with_file_name(program);
        let run = |arguments: &[&str]| {
            let mut command = home.command_of(path.to_str().unwrap(), arguments);
            command.stdin(Stdio::null()).output().unwrap()
        };
        for arguments in [&["--help"][..], &["completions", "bash"]] {
            let shown = String::from_utf8(run(arguments).stdout).unwrap();
            assert!(!shown.contains("gnupg-"), "{program}: {shown}");
        }
        for argument in ["gnupg-worker", "gnupg-signer"] {
            let refused = run(&[argument]);
            assert_eq!(refused.status.code(), Some(71), "{program}: {refused:?}");
            let said = String::from_utf8(refused.stderr).unwrap();
            assert!(said.contains("only the programs of MIG themselves start a worker"), "{said}");
        }
    }
}
