//! What unit tests share: private files, whatever the umask is, and tests that are skipped.

#![expect(clippy::disallowed_methods, reason = "tests prepare files as people do")]

use std::fmt::{self, Display, Write as _};
use std::fs::{DirBuilder, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use slog::{Drain, KV, Key, Logger, Never, OwnedKVList, Record, Serializer, o};

/// How long a lock may stay with a process that another test has forked.
const RETRY_SPAN: Duration = Duration::from_secs(20);

/// Makes a folder, and those above it, that only its owner can use.
pub(crate) fn make_private(path: &Path) {
    DirBuilder::new().mode(0o700).recursive(true).create(path).unwrap();
}

/// Returns a folder that only its owner can use, and that ends with the test.
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

/// Returns whether this process runs as root. If it does not, reports that the running test is skipped
/// and why; the name of such a test ends with `_as_root`, so that it can be run as root by that word.
pub(crate) fn is_root(why: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skip(format_args!("needs root: {why}"));
    }
    is_root
}

/// Reports that the running test, or a part of it, is skipped.
pub(crate) fn skip(why: impl Display) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // The test runner captures what `println!` writes, and shows it only if the test fails.
    writeln!(std::io::stderr(), "skipped: {test}: {why}").unwrap();
}

/// Repeats `attempt` while it fails with an error that passes, for up to 20 seconds. A process that another
/// test has just forked holds the locks of this one, too, until it becomes another program.
pub(crate) fn retried<T, E>(
    mut attempt: impl FnMut() -> Result<T, E>,
    passes: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let begun = Instant::now();
    loop {
        match attempt() {
            Err(error) if passes(&error) && begun.elapsed() < RETRY_SPAN => {
                std::thread::yield_now();
            }
            ended => return ended,
        }
    }
}

/// What was logged, a record a line: the message, then `, KEY: VALUE` for each value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Logged(Arc<Mutex<Vec<String>>>);

impl Logged {
    /// Returns a log that is kept here.
    pub(crate) fn logger(&self) -> Logger {
        Logger::root(self.clone(), o!())
    }

    /// Returns what was logged since this was last asked.
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
        // The last ones come first, as slog keeps them.
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
