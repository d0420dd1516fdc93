//! Network namespaces: each has its own links, addresses, neighbours and sockets.
//!
//! A namespace is accessed through a process that is in it.

use std::collections::BTreeMap;
use std::fs::{File, read_dir, read_link};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The name of this thread's namespace in a search of that namespace only.
const OWN_NAME: &str = "default";
/// The folder of this thread, which may be in another namespace than the rest of its process.
const OWN_THREAD: &str = "thread-self";

#[derive(Debug, thiserror::Error)]
pub(super) enum SpaceError {
    #[error("cannot list the processes in {}", path.display())]
    List { path: PathBuf, source: io::Error },
    /// Reading another user's namespace requires the privilege to trace that user's processes.
    #[error("cannot read the network namespaces of {count} processes of other users")]
    Denied { count: usize },
}

#[derive(Debug)]
pub(super) struct NetworkSpace {
    pub(super) name: String,
    /// The folder of a process in the namespace.
    process: PathBuf,
    /// Whether this thread is in the namespace.
    is_own: bool,
}

impl NetworkSpace {
    /// Returns the folder of the namespace's tables.
    pub(super) fn tables(&self) -> PathBuf {
        self.process.join("net")
    }

    /// Returns whether the process through which the namespace is accessed has ended.
    pub(super) fn has_ended(&self) -> bool {
        // A zombie still has a folder, but no namespace.
        !self.is_own && read_link(self.process.join("ns/net")).is_err()
    }

    /// Runs `task` in this namespace.
    ///
    /// # Errors
    /// The namespace cannot be entered. Entering requires the privilege to administer the system.
    pub(super) fn enter<T: Send>(&self, task: impl FnOnce() -> T + Send) -> io::Result<T> {
        if self.is_own {
            return Ok(task());
        }
        let file = File::open(self.process.join("ns/net"))?;
        // On a separate thread, so that this thread does not change its namespace.
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().spawn_scoped(scope, move || {
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
                Ok(task())
            })?;
            thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
        })
    }
}

/// Returns the namespace that this thread is in.
pub(super) fn own(proc: &Path) -> NetworkSpace {
    NetworkSpace { name: OWN_NAME.to_owned(), process: proc.join(OWN_THREAD), is_own: true }
}

/// Returns the namespaces of all processes, by name, and errors if there may be more.
pub(super) fn all(proc: &Path) -> (Vec<NetworkSpace>, Vec<SpaceError>) {
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
                spaces.entry(name.clone()).or_insert(NetworkSpace { name, process, is_own });
            }
            // The system also denies access to a process that has just ended.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && process.exists() => {
                denied += 1;
            }
            // The process has ended in the meantime, or no longer has a namespace.
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
