//! Errors of a server or of the connection to it, as messages show them.

use std::error::Error;

use crate::chain::excerpt;
use crate::invocation::Program;

/// Maximum length of a server's message that is shown, in bytes.
const SHOWN_BYTES_MAX: usize = 500;

#[derive(Debug, thiserror::Error)]
pub(super) enum PostgresError {
    #[error("{text}")]
    Refused {
        /// The SQLSTATE code.
        code: String,
        text: String,
    },
    /// The connection to the server failed.
    #[error("{text}")]
    Connection {
        /// The operation that failed.
        text: String,
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    #[error("the certificates of sslrootcert cannot be used")]
    Certificates(#[source] native_tls::Error),
    #[error("the connection was lost, and the server discards all changes of its transaction")]
    Gone,
    #[error("a statement of its transaction failed, so that nothing was committed")]
    Aborted,
}

impl From<postgres::Error> for PostgresError {
    fn from(error: postgres::Error) -> PostgresError {
        let Some(said) = error.as_db_error() else {
            return PostgresError::Connection {
                text: error.to_string(),
                source: error.into_source(),
            };
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
            "3D000" => " (create it with createdb)".to_owned(),
            "42P01" | "42703" => {
                let check = Program::Data.command_here(&["schema", "check"]);
                format!(" (`{check}` lists the differences)")
            }
            _ => String::new(),
        };
        let text = format!("{}{remedy}", excerpt(&text, SHOWN_BYTES_MAX));
        PostgresError::Refused { code: said.code().code().to_owned(), text }
    }
}

impl PostgresError {
    /// Returns the SQLSTATE code of an error that the server sent.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            PostgresError::Refused { code, .. } => Some(code),
            PostgresError::Connection { .. }
            | PostgresError::Certificates(_)
            | PostgresError::Gone
            | PostgresError::Aborted => None,
        }
    }

    /// Returns whether the server closes the connection with this error, for example at shutdown.
    pub(super) fn is_fatal(&self) -> bool {
        self.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
    }

    /// Returns whether the same statement may succeed later: the server lacks a resource, another
    /// session holds a lock, or the connection was lost.
    pub(super) fn is_temporary(&self) -> bool {
        // Connection, transaction rollback, resources, time limits and locks, operator, system.
        const CLASSES: [&str; 6] = ["08", "40", "53", "55", "57", "58"];
        match self {
            PostgresError::Refused { code, .. } => {
                CLASSES.iter().any(|class| code.starts_with(class))
            }
            PostgresError::Connection { .. } | PostgresError::Gone | PostgresError::Aborted => true,
            PostgresError::Certificates(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_errors_are_distinguished_by_code() {
        let refused =
            |code: &str| PostgresError::Refused { code: code.to_owned(), text: String::new() };
        // Disk full, out of memory, too many connections, statement timeout, shutdown, lock,
        // deadlock.
        for code in
            ["53100", "53200", "53300", "57014", "57P01", "55P03", "40P01", "08006", "58030"]
        {
            assert!(refused(code).is_temporary(), "{code}");
        }
        // Invalid bytes, number out of range, duplicate key, missing table, missing privilege.
        for code in ["22021", "22003", "23505", "42P01", "42501", "28P01"] {
            assert!(!refused(code).is_temporary(), "{code}");
        }
        assert!(PostgresError::Gone.is_temporary() && PostgresError::Aborted.is_temporary());
    }
}
