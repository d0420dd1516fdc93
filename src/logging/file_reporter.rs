//! Reports in the log itself, before the next record, that the log file became unwritable or
//! writable.

use std::path::Path;
use std::sync::Arc;

use slog::{Drain, Level, OwnedKVList, Record, b, o, record};

use super::file::{FileEvent, LogFile};
use crate::chain::Chain;

/// A drain that also logs the events of the log file.
#[derive(Debug)]
pub(super) struct FileReporter<D> {
    drain: D,
    file: Option<Arc<LogFile>>,
}

impl<D> FileReporter<D> {
    /// Returns a drain that passes records and the events of `file` to `drain`.
    pub(super) fn new(drain: D, file: Option<Arc<LogFile>>) -> FileReporter<D> {
        FileReporter { drain, file }
    }
}

impl<D: Drain> FileReporter<D> {
    fn report(&self, path: &Path, event: Option<FileEvent>) -> Result<(), D::Err> {
        let (path, no_values) = (path.display(), o!().into());
        let logged = match event {
            Some(FileEvent::Unwritable(error)) => {
                let text = format_args!("cannot write log file; logging to stderr");
                let error = Chain(&error);
                self.drain.log(
                    &record!(Level::Error, "", &text, b!("path" => %path, "error" => error)),
                    &no_values,
                )
            }
            Some(FileEvent::Writable(lines)) => {
                let text = format_args!("log file is writable again; earlier lines went to stderr");
                self.drain.log(
                    &record!(Level::Warning, "", &text, b!("path" => %path, "lines" => lines)),
                    &no_values,
                )
            }
            None => return Ok(()),
        };
        logged.map(drop)
    }
}

impl<D: Drain> Drain for FileReporter<D> {
    type Ok = D::Ok;
    type Err = D::Err;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<D::Ok, D::Err> {
        let Some(file) = &self.file else { return self.drain.log(record, values) };
        file.retry_open();
        self.report(file.path(), file.take_event())?;
        let logged = self.drain.log(record, values)?;
        // The next record may come much later.
        self.report(file.path(), file.take_event())?;
        Ok(logged)
    }
}
