//! Runs from files of other sources: action files that the operator puts into `action/new`, and
//! actions that the original runner left in flight.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;

use jiff::Timestamp;
use slog::{error, info};

use super::settings::Parts;
use crate::chain::{Chain, escape};
use crate::disk::Stamp;
use crate::names::JobName;
use crate::spool::run_id;
use crate::spool::{Folder, Run, SpoolError};
use crate::stage::{adopt, claim};

/// Size limit for an in-flight file of the original runner, in bytes.
const ORIGINAL_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Turns an action file in `action/new` into a run; returns `None` if the file was rejected. The
/// caller has made the file's name durable.
pub(super) fn claim_action(
    parts: &Parts,
    name: &OsStr,
    text: String,
    stamp: Stamp,
    now: Timestamp,
) -> Result<Option<Run>, SpoolError> {
    let Parts { spool, log, .. } = parts;
    let id = match run_id(name).filter(claim::is_claimed) {
        Some(id) => id,
        None => {
            let mark = crate::random::mark().unwrap_or_else(|_| "once".to_owned());
            let Some(id) = claim::id_of(&name.to_string_lossy(), now, &mark) else {
                let reason = "no run id can be made from its name";
                spool.reject(Folder::New, name, reason)?;
                return Ok(None);
            };
            spool.claim(name, &id)?;
            info!(log, "picked up action file"; "run" => %id,
                "name" => escape(&name.to_string_lossy()).as_ref());
            id
        }
    };
    let file_name = id.file_name();
    let record = id.stem().parse::<JobName>().map_err(|error| error.to_string()).and_then(|stem| {
        claim::record(id, stem, text, &parts.settings.defaults, now)
            .map_err(|error| Chain(&error).to_string())
    });
    match record {
        Ok(record) => spool.enroll(record, stamp).map(Some),
        Err(reason) => {
            spool.reject(Folder::New, file_name.as_ref(), &reason)?;
            Ok(None)
        }
    }
}

/// Adopts the actions that the original runner left in flight in a job's folder; returns the new
/// runs.
pub(super) fn adopt_inflight(parts: &Parts, job: &JobName, now: Timestamp) -> Vec<Run> {
    let folder = parts.settings.runners().join(job.as_str()).join("inflight");
    let disk = parts.spool.disk();
    let mut runs = Vec::new();
    if matches!(disk.find(&folder), Ok(None)) {
        return runs;
    }
    let entries = match disk.list(&folder) {
        Ok(entries) => entries,
        // The job has been removed meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound => return runs,
        Err(error) => {
            error!(parts.log, "cannot list in-flight actions of the original runner";
                "job" => %job, "error" => Chain(&error));
            return runs;
        }
    };
    for entry in entries {
        let path = folder.join(&entry.name);
        if path.extension().is_some_and(|extension| extension == "json")
            && let Err(error) = adopt_file(parts, job, &path, &mut runs, now)
        {
            error!(parts.log, "cannot adopt in-flight action of the original runner";
                "job" => %job, "path" => %path.display(), "error" => Chain(&error));
        }
    }
    runs
}

fn adopt_file(
    parts: &Parts,
    job: &JobName,
    path: &Path,
    runs: &mut Vec<Run>,
    now: Timestamp,
) -> Result<(), SpoolError> {
    let (spool, disk) = (&parts.spool, parts.spool.disk());
    let bytes = disk.read(path, ORIGINAL_BYTES_MAX)?;
    match adopt::record(job, &bytes, &parts.settings.defaults, now) {
        Err(error) => {
            let name = path.file_name().unwrap_or_default();
            spool.reject_action(job, name, &bytes, &Chain(&error).to_string())?;
        }
        Ok(record) if spool.fired(&record.id)?.is_some() => {}
        Ok(record) => {
            info!(parts.log, "adopted in-flight action of the original runner"; "job" => %job,
                "run" => %record.id, "action" => record.action_id.map(|id| id.0));
            runs.push(spool.adopt(record)?);
        }
    }
    // The run is durable, or the damaged file is kept as a dead letter.
    Ok(disk.unlink(path)?)
}
