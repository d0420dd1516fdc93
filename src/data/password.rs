//! The password of a database role, if the configuration has none.
//!
//! It is taken from `PGPASSWORD`, else from the file named by `PGPASSFILE`, else from `.pgpass` in
//! the user's home, as in every PostgreSQL client. A line of the file is
//! `HOST:PORT:NAME:USER:PASSWORD`, where `*` matches anything and `\` escapes the next character.
//! The first matching line applies.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::error::DataError;
use super::server::DatabaseServer;
use crate::config::secret::Secret;
use crate::disk::Disk;
use crate::disk::trust::{self, Distrust};

/// Size limit of a password file, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// The host that a password file uses for Unix sockets.
const SOCKET_HOST: &str = "localhost";

/// The password settings of the environment, which only the command line reads.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    /// `PGPASSWORD`.
    pub(crate) password: Option<Secret>,
    /// `PGPASSFILE`; the file must exist.
    pub(crate) file: Option<PathBuf>,
    /// `.pgpass` in the user's home; the file is optional.
    pub(crate) default_file: Option<PathBuf>,
}

impl DatabaseServer {
    /// Adds the password that the environment has for this server, unless a password is set.
    ///
    /// # Errors
    /// The file named by `PGPASSFILE` is missing, other users can read the file, or a line is
    /// malformed.
    pub(crate) fn with_credentials(
        mut self,
        disk: &Disk,
        credentials: &Credentials,
    ) -> Result<DatabaseServer, DataError> {
        if self.password.is_some() {
            return Ok(self);
        }
        let found = match (&credentials.password, &credentials.file, &credentials.default_file) {
            (Some(password), _, _) => Some(password.duplicate()),
            (None, Some(file), _) => self.password_in(disk, file)?,
            (None, None, Some(file)) if disk.find(file)?.is_some() => {
                self.password_in(disk, file)?
            }
            (None, None, _) => None,
        };
        self.password = found.map(Arc::new);
        Ok(self)
    }

    fn password_in(&self, disk: &Disk, path: &Path) -> Result<Option<Secret>, DataError> {
        let mut input = disk.read_input(path, FILE_BYTES_MAX)?;
        let text = Zeroizing::new(std::mem::take(&mut input.bytes));
        let user = input.owner().map_or_else(trust::own_user, trusted_owner);
        match input.check_secret(disk, user)? {
            Some(Distrust::Readable { path }) => return Err(DataError::PasswordFile { path }),
            Some(fault) => return Err(DataError::Distrusted { fault }),
            None => {}
        }
        for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let invalid = || DataError::Passwords { path: path.to_owned(), line: at + 1 };
            let line = std::str::from_utf8(line).map_err(|_| invalid())?;
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fields = fields(line).ok_or_else(invalid)?;
            if let Some(password) = self.matching_password(&fields) {
                return Ok(Some(password));
            }
        }
        Ok(None)
    }

    /// Returns the password of a line if the line is for this server and role.
    fn matching_password(&self, fields: &[Zeroizing<String>; 5]) -> Option<Secret> {
        let [host, port, dbname, user, password] = fields;
        let own_host = if self.is_socket() { SOCKET_HOST } else { &self.host };
        let matches = |field: &str, own: &str| field == "*" || field == own;
        let is_match = (matches(host, own_host) || **host == self.host)
            && matches(port, &self.port.to_string())
            && matches(dbname, &self.dbname)
            && matches(user, &self.user);
        is_match.then(|| Secret::from(String::clone(password)))
    }
}

/// Returns the user who may own a file with secrets: this process's user, or any `owner` for root,
/// which may read the files of all users.
pub(super) fn trusted_owner(owner: u32) -> u32 {
    if trust::own_user() == 0 { owner } else { trust::own_user() }
}

/// Splits a line at its colons; the last field contains the rest of the line.
fn fields(line: &str) -> Option<[Zeroizing<String>; 5]> {
    let mut fields: [Zeroizing<String>; 5] = Default::default();
    // Reserved in advance: a reallocation would leave part of a password in freed memory.
    fields.iter_mut().for_each(|field| field.reserve(line.len()));
    let mut at = 0;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            ':' if at < 4 => at += 1,
            '\\' => fields.get_mut(at)?.extend(characters.next()),
            c => fields.get_mut(at)?.push(c),
        }
    }
    (at == 4).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{COMMAND_PREFIX, RealFs};

    fn server() -> DatabaseServer {
        DatabaseServer::parse("postgres://bob@db.example.com:6000/mig").unwrap()
    }

    fn found(credentials: &Credentials) -> Result<Option<String>, DataError> {
        let disk = Disk::new(Arc::new(RealFs), PathBuf::new(), COMMAND_PREFIX);
        let server = server().with_credentials(&disk, credentials)?;
        Ok(server.password.map(|password| password.expose().to_owned()))
    }

    fn in_file(text: &str, mode: u32) -> Result<Option<String>, DataError> {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), COMMAND_PREFIX);
        let path = folder.path().join("pgpass");
        disk.create(&path, text.as_bytes()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        found(&Credentials { file: Some(path), ..Credentials::default() })
    }

    #[test]
    fn first_matching_line_applies() {
        let text = "# mine\n\ndb.example.com:5432:mig:bob:wrong\n*:*:mig:eve:wrong\n\
                    db.example.com:6000:*:bob:pass\\:wo\\\\rd:x\n*:*:*:*:late\n";
        assert_eq!(in_file(text, 0o600).unwrap().as_deref(), Some("pass:wo\\rd:x"));
        assert_eq!(in_file("other:*:*:*:x\n", 0o600).unwrap(), None);
    }

    #[test]
    fn variable_precedes_files_and_pgpass_is_optional() {
        let password = Some(Secret::from("x".to_owned()));
        let file = Some(PathBuf::from("/nonexistent"));
        let credentials = Credentials { password, file: file.clone(), default_file: None };
        assert_eq!(found(&credentials).unwrap().as_deref(), Some("x"));
        let default = Credentials { default_file: file.clone(), ..Credentials::default() };
        assert_eq!(found(&default).unwrap(), None);
        let named = Credentials { file, ..Credentials::default() };
        assert!(matches!(found(&named), Err(DataError::File { .. })));
    }

    #[test]
    fn linked_file_needs_safe_target_and_safe_folder_of_the_link() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = crate::testing::private_folder();
        let open = folder.path().join("open");
        crate::testing::make_private(&open);
        crate::testing::write_private(&folder.path().join("kept"), "*:*:*:*:x\n");
        symlink("../kept", open.join("pgpass")).unwrap();
        let file = Some(open.join("pgpass"));
        for is_default in [false, true] {
            let (file, default_file) =
                if is_default { (None, file.clone()) } else { (file.clone(), None) };
            let credentials = Credentials { password: None, file, default_file };
            assert_eq!(found(&credentials).unwrap().as_deref(), Some("x"));
        }
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o707)).unwrap();
        let credentials = Credentials { file, ..Credentials::default() };
        assert!(matches!(found(&credentials), Err(DataError::Distrusted { .. })));
    }

    #[test]
    fn readable_or_malformed_file_is_rejected() {
        let error = in_file("*:*:*:*:x\n", 0o640).unwrap_err();
        assert!(matches!(error, DataError::PasswordFile { .. }), "{error}");
        assert!(!error.to_string().contains("chmod"), "{error}");
        let error = in_file("*:*:*:*:x\nhunter2\n", 0o600);
        assert_eq!(error.unwrap(), Some("x".to_owned()), "later lines are not parsed");
        let error = in_file("# x\nhunter2\n", 0o600).unwrap_err().to_string();
        assert!(error.contains("pgpass:2: a line must be HOST"), "{error}");
    }
}
