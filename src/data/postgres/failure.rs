//! What a server or the way to it says when something fails, fit for a message.

use std::error::Error;

use crate::chain::excerpt;
use crate::invocation::Program;

/// How much of a server's words a message shows.
const SHOWN_BYTES_MAX: usize = 500;

#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{text}")]
    Refused {
        /// The five letters that stand for the reason.
        code: String,
        text: String,
    },
    /// The way to the server failed.
    #[error("{text}")]
    Way {
        /// What was being done.
        text: String,
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The certificates that should count cannot be read.
    #[error("the certificates of sslrootcert cannot be used")]
    Certificates(#[source] native_tls::Error),
    /// The connection is gone, and with it a transaction.
    #[error("the connection is gone, and with it all that its transaction had done")]
    Gone,
    /// A statement of the transaction failed.
    #[error("a statement of its transaction failed, so that nothing of it is kept")]
    Aborted,
}

impl From<postgres::Error> for Failure {
    fn from(error: postgres::Error) -> Failure {
        let Some(said) = error.as_db_error() else {
            return Failure::Way { text: error.to_string(), source: error.into_source() };
        };
        let mut text = said.message().to_owned();
        for more in [said.detail(), said.hint()].into_iter().flatten() {
            text.push_str(": ");
            text.push_str(more);
        }
        let remedy = match said.code().code() {
            "28P01" => {
                " (is its password in the configuration, PGPASSWORD or the file of PGPASSFILE?)"
                    .to_owned()
            }
            "3D000" => " (make it with createdb)".to_owned(),
            "42P01" | "42703" => {
                let check = Program::Data.command_here(&["schema", "check"]);
                format!(" (`{check}` tells what is missing)")
            }
            _ => String::new(),
        };
        let text = format!("{}{remedy}", excerpt(&text, SHOWN_BYTES_MAX));
        Failure::Refused { code: said.code().code().to_owned(), text }
    }
}

impl Failure {
    /// Returns the five letters that stand for a server's reason.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Failure::Refused { code, .. } => Some(code),
            Failure::Way { .. } | Failure::Certificates(_) | Failure::Gone | Failure::Aborted => {
                None
            }
        }
    }

    /// Tells whether the server ends the connection for this reason: it shuts down, or was told to.
    pub(super) fn is_fatal(&self) -> bool {
        self.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
    }

    /// Returns whether the same statement may succeed later: the server is short of something, somebody
    /// holds a lock, or the connection went.
    pub(super) fn is_temporary(&self) -> bool {
        // Connection, transaction rollback, resources, limits of time and locks, operator, system.
        const CLASSES: [&str; 6] = ["08", "40", "53", "55", "57", "58"];
        match self {
            Failure::Refused { code, .. } => CLASSES.iter().any(|class| code.starts_with(class)),
            Failure::Way { .. } | Failure::Gone | Failure::Aborted => true,
            Failure::Certificates(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_lacks_is_told_from_what_it_refuses() {
        let refused = |code: &str| Failure::Refused { code: code.to_owned(), text: String::new() };
        // Disk full, out of memory, too many connections, statement timeout, shutdown, lock, deadlock.
        for code in
            ["53100", "53200", "53300", "57014", "57P01", "55P03", "40P01", "08006", "58030"]
        {
            assert!(refused(code).is_temporary(), "{code}");
        }
        // Bad bytes, a number out of range, a key that is there, no such table, not allowed.
        for code in ["22021", "22003", "23505", "42P01", "42501", "28P01"] {
            assert!(!refused(code).is_temporary(), "{code}");
        }
        assert!(Failure::Gone.is_temporary() && Failure::Aborted.is_temporary());
    }
}
