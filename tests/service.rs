//! The notifications that the programs send to a service manager, which is a socket as in systemd.
#![cfg(test)]

use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::rig::process::Process;
use crate::rig::{Rig, wait_until};

/// The watchdog timeout that the manager sets.
const WATCHDOG_TIMEOUT: Duration = Duration::from_secs(1);
/// A time without notifications that a busy machine does not cause.
const HUNG_SPAN: Duration = Duration::from_secs(4);
/// Time limit for an expected notification.
const TIMEOUT: Duration = Duration::from_secs(60);

struct Manager {
    socket: UnixDatagram,
    path: std::path::PathBuf,
}

impl Manager {
    fn new(rig: &Rig, name: &str) -> Manager {
        let path = rig.path(name);
        Manager { socket: UnixDatagram::bind(&path).unwrap(), path }
    }

    /// Sets the environment of a service, as a manager does.
    fn prepare(&self, command: &mut Command) {
        let timeout = WATCHDOG_TIMEOUT.as_micros().to_string();
        command.env("NOTIFY_SOCKET", &self.path).env("WATCHDOG_USEC", timeout);
    }

    /// Returns the next notification, if there is one within `span`.
    fn receive(&self, span: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(span)).unwrap();
        let mut text = [0; 4096];
        let length = self.socket.recv(&mut text).ok()?;
        Some(String::from_utf8(text[..length].to_vec()).unwrap())
    }

    /// Returns the next notification that is not a watchdog notification.
    fn next_state(&self) -> String {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < TIMEOUT, "no notification");
            match self.receive(TIMEOUT) {
                Some(text) if text != "WATCHDOG=1" => return text,
                _ => {}
            }
        }
    }

    /// Waits for `count` watchdog notifications.
    fn wait_watchdog(&self, count: usize) {
        for _ in 0..count {
            while self.receive(TIMEOUT).expect("a watchdog notification") != "WATCHDOG=1" {}
        }
    }

    /// Reloads a service; returns whether it reports the end of the reload.
    fn is_reloaded(&self, service: &Child) -> bool {
        kill_process(Pid::from_child(service), Signal::HUP).unwrap();
        while let Some(text) = self.receive(HUNG_SPAN) {
            if text.starts_with("READY=1") {
                return true;
            }
        }
        false
    }
}

fn start(rig: &Rig, manager: &Manager, arguments: &[&str]) -> Process {
    let mut command = rig.mig_runner("runner.cfg", arguments);
    manager.prepare(&mut command);
    Process::start(command, &rig.path("logs"), "managed")
}

#[test]
fn runner_reports_that_it_is_ready_reloads_and_stops() {
    let rig = Rig::new();
    rig.job("job", "schedule = \"0 0 1 1 *\"\nexpiry = 10m");
    let manager = Manager::new(&rig, "notify");
    let runner = start(&rig, &manager, &[]);
    assert_eq!(manager.next_state(), "READY=1\nSTATUS=1 job; idle");
    manager.wait_watchdog(3);
    rig.trigger("job");
    while manager.next_state() != "STATUS=1 job; 1 on the fleet" {}
    runner.signal(Signal::HUP);
    assert_eq!(manager.next_state(), "RELOADING=1");
    assert_eq!(manager.next_state(), "READY=1\nSTATUS=1 job; 1 on the fleet");
    runner.stop(Signal::TERM);
    assert_eq!(manager.next_state(), "STOPPING=1\nSTATUS=stopping");
}

#[test]
fn hanging_engine_sends_no_watchdog_notifications() {
    let rig = Rig::new();
    let manager = Manager::new(&rig, "notify");
    // No process reads the log: once the pipe is full, the engine blocks, while the process and its
    // other threads continue.
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = rig.mig_runner("runner.cfg", &[]);
    manager.prepare(&mut command);
    // The rig ends the processes whose working directory is in its folder.
    let mut runner = command.stdout(writer).current_dir(rig.path("")).spawn().unwrap();
    drop(command);
    assert!(manager.next_state().starts_with("READY=1"));
    let begun = Instant::now();
    while manager.is_reloaded(&runner) {
        assert!(begun.elapsed() < TIMEOUT, "the engine does not hang");
    }
    assert!(manager.receive(HUNG_SPAN).is_none());
    // The runner has not ended, and continues when the log is read.
    assert!(runner.try_wait().unwrap().is_none());
    let draining = std::thread::spawn(move || std::io::copy(&mut { reader }, &mut std::io::sink()));
    manager.wait_watchdog(3);
    runner.kill().unwrap();
    runner.wait().unwrap();
    draining.join().unwrap().unwrap();
}

#[test]
fn standby_runner_reports_that_it_is_ready_and_takes_over() {
    let rig = Rig::new();
    let first = rig.runner();
    let manager = Manager::new(&rig, "notify");
    let second = start(&rig, &manager, &["run", "--standby"]);
    assert_eq!(manager.next_state(), "READY=1\nSTATUS=standing by: another runner is running");
    manager.wait_watchdog(3);
    first.kill();
    assert_eq!(manager.next_state(), "READY=1\nSTATUS=0 jobs; idle");
    manager.wait_watchdog(2);
    second.stop(Signal::TERM);
}

#[test]
fn platform_reports_that_it_is_ready_and_stops() {
    let mut rig = Rig::new();
    rig.kill_platform();
    let manager = Manager::new(&rig, "notify");
    let mut command = Command::new(env!("CARGO_BIN_EXE_mig-standalone"));
    command.arg("-c").arg(rig.path("p/standalone.cfg"));
    manager.prepare(&mut command);
    let platform = Process::start(command, &rig.path("logs"), "managed");
    let url = format!("http://{}/api/v1/", rig.address);
    assert_eq!(manager.next_state(), format!("READY=1\nSTATUS=the API is at {url}"));
    manager.wait_watchdog(3);
    // Another process locks the database: the scheduler waits for it, and nothing else hangs.
    let held = rig.database();
    held.lock();
    wait_until("the end of watchdog notifications", || manager.receive(HUNG_SPAN).is_none());
    drop(held);
    manager.wait_watchdog(3);
    platform.stop(Signal::TERM);
    assert_eq!(manager.next_state(), "STOPPING=1\nSTATUS=stopping");
}
