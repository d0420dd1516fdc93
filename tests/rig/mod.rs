//! A complete installation in a temporary folder: key, platform, runner, and the operator's actions.
//!
//! The programs are the real ones. A test waits at most [`TIMEOUT`] for a state of the disk or of the
//! log, and never for a fixed time. When a rig is dropped, every process that it started is ended,
//! including the agents of GnuPG.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests do what operators do")]

pub(crate) mod database;
pub(crate) mod disk;
pub(crate) mod key;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod random;
pub(crate) mod rsa_number;
pub(crate) mod runs;
mod spool;
pub(crate) mod trace;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::cluster;

use database::Database;
use key::Key;
use process::Process;

/// Time limit for an expected event, which is ample even on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Delay between two checks for an event.
const POLL_SPAN: Duration = Duration::from_millis(10);
/// The environment variable, and its value that puts the tables of all platforms on a server.
const DATABASE_VARIABLE: (&str, &str) = ("MIG_TEST_DATABASE", "postgres");

pub(crate) struct Rig {
    // Declared first, so that the processes end before their folder is removed.
    platform: Option<Process>,
    /// The key of the investigator.
    pub(crate) key: Key,
    /// The address of the platform.
    pub(crate) address: String,
    folder: tempfile::TempDir,
    /// The platform's database, if it is on a server.
    server: Option<cluster::TestDatabase>,
    /// The seconds between two scans: long enough that tests depend on watched folders.
    check: u32,
    /// The `[logging]` section of the runner's configuration.
    logging: String,
    /// Additional lines of its `[client]` section.
    client: String,
}

/// Waits until `found` returns a value.
pub(crate) fn wait<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < TIMEOUT, "waited in vain for {what}");
        std::thread::sleep(POLL_SPAN);
    }
}

/// Waits until a condition holds.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait(what, || condition().then_some(()));
}

/// Waits for a fixed time, for tests about that time.
pub(crate) fn pause(span: Duration) {
    std::thread::sleep(span);
}

impl Rig {
    /// Creates an installation and starts its platform.
    pub(crate) fn new() -> Rig {
        let is_served =
            std::env::var(DATABASE_VARIABLE.0).is_ok_and(|value| value == DATABASE_VARIABLE.1);
        Rig::with(is_served.then(cluster::TestDatabase::new))
    }

    /// Creates an installation with its database on a server, and starts its platform.
    pub(crate) fn on_postgres() -> Rig {
        Rig::with(Some(cluster::TestDatabase::new()))
    }

    fn with(server: Option<cluster::TestDatabase>) -> Rig {
        // The sockets of GnuPG's agent must fit into 108 bytes.
        let folder = tempfile::Builder::new().prefix("mig").tempdir_in("/tmp").unwrap();
        let key = Key::generate(&folder.path().join("g"), "Rig <rig@localhost>");
        for name in ["d", "d/runners", "d/plugins", "logs"] {
            make_folder(&folder.path().join(name));
        }
        let mut rig = Rig {
            platform: None,
            key,
            address: String::new(),
            folder,
            server,
            check: 3600,
            logging: "mode = stdout\n".to_owned(),
            client: String::new(),
        };
        write(&rig.path("key.asc"), rig.key.export());
        let init = Command::new(env!("CARGO_BIN_EXE_mig-standalone"))
            .args(["init", rig.path("p").to_str().unwrap()])
            .args(["--key", rig.path("key.asc").to_str().unwrap()])
            .args(rig.server.iter().flat_map(|server| ["--database".to_owned(), server.url()]))
            .output()
            .unwrap();
        assert!(init.status.success(), "{init:?}");
        rig.listen("127.0.0.1:0");
        rig.start_platform();
        // The platform keeps its port when it is started again.
        rig.listen(&rig.address.clone());
        rig.point_at(&rig.address.clone());
        rig
    }

    /// Returns a path in the folder of the rig.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns a path in the directory of the runner.
    pub(crate) fn home(&self, name: &str) -> PathBuf {
        self.path("d").join(name)
    }

    /// Adds a line to `[client]` of the runner's configuration.
    pub(crate) fn configure(&mut self, line: &str) {
        self.client.push_str(line);
        self.client.push('\n');
        self.write_config("runner.cfg", "d", "spool");
    }

    /// Sets the seconds between two scans of the runner.
    pub(crate) fn scan_every(&mut self, seconds: u32) {
        self.check = seconds;
        self.write_config("runner.cfg", "d", "spool");
    }

    /// Makes the runner log to a file.
    pub(crate) fn log_to_file(&mut self, path: &Path) {
        self.logging = format!("mode = file\nfile = {}\n", path.display());
        self.write_config("runner.cfg", "d", "spool");
    }

    /// Writes a configuration for a runner with this directory and this spool, both relative to the rig.
    pub(crate) fn write_config(&self, name: &str, directory: &str, spool: &str) {
        let directory = self.path(directory);
        let text = format!(
            "[runner]\ndirectory = {}\nspool = {}\ncheckdirectory = {}\n\
             [logging]\nlevel = debug\nformat = json\n{}\
             [client]\nclientconfpath = {}\n{}",
            directory.display(),
            directory.join(spool).display(),
            self.check,
            self.logging,
            self.path("migrc").display(),
            self.client,
        );
        write(&self.path(name), &text);
    }

    /// Sets the address of the API for the runner.
    pub(crate) fn point_at(&self, address: &str) {
        let text = format!(
            "[api]\nurl = http://{address}/api/v1/\n[gpg]\nhome = {}\nkeyid = {}\n",
            self.key.home().display(),
            self.key.fingerprint(),
        );
        write(&self.path("migrc"), &text);
        self.write_config("runner.cfg", "d", "spool");
    }

    fn listen(&self, address: &str) {
        let path = self.path("p/standalone.cfg");
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().map(|line| match line.trim_start().starts_with("listen") {
            true => format!("listen = {address}\n"),
            false => format!("{line}\n"),
        });
        write(&path, lines.collect::<String>());
    }

    /// Restarts the platform with further names under which clients may address its API.
    pub(crate) fn name_platform(&mut self, names: &str) {
        let path = self.path("p/standalone.cfg");
        let text = fs::read_to_string(&path).unwrap();
        write(&path, format!("{text}\n[server]\nnames = {names}\n"));
        self.kill_platform();
        self.start_platform();
    }

    /// Starts the platform; after the first time, at the same address.
    pub(crate) fn start_platform(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mig-standalone"));
        command.arg("-c").arg(self.path("p/standalone.cfg"));
        let platform = Process::start(command, &self.path("logs"), "platform");
        self.address = platform.wait_for("its address", |log| {
            let (_, rest) = log.split_once("listen: ")?;
            rest.contains('\n').then(|| rest.split_whitespace().next().map(str::to_owned))?
        });
        self.platform = Some(platform);
        wait_until("an agent", || self.database().has_agent());
    }

    pub(crate) fn kill_platform(&mut self) {
        self.platform = None;
    }

    /// Kills only the process of the platform, as the kernel does when memory is short.
    pub(crate) fn kill_platform_alone(&mut self) {
        self.platform.take().unwrap().kill();
    }

    /// Returns the process id of the platform.
    pub(crate) fn platform_pid(&self) -> Pid {
        self.platform.as_ref().unwrap().pid()
    }

    /// Returns the log of the platform since its start.
    pub(crate) fn platform_log(&self) -> String {
        self.platform.as_ref().unwrap().output()
    }

    /// Stops the platform with TERM.
    pub(crate) fn stop_platform(&mut self) {
        self.platform.take().unwrap().stop(Signal::TERM);
    }

    /// Removes the logs of runners that have ended.
    pub(crate) fn forget_logs(&self) {
        for entry in fs::read_dir(self.path("logs")).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_string_lossy().starts_with("runner") {
                fs::remove_file(path).unwrap();
            }
        }
    }

    /// Returns access to the platform's database.
    pub(crate) fn database(&self) -> Database {
        match &self.server {
            Some(server) => Database::on(server.connect()),
            None => Database::open(&self.path("p/data/mig.db")),
        }
    }

    /// Denies or allows connections to the database on the server.
    pub(crate) fn close_database(&self, is_closed: bool) {
        self.server.as_ref().unwrap().close(is_closed);
    }

    /// Starts the runner and waits until it is ready.
    pub(crate) fn runner(&self) -> Process {
        wait("a runner that is ready", || {
            let mut runner = self.start_runner("runner.cfg");
            runner.is_ready().then_some(runner)
        })
    }

    /// Starts a runner with a configuration of the rig.
    pub(crate) fn start_runner(&self, config: &str) -> Process {
        Process::start(self.mig_runner(config, &[]), &self.path("logs"), "runner")
    }

    /// Returns a command of the runner, without environment variables that would change its behaviour.
    pub(crate) fn mig_runner(&self, config: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mig-runner"));
        command.arg("-c").arg(self.path(config)).args(arguments);
        command.env("HOME", self.folder.path()).env_remove("GNUPGHOME").env("TZ", "UTC");
        command
    }

    /// Triggers a job; returns the id of the run.
    pub(crate) fn trigger(&self, job: &str) -> String {
        let output = self.mig_runner("runner.cfg", &["trigger", job]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Adds a job atomically, with an action that searches a missing folder.
    pub(crate) fn job(&self, name: &str, config: &str) {
        self.job_with(name, config, &action("/nonexistent"));
    }

    /// Adds a job with this action atomically.
    pub(crate) fn job_with(&self, name: &str, config: &str, action: &Value) {
        let folder = self.path(&format!("new-{name}"));
        make_folder(&folder);
        write(&folder.join("entity.cfg"), format!("[configuration]\n{config}\n"));
        write(&folder.join("action.json"), action.to_string());
        fs::rename(&folder, self.home("runners").join(name)).unwrap();
    }

    /// Adds a plugin, which is a shell script.
    pub(crate) fn plugin(&self, name: &str, script: &str) {
        let path = self.home("plugins").join(name);
        write(&path, format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }

    /// Returns the content of a file in the working directory of plugins; empty if it does not exist.
    pub(crate) fn plugin_file(&self, name: &str) -> String {
        fs::read_to_string(self.home("plugins").join(name)).unwrap_or_default()
    }
}

impl Drop for Rig {
    /// Ends the plugins of killed runners, whose working directory is in the folder of the rig.
    fn drop(&mut self) {
        self.kill_platform();
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let pid = process.file_name().to_str().and_then(|name| name.parse().ok());
            let works_here = fs::read_link(process.path().join("cwd"))
                .is_ok_and(|folder| folder.starts_with(self.folder.path()));
            if let (Some(pid), true) = (pid.and_then(Pid::from_raw), works_here) {
                // It may have ended in the meantime.
                kill_process(pid, Signal::KILL).ok();
            }
        }
    }
}

/// Returns an action that searches all files below `path`.
pub(crate) fn action(path: &str) -> Value {
    let search = json!({"paths": [path], "names": ["."], "options": {"matchall": true}});
    json!({
        "name": "a test",
        "target": "status='online'",
        "operations": [{"module": "file", "parameters": {"searches": {"s": search}}}],
    })
}

/// Writes a file that only its owner can read.
pub(crate) fn write(path: &Path, text: impl AsRef<[u8]>) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Creates a folder that only its owner can enter.
pub(crate) fn make_folder(path: &Path) {
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}
