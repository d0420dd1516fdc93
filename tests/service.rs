//! What a service manager hears of the programs: it is a socket that listens, as systemd's is.
#![cfg(test)]

use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::rig::process::Process;
use crate::rig::{Rig, wait_until};

/// After how long a silence a service counts as hung.
const SILENCE_SPAN: Duration = Duration::from_secs(1);
/// A silence that no busy machine makes of itself.
const HUNG_SPAN: Duration = Duration::from_secs(4);
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

struct Manager {
    socket: UnixDatagram,
    path: std::path::PathBuf,
}

impl Manager {
    fn new(rig: &Rig, name: &str) -> Manager {
        let path = rig.path(name);
        Manager { socket: UnixDatagram::bind(&path).unwrap(), path }
    }

    /// Starts a service, as a manager does that wants to hear of it.
    fn prepare(&self, command: &mut Command) {
        let silence = SILENCE_SPAN.as_micros().to_string();
        command.env("NOTIFY_SOCKET", &self.path).env("WATCHDOG_USEC", silence);
    }

    /// Returns what comes next, if something comes within `span`.
    fn hear(&self, span: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(span)).unwrap();
        let mut text = [0; 4096];
        let length = self.socket.recv(&mut text).ok()?;
        Some(String::from_utf8(text[..length].to_vec()).unwrap())
    }

    /// Returns the next message that is no mere sign of life.
    fn news(&self) -> String {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "the service says nothing");
            match self.hear(PATIENCE) {
                Some(text) if text != "WATCHDOG=1" => return text,
                _ => {}
            }
        }
    }

    /// Waits for signs of life, each in time.
    fn feel_pulse(&self, beats: usize) {
        for _ in 0..beats {
            while self.hear(PATIENCE).expect("a sign of life") != "WATCHDOG=1" {}
        }
    }

    /// Lets a service reload; tells whether it says that it has.
    fn hears_of_reload(&self, service: &Child) -> bool {
        kill_process(Pid::from_child(service), Signal::HUP).unwrap();
        while let Some(text) = self.hear(HUNG_SPAN) {
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
fn a_manager_hears_when_a_runner_is_ready_reloads_and_stops() {
    let rig = Rig::new();
    rig.job("job", "schedule = \"0 0 1 1 *\"\nexpiry = 10m");
    let manager = Manager::new(&rig, "notify");
    let runner = start(&rig, &manager, &[]);
    assert_eq!(manager.news(), "READY=1\nSTATUS=1 job; idle");
    manager.feel_pulse(3);
    rig.trigger("job");
    while manager.news() != "STATUS=1 job; 1 on the fleet" {}
    runner.signal(Signal::HUP);
    assert_eq!(manager.news(), "RELOADING=1");
    assert_eq!(manager.news(), "READY=1\nSTATUS=1 job; 1 on the fleet");
    runner.stop(Signal::TERM);
    assert_eq!(manager.news(), "STOPPING=1\nSTATUS=stopping");
}

#[test]
fn an_engine_that_hangs_falls_silent() {
    let rig = Rig::new();
    let manager = Manager::new(&rig, "notify");
    // Nobody reads the log: once the pipe is full, the engine waits for room in it for ever,
    // while the process and its other threads are well.
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = rig.mig_runner("runner.cfg", &[]);
    manager.prepare(&mut command);
    // The rig ends who works in its folder.
    let mut runner = command.stdout(writer).current_dir(rig.path("")).spawn().unwrap();
    drop(command);
    assert!(manager.news().starts_with("READY=1"));
    let begun = Instant::now();
    while manager.hears_of_reload(&runner) {
        assert!(begun.elapsed() < PATIENCE, "it does not hang");
    }
    assert!(manager.hear(HUNG_SPAN).is_none());
    // It has not ended, and goes on where it was.
    assert!(runner.try_wait().unwrap().is_none());
    let draining = std::thread::spawn(move || std::io::copy(&mut { reader }, &mut std::io::sink()));
    manager.feel_pulse(3);
    runner.kill().unwrap();
    runner.wait().unwrap();
    draining.join().unwrap().unwrap();
}

#[test]
fn who_stands_by_is_ready_alive_and_says_when_it_takes_over() {
    let rig = Rig::new();
    let first = rig.runner();
    let manager = Manager::new(&rig, "notify");
    let second = start(&rig, &manager, &["run", "--standby"]);
    assert_eq!(manager.news(), "READY=1\nSTATUS=standing by: another runner is running");
    manager.feel_pulse(3);
    first.kill();
    assert_eq!(manager.news(), "READY=1\nSTATUS=0 jobs; idle");
    manager.feel_pulse(2);
    second.stop(Signal::TERM);
}

#[test]
fn a_manager_hears_of_a_platform_too() {
    let mut rig = Rig::new();
    rig.kill_platform();
    let manager = Manager::new(&rig, "notify");
    let mut command = Command::new(env!("CARGO_BIN_EXE_mig-standalone"));
    command.arg("-c").arg(rig.path("p/standalone.cfg"));
    manager.prepare(&mut command);
    let platform = Process::start(command, &rig.path("logs"), "managed");
    let url = format!("http://{}/api/v1/", rig.address);
    assert_eq!(manager.news(), format!("READY=1\nSTATUS=the API is at {url}"));
    manager.feel_pulse(3);
    // Somebody holds the database: the scheduler waits for it, and nothing else hangs.
    let held = rig.database();
    held.hold();
    wait_until("silence", || manager.hear(HUNG_SPAN).is_none());
    drop(held);
    manager.feel_pulse(3);
    platform.stop(Signal::TERM);
    assert_eq!(manager.news(), "STOPPING=1\nSTATUS=stopping");
}
