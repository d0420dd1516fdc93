//! A whole installation in a folder of its own: key, platform, runner, and what a person does with them.
//!
//! The programs are the real ones. A test waits for a state of the disk or of the log, up to
//! [`PATIENCE`], and never for a time to pass. When a rig is dropped, every process that it
//! started has ended, the agents of GnuPG included.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests do by hand what people do")]

pub(crate) mod chance;
pub(crate) mod database;
pub(crate) mod disk;
pub(crate) mod key;
pub(crate) mod lives;
pub(crate) mod number;
pub(crate) mod process;
pub(crate) mod proxy;
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

/// How long a test waits for what must happen: much longer than it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it looks meanwhile.
const GLANCE: Duration = Duration::from_millis(10);
/// The variable that says where the platforms of all tests have their tables: on a server, if it is this.
const VARIABLE: (&str, &str) = ("MIG_TEST_DATABASE", "postgres");

pub(crate) struct Rig {
    // Processes end before the folder that they work in.
    platform: Option<Process>,
    /// Who may run actions.
    pub(crate) key: Key,
    /// Where the platform listens.
    pub(crate) address: String,
    folder: tempfile::TempDir,
    /// The platform's tables, if they are on a server.
    server: Option<cluster::TestDatabase>,
    /// How many seconds there are between two scans: so many that tests rest on what is watched.
    check: u32,
    /// What the runner's configuration says of the log.
    logging: String,
    /// What it says of the client, beside what every rig needs.
    client: String,
}

/// Waits until `found` finds something.
pub(crate) fn wait<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(GLANCE);
    }
}

/// Waits until `is` is so.
pub(crate) fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    wait(what, || is().then_some(()));
}

/// Lets time pass where that time is what a test is about.
pub(crate) fn pause(span: Duration) {
    std::thread::sleep(span);
}

impl Rig {
    /// Lays out an installation and starts its platform.
    pub(crate) fn new() -> Rig {
        let is_served = std::env::var(VARIABLE.0).is_ok_and(|value| value == VARIABLE.1);
        Rig::with(is_served.then(cluster::TestDatabase::new))
    }

    /// Lays out an installation with its tables on a server, and starts its platform.
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
        // The port that was free stays the platform's, also when it is started again.
        rig.listen(&rig.address.clone());
        rig.point_at(&rig.address.clone());
        rig
    }

    /// Returns a path in the rig's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns a path in the runner's directory.
    pub(crate) fn home(&self, name: &str) -> PathBuf {
        self.path("d").join(name)
    }

    /// Adds a line to `[client]` of the runner's configuration.
    pub(crate) fn configure(&mut self, line: &str) {
        self.client.push_str(line);
        self.client.push('\n');
        self.write_config("runner.cfg", "d", "spool");
    }

    /// Lets the runner scan every so many seconds.
    pub(crate) fn scan_every(&mut self, seconds: u32) {
        self.check = seconds;
        self.write_config("runner.cfg", "d", "spool");
    }

    /// Lets the runner write its log to a file.
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

    /// Lets the runner look for the API at this address.
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

    /// Starts the platform, or starts it again at the same address.
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

    /// Returns the process id of the platform.
    pub(crate) fn platform_pid(&self) -> Pid {
        self.platform.as_ref().unwrap().pid()
    }

    /// Stops the platform in order.
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

    /// Returns the platform's tables.
    pub(crate) fn database(&self) -> Database {
        match &self.server {
            Some(server) => Database::on(server.connect()),
            None => Database::open(&self.path("p/data/mig.db")),
        }
    }

    /// Lets nobody use the tables on the server, or everybody again.
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

    /// Returns a command line of the runner, without anything of the environment that it could mistake for its own.
    pub(crate) fn mig_runner(&self, config: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mig-runner"));
        command.arg("-c").arg(self.path(config)).args(arguments);
        command.env("HOME", self.folder.path()).env_remove("GNUPGHOME").env("TZ", "UTC");
        command
    }

    /// Runs a job now; returns the id of the run.
    pub(crate) fn trigger(&self, job: &str) -> String {
        let output = self.mig_runner("runner.cfg", &["trigger", job]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Moves a job into the directory, whole, with an action that looks for what the rig's folder holds.
    pub(crate) fn job(&self, name: &str, config: &str) {
        self.job_with(name, config, &action("/nonexistent"));
    }

    /// Moves a job with this action into the directory, whole.
    pub(crate) fn job_with(&self, name: &str, config: &str, action: &Value) {
        let folder = self.path(&format!("new-{name}"));
        make_folder(&folder);
        write(&folder.join("entity.cfg"), format!("[configuration]\n{config}\n"));
        write(&folder.join("action.json"), action.to_string());
        fs::rename(&folder, self.home("runners").join(name)).unwrap();
    }

    /// Puts a plugin into the directory: a shell script, whose working directory is that of plugins.
    pub(crate) fn plugin(&self, name: &str, script: &str) {
        let path = self.home("plugins").join(name);
        write(&path, format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }

    /// Returns what a plugin left in its working directory; nothing, if it did not.
    pub(crate) fn left(&self, name: &str) -> String {
        fs::read_to_string(self.home("plugins").join(name)).unwrap_or_default()
    }
}

impl Drop for Rig {
    /// Ends what the processes left behind that were killed: their plugins work in the rig's folder.
    fn drop(&mut self) {
        self.kill_platform();
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let pid = process.file_name().to_str().and_then(|name| name.parse().ok());
            let works_here = fs::read_link(process.path().join("cwd"))
                .is_ok_and(|folder| folder.starts_with(self.folder.path()));
            if let (Some(pid), true) = (pid.and_then(Pid::from_raw), works_here) {
                // It may have ended meanwhile.
                kill_process(pid, Signal::KILL).ok();
            }
        }
    }
}

/// Returns an action that looks for every file below `path`.
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

/// Makes a folder that only its owner can enter.
pub(crate) fn make_folder(path: &Path) {
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}
