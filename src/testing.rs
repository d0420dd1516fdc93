//! Helpers for unit tests: private files independent of the umask, skipped tests, retries, a log.

#![expect(clippy::disallowed_methods, reason = "tests prepare files directly")]

use std::fmt::{self, Display, Write as _};
use std::fs::{DirBuilder, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use slog::{Drain, KV, Key, Logger, Never, OwnedKVList, Record, Serializer, o};

/// Maximum time for which a process forked by another test may keep a lock.
const RETRY_SPAN: Duration = Duration::from_secs(20);

/// Creates a folder that only its owner can use, and the missing folders above it.
pub(crate) fn make_private(path: &Path) {
    DirBuilder::new().mode(0o700).recursive(true).create(path).unwrap();
}

/// Returns a temporary folder that only its owner can use.
pub(crate) fn private_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
    folder
}

/// Writes a file that only its owner can use.
pub(crate) fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

/// Copies the program of these tests into `folder`, and returns its path. In a user namespace, even
/// root may not enter the home of another user, in which the build may be.
pub(crate) fn copy_of_this_program(folder: &Path) -> PathBuf {
    let path = folder.join("test");
    // Another process writes it: a file that is open for writing in a child that another test is
    // just starting cannot be executed.
    let program = std::env::current_exe().unwrap();
    let copied = Command::new("cp").args([&program, &path]).status().unwrap();
    assert!(copied.success(), "{}", program.display());
    path
}

/// Returns whether this process runs as root; otherwise reports that the current test is skipped
/// and why. The names of such tests end with `_as_root`, so that they can be selected by that word.
pub(crate) fn is_root(why: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skip(format_args!("needs root: {why}"));
    }
    is_root
}

/// Returns the path that another process has put into the environment of this test.
pub(crate) fn given_path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}

/// Runs another test of this program as the user `nobody`, who has the rights of no other user.
pub(crate) fn as_nobody(test: &str, environment: &[(&str, &Path)]) {
    const NOBODY: u32 = 65534;
    let folder = tempfile::tempdir().unwrap();
    let program = copy_of_this_program(folder.path());
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(program);
    command.args(["--exact", test]).uid(NOBODY).gid(NOBODY).current_dir("/");
    command.envs(environment.iter().copied());
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{output:?}");
}

/// Reports that the current test, or a part of it, is skipped.
pub(crate) fn skip(why: impl Display) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // The test runner captures what `println!` writes, and shows it only if the test fails.
    writeln!(std::io::stderr(), "skipped: {test}: {why}").unwrap();
}

/// Repeats `attempt` while it fails with a transient error, for up to 20 seconds. A process that
/// another test has just forked also holds the locks of this process until it executes a program.
pub(crate) fn retried<T, E>(
    mut attempt: impl FnMut() -> Result<T, E>,
    is_transient: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let begun = Instant::now();
    loop {
        match attempt() {
            Err(error) if is_transient(&error) && begun.elapsed() < RETRY_SPAN => {
                std::thread::yield_now();
            }
            ended => return ended,
        }
    }
}

/// A log for tests that stores one line per record: the message, then `, KEY: VALUE` for each
/// value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Logged(Arc<Mutex<Vec<String>>>);

impl Logged {
    pub(crate) fn logger(&self) -> Logger {
        Logger::root(self.clone(), o!())
    }

    /// Returns the lines logged since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Drain for Logged {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), Never> {
        let mut values = Values(Vec::new());
        record.kv().serialize(record, &mut values).unwrap();
        let mut line = record.msg().to_string();
        // slog stores the last values first.
        for value in values.0.iter().rev() {
            write!(line, ", {value}").unwrap();
        }
        self.0.lock().unwrap().push(line);
        Ok(())
    }
}

/// The values of a record, the last one first.
struct Values(Vec<String>);

impl Serializer for Values {
    fn emit_arguments(&mut self, key: Key, value: &fmt::Arguments<'_>) -> slog::Result {
        self.0.push(format!("{key}: {value}"));
        Ok(())
    }
}
