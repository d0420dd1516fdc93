//! Network namespaces: each has links, addresses, neighbours and sockets of its own.
//!
//! A namespace is seen through any process that is in it.

use std::collections::BTreeMap;
use std::fs::{File, read_dir, read_link};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// What the own namespace is called where no others are looked at.
const OWN_NAME: &str = "default";
/// The thread that asks, which may be in another namespace than the rest of its process.
const OWN_THREAD: &str = "thread-self";

/// A namespace that cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpaceError {
    /// The processes cannot be listed.
    #[error("cannot list the processes in {}", path.display())]
    List { path: PathBuf, source: io::Error },
    /// The namespaces of some processes are not told to us: that takes the privilege to trace them.
    #[error("cannot tell the network namespaces of other users' processes: {count} of them")]
    Denied { count: usize },
}

#[derive(Debug)]
pub(super) struct Space {
    /// What it is called.
    pub(super) name: String,
    /// The folder of a process that is in it.
    process: PathBuf,
    /// Whether this thread is in it.
    is_own: bool,
}

impl Space {
    /// Returns the folder of its tables.
    pub(super) fn tables(&self) -> PathBuf {
        self.process.join("net")
    }

    /// Returns whether the process through which the namespace is seen has ended.
    pub(super) fn has_ended(&self) -> bool {
        // A zombie still has its folder, but no namespace.
        !self.is_own && read_link(self.process.join("ns/net")).is_err()
    }

    /// Runs `task` in this namespace.
    ///
    /// # Errors
    /// It cannot be entered: that takes the privilege to administer the system.
    pub(super) fn enter<T: Send>(&self, task: impl FnOnce() -> T + Send) -> io::Result<T> {
        if self.is_own {
            return Ok(task());
        }
        let file = File::open(self.process.join("ns/net"))?;
        // Of a thread that has gone there nothing is left to be undone.
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().spawn_scoped(scope, move || {
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
                Ok(task())
            })?;
            thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread broke down")))
        })
    }
}

/// Returns the namespace that this thread is in.
pub(super) fn own(proc: &Path) -> Space {
    Space { name: OWN_NAME.to_owned(), process: proc.join(OWN_THREAD), is_own: true }
}

/// Returns all namespaces that a process is in, by name, and why there may be more.
pub(super) fn all(proc: &Path) -> (Vec<Space>, Vec<SpaceError>) {
    let processes = match processes(proc) {
        Ok(processes) => processes,
        Err(source) => {
            return (Vec::new(), vec![SpaceError::List { path: proc.to_owned(), source }]);
        }
    };
    let mut spaces = BTreeMap::new();
    let mut denied = 0;
    let own = proc.join(OWN_THREAD);
    for process in std::iter::once(own.clone()).chain(processes) {
        match read_link(process.join("ns/net")) {
            Ok(name) => {
                let is_own = process == own;
                let name = name.to_string_lossy().into_owned();
                spaces.entry(name.clone()).or_insert(Space { name, process, is_own });
            }
            // Of one that has just ended the system says so as well.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && process.exists() => {
                denied += 1;
            }
            // It has ended in the meantime, or has no namespace any more.
            Err(_) => {}
        }
    }
    let errors = if denied > 0 { vec![SpaceError::Denied { count: denied }] } else { Vec::new() };
    (spaces.into_values().collect(), errors)
}

/// Returns the folders of all processes.
fn processes(proc: &Path) -> io::Result<Vec<PathBuf>> {
    let mut processes = Vec::new();
    for entry in read_dir(proc)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            processes.push(entry.path());
        }
    }
    Ok(processes)
}
