//! Signals: an orderly stop from every state, and a reload.

#![expect(clippy::disallowed_methods, reason = "tests change files as the operator does")]

use std::fs;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{NEVER, NOTE};
use crate::rig::proxy::{Proxy, ProxyFault};
use crate::rig::{Rig, wait_until};

/// Delay of an answer, much longer than a stop may take.
const HELD: Duration = Duration::from_secs(30);

#[test]
fn waiting_runner_stops_at_once() {
    let mut rig = Rig::new();
    rig.job("job", &format!("{NEVER}\nexpiry = 10m"));
    for signal in [Signal::TERM, Signal::INT] {
        rig.runner().stop(signal);
    }
    // An action is running on the fleet.
    let runner = rig.runner();
    let inflight = rig.trigger("job");
    rig.wait_in("action/inflight", &inflight);
    runner.stop(Signal::TERM);
    // The platform is down, and the runner backs off.
    rig.kill_platform();
    let runner = rig.runner();
    let waiting = rig.trigger("job");
    runner.wait_logged("action not accepted yet", &[("run", &waiting), ("fate", "refused")]);
    runner.stop(Signal::INT);
    let left = [format!("action/new {waiting}"), format!("action/inflight {inflight}")];
    assert_eq!(rig.spool(), left);
}

#[test]
fn plugin_that_ignores_sigterm_does_not_delay_a_stop() {
    let rig = Rig::new();
    rig.plugin("slow", "if mkdir first; then trap '' TERM; echo $$ > pid; sleep 600; fi");
    rig.job("job", &format!("{NEVER}\nexpiry = 2s\nplugin = slow"));
    let runner = rig.runner();
    let run = rig.trigger("job");
    wait_until("the plugin", || !rig.plugin_file("pid").is_empty());
    runner.stop(Signal::TERM);
    let pid = rig.plugin_file("pid").trim().to_owned();
    assert!(!fs::exists(format!("/proc/{pid}")).unwrap());
    assert_eq!(rig.spool(), [format!("action/done {run}"), format!("command/returned {run}")]);
    let _runner = rig.runner();
    rig.wait_done(&run);
}

#[test]
fn unanswered_request_does_not_delay_a_stop() {
    let rig = Rig::new();
    rig.plugin("note", NOTE);
    rig.job("job", &format!("{NEVER}\nplugin = note"));
    let proxy = Proxy::start(&rig, &[("action/create/", ProxyFault::AnswerDelayed(HELD))]);
    rig.point_at(&proxy.address);
    let runner = rig.runner();
    let run = rig.trigger("job");
    wait_until("an action without an answer", || {
        !rig.database().actions("mig-runner: job").is_empty()
    });
    runner.stop(Signal::INT);
    let runner = rig.runner();
    rig.finish_early(&run, "mig-runner: job");
    rig.wait_done(&run);
    runner.stop(Signal::INT);
    assert_eq!(rig.database().actions("mig-runner: job").len(), 1);
    assert_eq!(rig.plugin_file("notes").lines().count(), 1);
    rig.check_clean();
}

/// Returns the signer of a runner.
fn signer(runner: Pid) -> Option<i32> {
    let parent = runner.as_raw_nonzero().get();
    let mut signers = fs::read_dir("/proc").unwrap().flatten().filter_map(|process| {
        let line = fs::read_to_string(process.path().join("cmdline")).ok()?;
        let stat = fs::read_to_string(process.path().join("stat")).ok()?;
        let (_, rest) = stat.rsplit_once(") ")?;
        let is_child = rest.split(' ').nth(1)?.parse() == Ok(parent);
        let pid = process.file_name().to_str()?.parse().ok()?;
        (is_child && line.contains("gnupg-signer")).then_some(pid)
    });
    signers.next()
}

#[test]
fn signer_ends_with_the_runner() {
    let rig = Rig::new();
    rig.job("job", NEVER);
    for signal in [Signal::KILL, Signal::TERM] {
        let runner = rig.runner();
        runner.wait_logged("unlocked key", &[]);
        let signer = signer(runner.pid()).unwrap();
        runner.signal(signal);
        runner.wait();
        // Whoever adopts the signer may not have reaped it yet.
        let is_running = || {
            fs::read_to_string(format!("/proc/{signer}/stat"))
                .is_ok_and(|stat| !stat.contains(") Z "))
        };
        wait_until("the end of the signer", || !is_running());
    }
}

#[test]
fn killed_signer_is_replaced() {
    let rig = Rig::new();
    rig.job("job", &format!("{NEVER}\nexpiry = 10m"));
    let runner = rig.runner();
    runner.wait_logged("unlocked key", &[]);
    let first = signer(runner.pid()).unwrap();
    kill_process(Pid::from_raw(first).unwrap(), Signal::KILL).unwrap();
    let run = rig.trigger("job");
    rig.wait_in("action/inflight", &run);
    assert_ne!(signer(runner.pid()), Some(first));
    runner.stop(Signal::TERM);
}

/// Returns the process of the GnuPG agent.
fn agent_pid(rig: &Rig) -> Pid {
    let mut command = Command::new("gpg-connect-agent");
    command.arg("--homedir").arg(rig.key.home()).args(["getinfo pid", "/bye"]);
    let answer = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let pid = answer.lines().next().unwrap().strip_prefix("D ").unwrap().parse().unwrap();
    Pid::from_raw(pid).unwrap()
}

/// Returns whether the runner is waiting for GnuPG, which is waiting for the agent.
fn is_signing(rig: &Rig) -> bool {
    let home = rig.key.home().to_str().unwrap();
    // Later releases of GnuPG's library write one argument instead of two.
    let joined = format!("--homedir={home}");
    fs::read_dir("/proc").unwrap().flatten().any(|process| {
        let line = fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
        line.split('\0').next().is_some_and(|program| program.ends_with("gpg"))
            && line.split('\0').any(|argument| argument == home || argument == joined)
    })
}

/// A suspended GnuPG agent, which continues when this value is dropped.
struct SuspendedAgent(Pid);

impl SuspendedAgent {
    fn new(rig: &Rig) -> SuspendedAgent {
        let agent = SuspendedAgent(agent_pid(rig));
        // The agent sends itself SIGCONT to wake its threads, and may have continued at once.
        let stat = format!("/proc/{}/stat", agent.0.as_raw_nonzero());
        while !fs::read_to_string(&stat).unwrap().contains(") T ") {
            kill_process(agent.0, Signal::STOP).unwrap();
            std::thread::yield_now();
        }
        agent
    }
}

impl Drop for SuspendedAgent {
    fn drop(&mut self) {
        kill_process(self.0, Signal::CONT).unwrap();
    }
}

#[test]
fn signature_made_during_a_stop_is_not_posted() {
    let rig = Rig::new();
    rig.job("job", NEVER);
    let runner = rig.runner();
    let agent = SuspendedAgent::new(&rig);
    // The runner has unlocked the key, and opens it again after this.
    fs::write(rig.key.home().join("gpg-agent.conf"), "# changed\n").unwrap();
    let run = rig.trigger("job");
    wait_until("a signature under way", || is_signing(&rig));
    runner.signal(Signal::TERM);
    runner.wait_logged("stopping", &[]);
    drop(agent);
    assert!(runner.wait().success());
    assert_eq!(rig.wait_in("action/new", &run)["request"]["fate"], "unsent");
    assert_eq!(rig.database().names(), [""; 0]);
    let runner = rig.runner();
    rig.wait_in("action/inflight", &run);
    runner.stop(Signal::TERM);
    assert_eq!(rig.database().names(), ["mig-runner: job"]);
}

#[test]
fn sighup_retries_everything_and_reopens_the_log() {
    let mut rig = Rig::new();
    rig.plugin("note", NOTE);
    rig.job("job", &format!("{NEVER}\nexpiry = 2s\nplugin = note"));
    let log = rig.path("runner.log");
    rig.log_to_file(&log);
    let runner = rig.start_runner("runner.cfg");
    wait_until("a log", || fs::read_to_string(&log).is_ok_and(|text| text.contains("ready")));
    rig.kill_platform();
    let run = rig.trigger("job");
    // The next attempt is seconds away.
    wait_until("some attempts", || {
        fs::read_to_string(&log).unwrap().matches("action not accepted yet").count() >= 3
    });
    rig.start_platform();
    fs::rename(&log, rig.path("runner.log.1")).unwrap();
    runner.signal(Signal::HUP);
    rig.wait_done(&run);
    wait_until("a new log", || {
        fs::read_to_string(&log).is_ok_and(|text| text.contains("plugin finished"))
    });
    let old = fs::read_to_string(rig.path("runner.log.1")).unwrap();
    assert!(!old.contains("plugin finished"), "{old}");
    assert_eq!(rig.plugin_file("notes").lines().count(), 1);
    runner.stop(Signal::TERM);
}
