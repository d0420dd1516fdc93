//! What a server or the way to it says when something fails, fit for a message.

use std::error::Error;

use crate::chain::excerpt;
use crate::invocation::Program;

/// How much of a server's words a message shows.
const SHOWN_BYTES_MAX: usize = 500;

/// Why something failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The server refused.
    #[error("{text}")]
    Refused {
        /// The five letters that stand for the reason.
        code: String,
        /// Its own words.
        text: String,
    },
    /// The way to the server failed.
    #[error("{text}")]
    Way {
        /// What was being done.
        text: String,
        /// Why.
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
    #[cfg(any(test, feature = "standalone"))]
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
