//! Dead letters: files that are not valid entries, moved to `action/invalid` with a reason beside
//! them.
//!
//! The reason is created first, so that a crash leaves a reason without a file rather than a file
//! without a reason.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use slog::warn;

use super::entry::run_id;
use super::folder::{Family, Folder};
use super::{Spool, SpoolError};
use crate::names::RunId;

/// Maximum number of dead letters with the same name.
const SAME_NAME_MAX: u32 = 1000;
/// Added to a run's id in the name of a file that must not be mistaken for the run's own. Earlier
/// versions wrote `.double`. No code parses either suffix.
const DUPLICATE: &str = ".duplicate";

impl Spool {
    /// Moves a file that is not a valid entry to `action/invalid`, with the reason beside it.
    pub(crate) fn reject(
        &self,
        folder: Folder,
        name: &OsStr,
        reason: &str,
    ) -> Result<(), SpoolError> {
        let suffix = match folder.family() {
            Family::Command => ".command",
            Family::Action if self.is_duplicate(folder, name)? => DUPLICATE,
            Family::Action => "",
        };
        self.reject_file(&self.layout.folder(folder).join(name), name, suffix, reason)
    }

    /// Moves a file of a run to `action/invalid` because another file of the run counts.
    pub(super) fn reject_duplicate(
        &self,
        folder: Folder,
        id: &RunId,
        reason: &str,
    ) -> Result<(), SpoolError> {
        let name = id.file_name();
        self.reject_file(&self.layout.run(folder, id), OsStr::new(&name), DUPLICATE, reason)
    }

    /// Moves a displaced file from `.tmp` to `action/invalid`; `name` is the name that it had.
    pub(super) fn reject_displaced(
        &self,
        displaced: &Path,
        name: &OsStr,
    ) -> Result<(), SpoolError> {
        let reason = "it was put in the place of a run's file while the runner rewrote that file";
        self.reject_file(displaced, name, DUPLICATE, reason)
    }

    /// Returns whether the run has another file in the family, so that this one must not keep its
    /// name in `action/invalid`.
    fn is_duplicate(&self, folder: Folder, name: &OsStr) -> Result<bool, SpoolError> {
        let Some(id) = run_id(name) else { return Ok(false) };
        Ok(self.holders(&id, folder.family())?.iter().any(|holder| *holder != folder))
    }

    fn reject_file(
        &self,
        from: &Path,
        name: &OsStr,
        suffix: &str,
        reason: &str,
    ) -> Result<(), SpoolError> {
        let folder = self.layout.folder(Folder::Invalid);
        let stem = name.to_string_lossy();
        let stem = stem.strip_suffix(".json").unwrap_or(&stem);
        for attempt in 1..=SAME_NAME_MAX {
            let number = if attempt == 1 { String::new() } else { format!("-{attempt}") };
            let name = format!("{stem}{suffix}{number}.json");
            let to = folder.join(&name);
            if from != to && self.disk.find(&to)?.is_some() {
                continue;
            }
            let reason_file = folder.join(format!("{name}.reason"));
            match self.disk.create(&reason_file, format!("{reason}\n").as_bytes()) {
                // It was created before a crash.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => created?,
            }
            if from != to {
                match self.disk.rename(from, &to) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        return Ok(self.disk.unlink(&reason_file)?);
                    }
                    Err(source) => return Err(SpoolError::Disk { source }),
                }
            }
            let reason = crate::chain::escape(reason);
            if from == to {
                warn!(self.log, "dead letter is not a valid run"; "path" => %to.display(),
                    "reason" => reason.as_ref());
            } else {
                warn!(self.log, "file moved to dead letters"; "path" => %from.display(),
                    "to" => %to.display(), "reason" => reason.as_ref());
            }
            return Ok(());
        }
        Err(SpoolError::Crowded { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests break files on purpose")]

    use super::super::entry::Seen;
    use super::super::testing::spool;
    use super::*;

    #[test]
    fn damaged_file_is_rejected_with_its_reason() {
        let (_folder, spool) = spool();
        for (folder, kept_as) in
            [(Folder::New, "x.json"), (Folder::New, "x-2.json"), (Folder::Ready, "x.command.json")]
        {
            let path = spool.layout.folder(folder).join("x.json");
            std::fs::write(&path, "{").unwrap();
            let Seen::Damaged { reason, .. } = spool.read_entry(folder, "x.json".as_ref()).unwrap()
            else {
                panic!("not damaged")
            };
            spool.reject(folder, "x.json".as_ref(), &reason).unwrap();
            let letter = spool.layout.folder(Folder::Invalid).join(kept_as);
            assert_eq!(std::fs::read(&letter).unwrap(), b"{");
            let reason = std::fs::read_to_string(format!("{}.reason", letter.display())).unwrap();
            assert!(reason.starts_with("it is not a JSON object"), "{reason}");
        }
    }

    #[test]
    fn dead_letter_in_place_is_logged_but_not_moved() {
        let (_folder, mut spool) = spool();
        let logged = crate::testing::Logged::default();
        spool.log = logged.logger();
        let (folder, new) =
            (spool.layout.folder(Folder::Invalid), spool.layout.folder(Folder::New));
        for (folder, place) in [(Folder::Invalid, &folder), (Folder::New, &new)] {
            let name = format!("{}.json", folder.to_string().replace('/', "-"));
            std::fs::write(place.join(&name), "{").unwrap();
            spool.reject(folder, name.as_ref(), "it is bad").unwrap();
        }
        let (folder, new) = (folder.display(), new.display());
        assert_eq!(
            logged.take(),
            [
                format!(
                    "dead letter is not a valid run, path: {folder}/action-invalid.json, reason: it is bad"
                ),
                format!(
                    "file moved to dead letters, path: {new}/action-new.json, \
                     to: {folder}/action-new.json, reason: it is bad"
                ),
            ]
        );
    }
}
