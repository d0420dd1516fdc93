//! The exit statuses of the programs, from sysexits.h. The manual lists them.

use std::process::ExitCode;

/// The exit status of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    /// The command succeeded and found something that needs the operator.
    Attention,
    /// The command line is invalid.
    Usage,
    /// A job, an action or a schedule is invalid.
    Data,
    /// A file named by the operator cannot be read.
    NoInput,
    /// The API cannot be reached, or rejects the request.
    Unavailable,
    /// An internal error.
    Software,
    /// A system call failed.
    System,
    /// A file or folder cannot be created.
    CannotCreate,
    /// Reading or writing failed.
    Io,
    /// Another runner holds the lock of the spool.
    Locked,
    /// Permission denied, or permissions are too open.
    Permission,
    /// The configuration is invalid.
    Config,
}

impl Exit {
    /// All statuses, sorted by number.
    #[cfg(test)]
    pub(crate) const ALL: [Exit; 13] = [
        Exit::Done,
        Exit::Attention,
        Exit::Usage,
        Exit::Data,
        Exit::NoInput,
        Exit::Unavailable,
        Exit::Software,
        Exit::System,
        Exit::CannotCreate,
        Exit::Io,
        Exit::Locked,
        Exit::Permission,
        Exit::Config,
    ];

    /// Returns the number, as in sysexits.h.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Attention => 1,
            Exit::Usage => 64,
            Exit::Data => 65,
            Exit::NoInput => 66,
            Exit::Unavailable => 69,
            Exit::Software => 70,
            Exit::System => 71,
            Exit::CannotCreate => 73,
            Exit::Io => 74,
            Exit::Locked => 75,
            Exit::Permission => 77,
            Exit::Config => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_statuses_are_unique() {
        assert!(Exit::ALL.windows(2).all(|pair| pair[0].number() < pair[1].number()));
    }
}
