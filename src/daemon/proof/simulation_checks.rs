//! Checks of a simulated host: what no scenario may lead to.

use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value;

use super::simulation::{BYTES_MAX, SCRATCH, Simulation, home};
use crate::disk::{FileKind, Fs, read};
use crate::spool::{DeliveryState, Folder, Record};

impl Simulation {
    /// Returns the faults that no scenario may lead to. If `is_swept`, temporary files, which the
    /// next start removes, are faults too.
    pub(super) fn faults(&self, is_swept: bool) -> Vec<String> {
        let mut faults = Vec::new();
        for record in self.records(Folder::CommandDone) {
            match record {
                Ok(record) => faults.extend(self.check_finished(&record).err()),
                Err(error) => faults.push(error),
            }
        }
        let scratch = self.fs.list(&home(SCRATCH)).unwrap_or_default();
        for entry in scratch.into_iter().filter(|_| is_swept) {
            faults.push(format!("temporary file left: {}", entry.name.display()));
        }
        if self.is_degraded() {
            faults.push("degraded although nothing fails".to_owned());
        }
        faults
    }

    /// Returns whether `status` shows that the disk fails.
    pub(super) fn is_degraded(&self) -> bool {
        self.fs
            .lock(&home("spool/.degraded"))
            .is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Checks that the results of a finished run are stored and that each plugin received them.
    fn check_finished(&self, record: &Record) -> Result<(), String> {
        let id = &record.id;
        let (Some(document), Some(_)) = (&record.document, record.fetched) else {
            return if record.reason.is_some() {
                Ok(())
            } else {
                Err(format!("{id}: no document"))
            };
        };
        let bytes = read(&self.fs, &home(document), BYTES_MAX)
            .map_err(|error| format!("{id}: {document}: {error}"))?;
        let parsed: Value =
            serde_json::from_slice(&bytes).map_err(|error| format!("{id}: {document}: {error}"))?;
        let commands = parsed["commands"].as_array().map_or(0, Vec::len) as u64;
        let sent = record.summary.as_ref().map_or(u64::MAX, |summary| summary.sent);
        if commands != sent {
            return Err(format!("{id}: {commands} of {sent} commands are stored"));
        }
        let name = Path::new(document).file_name().unwrap();
        if self.fs.meta(&home("results").join(name)).is_err() {
            return Err(format!("{id}: results/{} is missing", name.display()));
        }
        for delivery in record.plugins.iter().filter(|d| d.state == DeliveryState::Delivered) {
            if !self.plugins.has_received(&delivery.plugin, id, &bytes) {
                return Err(format!("{id}: {} did not receive the results", delivery.plugin));
            }
        }
        Ok(())
    }

    /// Returns the parts of documents that were left behind, as faults.
    pub(super) fn part_files(&self) -> Vec<String> {
        let mut faults = Vec::new();
        self.part_files_in(&home(""), &mut faults);
        faults
    }

    fn part_files_in(&self, folder: &Path, faults: &mut Vec<String>) {
        for entry in self.fs.list(folder).unwrap_or_default() {
            let path = folder.join(&entry.name);
            if entry.kind == FileKind::Folder {
                self.part_files_in(&path, faults);
            } else if path.extension().is_some_and(|extension| extension == "part") {
                faults.push(format!("partial document left: {}", path.display()));
            }
        }
    }
}
