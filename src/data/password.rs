//! Where a role's password comes from if the configuration has none.
//!
//! First `PGPASSWORD`, then the file that `PGPASSFILE` names, else `.pgpass` in the user's
//! home: as with every program that talks to PostgreSQL. A line of the file is
//! `HOST:PORT:NAME:USER:PASSWORD`, where `*` is anything and `\` takes the next character as it is;
//! the first line that fits counts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{DataError, Server};
use crate::config::secret::Secret;
use crate::disk::Disk;
use crate::disk::trust::{self, Distrust};

/// The longest file of passwords that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// How a file calls this host's own socket.
const HERE: &str = "localhost";

/// What the environment says about passwords; only the command line reads it.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    /// `PGPASSWORD`.
    pub(crate) password: Option<Secret>,
    /// `PGPASSFILE`, which must be there.
    pub(crate) file: Option<PathBuf>,
    /// `.pgpass` in the user's home, which may be there.
    pub(crate) usual_file: Option<PathBuf>,
}

impl Server {
    /// Returns the server with the password that the environment has for it, unless it has one.
    ///
    /// # Errors
    /// The file is not there, can be read by others, or has another form.
    pub(crate) fn with_credentials(
        mut self,
        disk: &Disk,
        credentials: &Credentials,
    ) -> Result<Server, DataError> {
        if self.password.is_some() {
            return Ok(self);
        }
        let found = match (&credentials.password, &credentials.file, &credentials.usual_file) {
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
        let user = input.owner().map_or_else(trust::own_user, super::user);
        match input.check_secret(disk, user)? {
            Some(Distrust::Readable { path }) => return Err(DataError::Permissions { path }),
            Some(fault) => return Err(DataError::Distrusted { fault }),
            None => {}
        }
        for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let wrong = || DataError::Passwords { path: path.to_owned(), line: at + 1 };
            let line = std::str::from_utf8(line).map_err(|_| wrong())?;
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fields = fields(line).ok_or_else(wrong)?;
            if let Some(password) = self.fitting(&fields) {
                return Ok(Some(password));
            }
        }
        Ok(None)
    }

    /// Returns the password of a line that is about this server and role.
    fn fitting(&self, fields: &[Zeroizing<String>; 5]) -> Option<Secret> {
        let [host, port, dbname, user, password] = fields;
        let own = if self.is_socket() { HERE } else { &self.host };
        let is = |field: &str, own: &str| field == "*" || field == own;
        let fits = (is(host, own) || **host == self.host)
            && is(port, &self.port.to_string())
            && is(dbname, &self.dbname)
            && is(user, &self.user);
        fits.then(|| Secret::from(String::clone(password)))
    }
}

/// Splits a line at its colons; the last field has all the rest.
fn fields(line: &str) -> Option<[Zeroizing<String>; 5]> {
    let mut fields: [Zeroizing<String>; 5] = Default::default();
    // Long enough from the start, so that no part of a password stays where it was before.
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

    fn server() -> Server {
        Server::parse("postgres://bob@db.example.com:6000/mig").unwrap()
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
    fn the_first_line_that_fits_counts() {
        let text = "# mine\n\ndb.example.com:5432:mig:bob:wrong\n*:*:mig:eve:wrong\n\
                    db.example.com:6000:*:bob:pass\\:wo\\\\rd:x\n*:*:*:*:late\n";
        assert_eq!(in_file(text, 0o600).unwrap().as_deref(), Some("pass:wo\\rd:x"));
        assert_eq!(in_file("other:*:*:*:x\n", 0o600).unwrap(), None);
    }

    #[test]
    fn the_environment_comes_first_and_no_file_is_no_error() {
        let password = Some(Secret::from("x".to_owned()));
        let file = Some(PathBuf::from("/nonexistent"));
        let credentials = Credentials { password, file: file.clone(), usual_file: None };
        assert_eq!(found(&credentials).unwrap().as_deref(), Some("x"));
        let usual = Credentials { usual_file: file.clone(), ..Credentials::default() };
        assert_eq!(found(&usual).unwrap(), None);
        let named = Credentials { file, ..Credentials::default() };
        assert!(matches!(found(&named), Err(DataError::File { .. })));
    }

    #[test]
    fn a_file_behind_a_link_is_judged_by_its_target_and_the_folder_of_the_link() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = crate::testing::private_folder();
        let open = folder.path().join("open");
        crate::testing::make_private(&open);
        crate::testing::write_private(&folder.path().join("kept"), "*:*:*:*:x\n");
        symlink("../kept", open.join("pgpass")).unwrap();
        let file = Some(open.join("pgpass"));
        for usual in [false, true] {
            let (file, usual_file) =
                if usual { (None, file.clone()) } else { (file.clone(), None) };
            let credentials = Credentials { password: None, file, usual_file };
            assert_eq!(found(&credentials).unwrap().as_deref(), Some("x"));
        }
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o707)).unwrap();
        let credentials = Credentials { file, ..Credentials::default() };
        assert!(matches!(found(&credentials), Err(DataError::Distrusted { .. })));
    }

    #[test]
    fn a_file_that_others_can_read_or_of_another_form_is_refused() {
        let error = in_file("*:*:*:*:x\n", 0o640).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
        let error = in_file("*:*:*:*:x\nhunter2\n", 0o600);
        assert_eq!(error.unwrap(), Some("x".to_owned()), "what comes later is not looked at");
        let error = in_file("# x\nhunter2\n", 0o600).unwrap_err().to_string();
        assert!(error.contains("pgpass:2: a line is HOST"), "{error}");
    }
}
