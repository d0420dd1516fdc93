//! An installation and its runner, whose log and resources are measured.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub(crate) const PASSPHRASE: &str = "measure";
/// Time limit for the next line of the log.
const PATIENCE: Duration = Duration::from_secs(600);
/// Time until a runner that is ready has settled.
const REST: Duration = Duration::from_secs(2);
/// Number of ticks per second in which the kernel counts processor time.
const TICKS: f64 = 100.0;

/// A key in a GnuPG home. The path is short enough for GnuPG's sockets.
#[derive(Debug)]
pub(crate) struct Key {
    folder: TempDir,
    pub(crate) fingerprint: String,
    passphrase: String,
}

impl Key {
    /// Creates an RSA key with this passphrase; an empty one means none.
    pub(crate) fn new(passphrase: &str) -> Key {
        let folder = tempfile::Builder::new().prefix("mig").tempdir_in("/tmp").expect("a folder");
        let gpg = |arguments: &[&str]| {
            let mut gpg = Command::new("gpg");
            gpg.arg("--homedir").arg(folder.path()).args(["--batch", "--quiet", "--no-tty"]);
            gpg.args(["--pinentry-mode", "loopback", "--passphrase", passphrase]).args(arguments);
            let output = gpg.output().expect("gpg");
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).expect("text")
        };
        gpg(&["--quick-gen-key", "Bench <bench@localhost>", "rsa2048", "sign", "never"]);
        let listed = gpg(&["--with-colons", "--list-keys"]);
        let line = listed.lines().find(|line| line.starts_with("fpr:")).expect("a key");
        let fingerprint = line.split(':').nth(9).expect("a fingerprint").to_owned();
        Key { folder, fingerprint, passphrase: passphrase.to_owned() }
    }

    /// Returns a GnuPG home of the old form with the same key, as the original reads it.
    fn export(&self) -> PathBuf {
        let old = self.home().join("old");
        make(&old);
        for (option, file) in [("--export-secret-keys", "secring.gpg"), ("--export", "pubring.gpg")]
        {
            let mut gpg = Command::new("gpg");
            gpg.arg("--homedir").arg(self.home()).args(["--batch", "--quiet", "--no-tty"]);
            gpg.args(["--pinentry-mode", "loopback", "--passphrase", &self.passphrase]);
            gpg.args(["--yes", "--output"]).arg(old.join(file)).arg(option);
            let output = gpg.output().expect("gpg");
            assert!(output.status.success(), "{output:?}");
        }
        old
    }

    /// Returns the GnuPG home.
    pub(crate) fn home(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        let mut gpgconf = Command::new("gpgconf");
        gpgconf.arg("--homedir").arg(self.home()).args(["--kill", "all"]);
        gpgconf.status().expect("gpgconf");
    }
}

/// Time for which ext4 without a journal does not reuse the inode of a deleted file, once that is on
/// disk. Its search for a free inode takes longer the more of them there are.
const FORGET_SPAN: Duration = Duration::from_secs(61);

/// Waits until the files that earlier measurements have deleted no longer delay the creation of others.
pub(crate) fn await_free_inodes() {
    rustix::fs::sync();
    thread::sleep(FORGET_SPAN);
}

/// The folders of all installations. They are kept until the program ends, because their removal would
/// delay the next measurements: see [`FORGET_SPAN`].
static KEPT: Mutex<Vec<Arc<TempDir>>> = Mutex::new(Vec::new());

/// Removes all installations when it is dropped.
#[derive(Debug)]
pub(crate) struct Removal;

impl Drop for Removal {
    fn drop(&mut self) {
        KEPT.lock().expect("no thread panics").clear();
    }
}

/// An installation in a new folder, on the disk of the build.
#[derive(Debug)]
pub(crate) struct Home {
    folder: Arc<TempDir>,
}

impl Home {
    /// Creates an installation for the platform at `port`. `client` is added to the section `[client]`.
    pub(crate) fn new(key: &Key, port: u16, check: u32, client: &str) -> Home {
        let folder = Arc::new(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder"));
        KEPT.lock().expect("no thread panics").push(Arc::clone(&folder));
        let home = Home { folder };
        for name in ["runners", "plugins"] {
            make(&home.path(name));
        }
        let migrc = format!(
            "[api]\nurl = http://127.0.0.1:{port}/api/v1/\n[gpg]\nhome = {}\nkeyid = {}\n",
            key.home().display(),
            key.fingerprint
        );
        write(&home.path("migrc"), &migrc);
        let (directory, migrc) = (home.folder.path().display(), home.path("migrc"));
        let config = format!(
            "[runner]\ndirectory = {directory}\ncheckdirectory = {check}\n[client]\nclientconfpath = {}\npassphrase = {PASSPHRASE}\n{client}\n[logging]\nmode = stdout\nlevel = info\n",
            migrc.display()
        );
        write(&home.path("runner.cfg"), &config);
        home
    }

    /// Returns a path in the installation.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Removes the installation now, because it has few files, and large ones.
    pub(crate) fn discard(self) {
        fs::remove_dir_all(self.folder.path()).expect("the folder exists");
    }

    /// Replaces `from` with `to` in the configuration.
    pub(crate) fn configure(&self, from: &str, to: &str) {
        replace(&self.path("runner.cfg"), from, to);
    }

    /// Replaces `from` with `to` in the configuration of the client.
    fn configure_client(&self, from: &str, to: &str) {
        replace(&self.path("migrc"), from, to);
    }

    /// Creates a job.
    pub(crate) fn job(&self, name: &str, config: &str) {
        self.job_at(&self.path("runners").join(name), config);
    }

    /// Creates a job folder at any path.
    pub(crate) fn job_at(&self, folder: &Path, config: &str) {
        make(folder);
        write(&folder.join("entity.cfg"), &format!("[configuration]\n{config}\n"));
        // Each job has an action of its own, as most do.
        let name = folder.file_name().expect("a name").display().to_string();
        let action = r#"{"name":"NAME","target":"status='online'","operations":[{"module":"file","parameters":{"searches":{"s":{"paths":["/usr/bin"],"names":["^passwd$"]}}}}],"syntaxversion":2}"#;
        write(&folder.join("action.json"), &action.replace("NAME", &name));
    }

    /// Creates actions of a job as the original runner leaves them in flight. They expire at `expiry`.
    pub(crate) fn inflight(&self, job: &str, ids: std::ops::Range<u64>, expiry: Timestamp) {
        let folder = self.path("runners").join(job).join("inflight");
        make(&folder);
        let begin = expiry - SignedDuration::from_mins(6);
        for id in ids {
            let text = format!(
                r#"{{"action":{{"id":{id},"name":"mig-runner: {job}","target":"status='online'","validfrom":"{begin}","expireafter":"{expiry}","operations":[{{"module":"file","parameters":{{}}}}],"pgpsignatures":["{}"],"syntaxversion":2}},"commands":null,"name":"{job}","plugin":""}}"#,
                "wsBcBAABCAAQBQJrAkHECRAx".repeat(15)
            );
            write(&folder.join(format!("{id}.json")), &text);
        }
    }

    pub(crate) fn start(&self) -> Runner {
        self.start_program(&Program::runner())
    }

    /// Starts this or another runner.
    pub(crate) fn start_program(&self, program: &Program) -> Runner {
        let began = Instant::now();
        let mut child = Command::new(&program.path)
            .arg("-c")
            .arg(self.path("runner.cfg"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the runner");
        let stdout = child.stdout.take().expect("a pipe");
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send((Instant::now(), line)).is_err() {
                    break;
                }
            }
        });
        Runner { child, lines, began }
    }
}

/// A program that is measured: this runner or the original.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) is_original: bool,
}

impl Program {
    /// Returns this runner.
    pub(crate) fn runner() -> Program {
        Program { path: env!("CARGO_BIN_EXE_mig-runner").into(), is_original: false }
    }

    /// Returns a configuration for this program. The original has no `timezone`: its schedules are
    /// in the time zone of the machine.
    pub(crate) fn localized(&self, config: &str, slot: Timestamp) -> String {
        if !self.is_original {
            return config.to_owned();
        }
        let zone = TimeZone::system();
        let schedule = crate::dispatch::schedule_of(slot, &zone);
        let lines = config.lines().filter(|line| !line.starts_with("timezone"));
        let lines =
            lines.map(|line| if line.starts_with("schedule") { schedule.as_str() } else { line });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Prepares an installation for this program. The original reads a key ring of the old form, and
    /// needs no passphrase if the key has none.
    pub(crate) fn prepare(&self, home: &Home, key: &Key) {
        if self.is_original {
            let folder = key.export();
            home.configure_client(
                &format!("home = {}", key.home().display()),
                &format!("home = {}/", folder.display()),
            );
            if key.passphrase.is_empty() {
                home.configure(&format!("passphrase = {PASSPHRASE}\n"), "");
            }
        }
    }
}

/// A running runner.
#[derive(Debug)]
pub(crate) struct Runner {
    child: Child,
    lines: Receiver<(Instant, String)>,
    began: Instant,
}

impl Runner {
    /// Waits until `text` was logged `times` times; returns the time of each line.
    pub(crate) fn wait_for(&self, text: &str, times: usize) -> Vec<Instant> {
        self.logged(text, times).into_iter().map(|(at, _)| at).collect()
    }

    /// As [`Runner::wait_for`]; returns the lines, too.
    pub(crate) fn logged(&self, text: &str, times: usize) -> Vec<(Instant, String)> {
        let mut found = Vec::new();
        while found.len() < times {
            let (at, line) = self.line(|| format!("{} of {times} × {text}", found.len()));
            if line.contains(text) {
                found.push((at, line));
            }
        }
        found
    }

    /// Waits until each text was logged as often as its number says. Returns the time of the last line
    /// of each text; for the number 0, the current time.
    pub(crate) fn wait_for_all(&self, texts: &[(&str, usize)]) -> Vec<Instant> {
        let mut left: Vec<usize> = texts.iter().map(|(_, times)| *times).collect();
        let mut ends = vec![Instant::now(); texts.len()];
        while left.iter().any(|left| *left > 0) {
            let (at, line) = self.line(|| format!("{left:?} of {texts:?} are left"));
            let said = texts.iter().position(|(text, _)| line.contains(text));
            if let Some(said) = said.filter(|said| left[*said] > 0) {
                (left[said], ends[said]) = (left[said] - 1, at);
            }
        }
        ends
    }

    /// Waits for the next line of the log, and prints it if it reports an error.
    fn line(&self, so_far: impl FnOnce() -> String) -> (Instant, String) {
        let said = self.lines.recv_timeout(PATIENCE);
        let (at, line) = said.unwrap_or_else(|_| panic!("{}", so_far()));
        if line.contains("ERRO") || line.contains("CRIT") {
            eprintln!("{line}");
        }
        (at, line)
    }

    /// Waits until the runner is ready; returns the time since its start.
    pub(crate) fn ready(&self) -> Duration {
        self.wait_for("ready", 1)[0] - self.began
    }

    /// Returns the runner's memory in MiB: `VmRSS` (now) or `VmHWM` (peak).
    pub(crate) fn memory(&self, name: &str) -> f64 {
        let status = read(&PathBuf::from(format!("/proc/{}/status", self.child.id())));
        let line = status.lines().find(|line| line.starts_with(name)).expect("a figure");
        let kib: f64 = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
        kib / 1024.0
    }

    /// Returns the runner's memory in MiB, a moment after it was ready.
    pub(crate) fn settled_memory(&self) -> f64 {
        thread::sleep(REST);
        self.memory("VmRSS")
    }

    /// Returns the processor time that the runner has used, in seconds.
    pub(crate) fn cpu(&self) -> f64 {
        let stat = read(&PathBuf::from(format!("/proc/{}/stat", self.child.id())));
        let (_, fields) = stat.rsplit_once(") ").expect("fields");
        let ticks: f64 =
            fields.split(' ').skip(11).take(2).filter_map(|f| f.parse::<f64>().ok()).sum();
        ticks / TICKS
    }

    /// Returns the processor time that the runner uses during a minute, in seconds. The minute begins
    /// after the first scan: it still examines the files of all jobs, because their watches are new.
    pub(crate) fn cpu_a_minute(&self, check: u32) -> f64 {
        thread::sleep(REST + Duration::from_secs(check.into()));
        let before = self.cpu();
        thread::sleep(Duration::from_secs(60));
        self.cpu() - before
    }

    pub(crate) fn stop(mut self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("the runner is running");
        self.child.wait().expect("the runner ends");
    }
}

/// Creates a private folder.
pub(crate) fn make(path: &Path) {
    fs::DirBuilder::new().mode(0o700).recursive(true).create(path).expect("a folder");
}

/// Writes a private file.
pub(crate) fn write(path: &Path, text: &str) {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("a file");
}

fn replace(path: &Path, from: &str, to: &str) {
    let text = read(path);
    assert!(text.contains(from), "{text}");
    write(path, &text.replace(from, to));
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a file")
}
