//! Reading the folders of finished runs, which may hold a month of runs.
//!
//! **Invariant.** Names are read one by one and not kept: memory use does not depend on the number
//! of finished runs.

use std::ffi::OsStr;

use jiff::Timestamp;
use serde::Deserialize;

use super::entry::{Seen, run_id};
use super::folder::{Family, Folder, Layout};
use super::record::RECORD_BYTES_MAX;
use super::view::{View, is_entry};
use super::{Spool, SpoolError};
use crate::disk::{Disk, DiskError};
use crate::names::{ActionId, RunId};

impl View<'_> {
    /// Calls `each` with every name in a folder that may be an entry, unordered; see
    /// [`View::names`].
    pub(crate) fn visit(
        &self,
        folder: Folder,
        each: &mut dyn FnMut(&OsStr),
    ) -> Result<(), SpoolError> {
        let path = self.layout.folder(folder);
        Ok(self.disk.for_each_name(&path, &mut |name| {
            if is_entry(name) {
                each(name);
            }
        })?)
    }

    /// Calls `each` with the id of every run in a folder, unordered.
    pub(crate) fn visit_ids(
        &self,
        folder: Folder,
        each: &mut dyn FnMut(RunId),
    ) -> Result<(), SpoolError> {
        self.visit(folder, &mut |name| run_id(name).into_iter().for_each(&mut *each))
    }

    /// Returns whether the file of this name in `action/done` is a run that needs no more work: its
    /// results were collected or are not wanted.
    pub(crate) fn is_collected(&self, name: &OsStr) -> Result<bool, SpoolError> {
        let Some(id) = run_id(name) else { return Ok(false) };
        // Usually a command record exists, and the action record need not be read.
        for folder in Family::Command.folders().into_iter().rev() {
            if self.disk.find(&self.layout.run(folder, &id))?.is_some() {
                return Ok(true);
            }
        }
        match self.read_entry(Folder::ActionDone, name)? {
            Seen::Run(run) => Ok(run.record().collected.is_some()),
            Seen::Gone => Ok(true),
            Seen::Action { .. }
            | Seen::Newer(_)
            | Seen::Unreadable { .. }
            | Seen::Foreign
            | Seen::Damaged { .. } => Ok(false),
        }
    }
}

impl Spool {
    pub(crate) fn visit_ids(
        &self,
        folder: Folder,
        each: &mut dyn FnMut(RunId),
    ) -> Result<(), SpoolError> {
        self.view().visit_ids(folder, each)
    }
}

/// Returns a run other than `own`, in `action/done` or `action/invalid`, whose record has the
/// action id `action`. Reads only files that were written after `since`. After an error it is
/// unknown whether such a run exists.
pub(crate) fn run_with_action(
    disk: &Disk,
    layout: &Layout,
    action: ActionId,
    own: &RunId,
    since: Option<Timestamp>,
) -> Result<Option<RunId>, DiskError> {
    for folder in [Folder::ActionDone, Folder::Invalid] {
        let mut found = Ok(None);
        disk.for_each_name(&layout.folder(folder), &mut |name| {
            if !matches!(found, Ok(None)) {
                return;
            }
            if let Some(id) = run_id(name).filter(|id| id != own) {
                let held = action_of(disk, layout, folder, &id, since);
                found = held.map(|held| (held == Some(action)).then_some(id));
            }
        })?;
        if let Some(id) = found? {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Returns the action id in a file's record; `None` if the file is not a record or is older than
/// `since`.
fn action_of(
    disk: &Disk,
    layout: &Layout,
    folder: Folder,
    id: &RunId,
    since: Option<Timestamp>,
) -> Result<Option<ActionId>, DiskError> {
    #[derive(Deserialize)]
    struct Holder {
        id: RunId,
        #[serde(rename = "actionid")]
        action_id: Option<ActionId>,
    }
    let path = layout.run(folder, id);
    let Some(meta) = disk.find(&path)? else { return Ok(None) };
    if since.is_some_and(|since| meta.stamp.changed < since) {
        return Ok(None);
    }
    match disk.read(&path, RECORD_BYTES_MAX) {
        Ok(bytes) => {
            // A copy under another name is not a run, and may be a copy of the searching run.
            let holder = serde_json::from_slice::<Holder>(&bytes).ok();
            Ok(holder.filter(|holder| holder.id == *id).and_then(|holder| holder.action_id))
        }
        Err(error) => match error.kind() {
            // A folder or pipe of that name has no action id, and neither has a file that is gone.
            std::io::ErrorKind::NotFound
            | std::io::ErrorKind::IsADirectory
            | std::io::ErrorKind::InvalidInput
            | std::io::ErrorKind::FileTooLarge => Ok(None),
            _ => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests create the files of each case")]

    use super::super::testing::{record, spool};
    use super::*;
    use crate::spool::Transition;

    #[test]
    fn finished_run_with_an_action_id_is_found() {
        let (_folder, spool) = spool();
        let mut finished = record("job.20261122T120000Z");
        finished.action_id = Some(ActionId(7));
        let run = spool.adopt(finished.clone()).unwrap();
        let run = spool.apply_unchanged(run, Transition::SentOnly).unwrap();
        let mut letter = record("job.20261122T130000Z");
        letter.action_id = Some(ActionId(8));
        let invalid = spool.layout.folder(Folder::Invalid);
        std::fs::write(invalid.join(letter.id.file_name()), letter.to_bytes().unwrap()).unwrap();
        std::fs::write(invalid.join("job.20261122T140000Z.json"), "{").unwrap();
        let copy = letter.to_bytes().unwrap();
        std::fs::write(invalid.join("job.20261122T170000Z.json"), copy).unwrap();
        std::fs::create_dir(invalid.join("job.20261122T150000Z.json")).unwrap();
        let other: RunId = "job.20261122T160000Z".parse().unwrap();
        let (changed, second) = (run.stamp().changed, std::time::Duration::from_secs(1));
        for (action, own, since, expected) in [
            (7, &other, None, Some(&finished.id)),
            (7, &finished.id, None, None),
            (8, &other, None, Some(&letter.id)),
            (8, &letter.id, None, None),
            (9, &other, None, None),
            (7, &other, Some(crate::clock::before(changed, second)), Some(&finished.id)),
            (7, &other, Some(crate::clock::after(changed, second)), None),
        ] {
            let found =
                run_with_action(&spool.disk, &spool.layout, ActionId(action), own, since).unwrap();
            assert_eq!(found.as_ref(), expected, "{action} {since:?}");
        }
    }

    #[test]
    fn collected_runs_are_recognised() {
        let (_folder, spool) = spool();
        let done = spool.layout.folder(Folder::ActionDone);
        for (id, collected, has_command, expected) in [
            ("a.20261122T120000Z", true, false, true),
            ("b.20261122T120000Z", false, true, true),
            ("c.20261122T120000Z", false, false, false),
        ] {
            let mut record = record(id);
            record.collected = collected.then_some(record.slot);
            let bytes = record.to_bytes().unwrap();
            std::fs::write(done.join(record.id.file_name()), &bytes).unwrap();
            if has_command {
                std::fs::write(spool.layout.run(Folder::Returned, &record.id), &bytes).unwrap();
            }
            let name = record.id.file_name();
            assert_eq!(spool.view().is_collected(name.as_ref()).unwrap(), expected, "{id}");
        }
        std::fs::write(done.join("d.20261122T120000Z.json"), "{").unwrap();
        assert!(!spool.view().is_collected("d.20261122T120000Z.json".as_ref()).unwrap());
        assert!(!spool.view().is_collected("notes".as_ref()).unwrap());
    }
}
