//! Runs made of files from other sources: plain actions in `action/new`, and what the original runner left
//! in flight.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;

use slog::{error, info};

use super::engine::Engine;
use crate::chain::{Chain, escape};
use crate::disk::Stamp;
use crate::names::JobName;
use crate::spool::run_id;
use crate::spool::{Folder, SpoolError};
use crate::stage::{adopt, claim};

/// The largest in-flight file of the original runner that is adopted, in bytes.
const ORIGINAL_BYTES_MAX: u64 = 64 * 1024 * 1024;

impl Engine {
    /// Makes a run of a plain action.
    pub(super) fn claim(
        &mut self,
        name: &OsStr,
        text: String,
        stamp: Stamp,
    ) -> Result<(), SpoolError> {
        let now = self.parts.clock.now();
        self.secure(Folder::New)?;
        let claimed = run_id(name).filter(claim::is_claimed);
        let id = match claimed {
            Some(id) => id,
            None => {
                let mark = crate::random::mark().unwrap_or_else(|_| "once".to_owned());
                let Some(id) = claim::id_of(&name.to_string_lossy(), now, &mark) else {
                    return self.parts.spool.reject(
                        Folder::New,
                        name,
                        "it cannot be named as a run",
                    );
                };
                self.parts.spool.claim(name, &id)?;
                info!(self.parts.log, "action was put in by hand"; "run" => %id,
                    "name" => escape(&name.to_string_lossy()).as_ref());
                id
            }
        };
        let file_name = id.file_name();
        let made =
            id.stem().parse::<JobName>().map_err(|error| error.to_string()).and_then(|stem| {
                claim::record(id, stem, text, &self.parts.settings.defaults, now)
                    .map_err(|error| Chain(&error).to_string())
            });
        match made {
            Ok(record) => {
                let run = self.parts.spool.enroll(record, stamp)?;
                self.remember(run);
                Ok(())
            }
            Err(reason) => self.parts.spool.reject(Folder::New, file_name.as_ref(), &reason),
        }
    }

    /// Adopts what the original runner left in flight in a job's folder.
    pub(crate) fn adopt(&mut self, job: &JobName) {
        let folder =
            self.parts.settings.directory.join("runners").join(job.as_str()).join("inflight");
        let disk = self.parts.spool.disk().clone();
        if matches!(disk.find(&folder), Ok(None)) {
            return;
        }
        let entries = match disk.list(&folder) {
            Ok(entries) => entries,
            // The job was removed meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) => {
                error!(self.parts.log, "cannot look for actions in flight"; "job" => %job,
                    "error" => Chain(&error));
                return;
            }
        };
        for entry in entries {
            let path = folder.join(&entry.name);
            if path.extension().is_some_and(|extension| extension == "json")
                && let Err(error) = self.adopt_file(job, &path)
            {
                error!(self.parts.log, "cannot adopt an action in flight"; "job" => %job,
                    "path" => %path.display(), "error" => Chain(&error));
            }
        }
    }

    fn adopt_file(&mut self, job: &JobName, path: &Path) -> Result<(), SpoolError> {
        let disk = self.parts.spool.disk().clone();
        let bytes = disk.read(path, ORIGINAL_BYTES_MAX)?;
        let now = self.parts.clock.now();
        match adopt::record(job, &bytes, &self.parts.settings.defaults, now) {
            Err(error) => {
                let name = path.file_name().unwrap_or_default();
                self.parts.spool.reject_action(job, name, &bytes, &Chain(&error).to_string())?;
            }
            Ok(record) if self.parts.spool.fired(&record.id)?.is_some() => {}
            Ok(record) => {
                info!(self.parts.log, "adopted an action of the original runner"; "job" => %job,
                    "run" => %record.id, "action" => record.action_id.map(|id| id.0));
                let run = self.parts.spool.adopt(record)?;
                self.remember(run);
            }
        }
        // The run is durable, or the damaged file is kept elsewhere.
        Ok(disk.unlink(path)?)
    }
}
