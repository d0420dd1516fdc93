//! Starts processes that have no controlling terminal.
//!
//! A program that this process starts after it has become another user ([`super::user`]) can be
//! traced by other processes of that user. If it shared the terminal of root, they could type into
//! root's shell through it. In a session of its own, it has no terminal: not even in the moment before
//! the program begins.

use std::any::Any;
use std::io;
use std::process::{Child, Command};

use process_wrap::std::{CommandWrap, ProcessSession};

/// Starts a process as the leader of a new session and of a new process group.
pub(crate) fn start_in_session(command: Command) -> io::Result<Child> {
    let child = CommandWrap::from(command).wrap(ProcessSession).spawn()?;
    // The wrapper would wait for the whole process group.
    let child: Box<dyn Any> = child.into_inner();
    let child = child.downcast::<Child>();
    child.map(|child| *child).map_err(|_| io::Error::other("the process has no handle"))
}

#[cfg(test)]
pub(crate) mod testing {
    //! The session of another process.

    #![expect(clippy::disallowed_methods, reason = "tests read /proc")]

    /// Returns the session of a process and the number of its terminal, which is 0 if it has none.
    pub(crate) fn session(process: u32) -> (u32, i32) {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        let mut words = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(3);
        let mut next = || words.next().unwrap().to_owned();
        (next().parse().unwrap(), next().parse().unwrap())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_has_a_session_and_no_terminal() {
        let mut command = Command::new("sleep");
        command.arg("600");
        let mut child = start_in_session(command).unwrap();
        assert_eq!(testing::session(child.id()), (child.id(), 0));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn missing_program_is_reported() {
        let error = start_in_session(Command::new("/nonexistent")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
