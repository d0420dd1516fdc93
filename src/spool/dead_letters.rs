//! Dead letters: what cannot be an entry goes to `action/invalid`, with the reason beside it.
//!
//! The reason is there first, so that a crash between the two leaves a note
//! without a letter and never a letter without a note.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use slog::warn;

use super::folder::{Family, Folder};
use super::look::run_id;
use super::{Spool, SpoolError};
use crate::names::RunId;

/// How many dead letters may bear one name.
const SAME_NAME_MAX: u32 = 1000;

impl Spool {
    /// Moves what is no run to `action/invalid`, with the reason beside it.
    pub(crate) fn reject(
        &self,
        folder: Folder,
        name: &OsStr,
        reason: &str,
    ) -> Result<(), SpoolError> {
        let mark = match folder.family() {
            Family::Command => ".command",
            Family::Action if self.is_double(folder, name)? => DOUBLE,
            Family::Action => "",
        };
        self.reject_file(&self.layout.folder(folder).join(name), name, mark, reason)
    }

    /// Moves a file of a run that another one is preferred to, to `action/invalid`.
    pub(super) fn reject_duplicate(
        &self,
        folder: Folder,
        id: &RunId,
        reason: &str,
    ) -> Result<(), SpoolError> {
        let name = id.file_name();
        self.reject_file(&self.layout.run(folder, id), OsStr::new(&name), DOUBLE, reason)
    }

    /// Moves a file of the scratch folder that took the place of a run to `action/invalid`.
    pub(super) fn reject_displaced(&self, stray: &Path, name: &OsStr) -> Result<(), SpoolError> {
        self.reject_file(stray, name, DOUBLE, "it took the place of a run at work")
    }

    /// Tells whether a run has another file in its family, so that this one may not bear its name.
    fn is_double(&self, folder: Folder, name: &OsStr) -> Result<bool, SpoolError> {
        let Some(id) = run_id(name) else { return Ok(false) };
        Ok(self.holders(&id, folder.family())?.iter().any(|holder| *holder != folder))
    }

    fn reject_file(
        &self,
        from: &Path,
        name: &OsStr,
        mark: &str,
        reason: &str,
    ) -> Result<(), SpoolError> {
        let folder = self.layout.folder(Folder::Invalid);
        let stem = name.to_string_lossy();
        let stem = stem.strip_suffix(".json").unwrap_or(&stem);
        for attempt in 1..=SAME_NAME_MAX {
            let number = if attempt == 1 { String::new() } else { format!("-{attempt}") };
            let name = format!("{stem}{mark}{number}.json");
            let to = folder.join(&name);
            if from != to && self.disk.find(&to)?.is_some() {
                continue;
            }
            let note = folder.join(format!("{name}.reason"));
            match self.disk.create(&note, format!("{reason}\n").as_bytes()) {
                // It was noted before a crash.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                noted => noted?,
            }
            if from != to {
                match self.disk.rename(from, &to) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        return Ok(self.disk.unlink(&note)?);
                    }
                    Err(source) => return Err(SpoolError::Disk { source }),
                }
            }
            let reason = crate::chain::escape(reason);
            if from == to {
                warn!(self.log, "dead letter is no run"; "path" => %to.display(),
                    "reason" => reason.as_ref());
            } else {
                warn!(self.log, "moved to dead letters"; "path" => %from.display(),
                    "to" => %to.display(), "reason" => reason.as_ref());
            }
            return Ok(());
        }
        Err(SpoolError::Crowded { name: name.to_owned() })
    }
}

/// What stands after a run's id in the name of a file that may not be taken for the run's own.
const DOUBLE: &str = ".double";

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests break files on purpose")]

    use super::super::look::Seen;
    use super::super::testing::spool;
    use super::*;

    #[test]
    fn what_is_no_run_is_rejected_with_its_reason() {
        let (_folder, spool) = spool();
        for (folder, kept_as) in
            [(Folder::New, "x.json"), (Folder::New, "x-2.json"), (Folder::Ready, "x.command.json")]
        {
            let path = spool.layout.folder(folder).join("x.json");
            std::fs::write(&path, "{").unwrap();
            let Seen::Damaged { reason, .. } = spool.see(folder, "x.json".as_ref()).unwrap() else {
                panic!("not damaged")
            };
            spool.reject(folder, "x.json".as_ref(), &reason).unwrap();
            let letter = spool.layout.folder(Folder::Invalid).join(kept_as);
            assert_eq!(std::fs::read(&letter).unwrap(), b"{");
            let note = std::fs::read_to_string(format!("{}.reason", letter.display())).unwrap();
            assert!(note.starts_with("it is no JSON object"), "{note}");
        }
    }
    #[test]
    fn what_stays_where_it_is_was_not_moved() {
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
                    "dead letter is no run, path: {folder}/action-invalid.json, reason: it is bad"
                ),
                format!(
                    "moved to dead letters, path: {new}/action-new.json, \
                     to: {folder}/action-new.json, reason: it is bad"
                ),
            ]
        );
    }
}
