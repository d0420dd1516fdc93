//! What became of the log file, told in the log itself before the next record.

use std::path::Path;
use std::sync::Arc;

use slog::{Drain, Level, OwnedKVList, Record, b, o, record};

use super::file::{LogFile, News};
use crate::chain::Chain;

/// A drain that tells what became of the log file.
#[derive(Debug)]
pub(super) struct Herald<D> {
    drain: D,
    file: Option<Arc<LogFile>>,
}

impl<D> Herald<D> {
    /// Returns a drain that writes to `drain`, and tells there what became of `file`.
    pub(super) fn new(drain: D, file: Option<Arc<LogFile>>) -> Herald<D> {
        Herald { drain, file }
    }
}

impl<D: Drain> Herald<D> {
    /// Tells what became of the log file.
    fn tell(&self, path: &Path, news: Option<News>) -> Result<(), D::Err> {
        let (path, none) = (path.display(), o!().into());
        match news {
            Some(News::Away(error)) => {
                let text = format_args!("cannot write the log file, the log goes to stderr");
                let error = Chain(&error);
                self.drain
                    .log(
                        &record!(Level::Error, "", &text, b!("path" => %path, "error" => error)),
                        &none,
                    )
                    .map(drop)
            }
            Some(News::Back(lines)) => {
                let text =
                    format_args!("the log file is written again, lines went to stderr meanwhile");
                self.drain
                    .log(
                        &record!(Level::Warning, "", &text, b!("path" => %path, "lines" => lines)),
                        &none,
                    )
                    .map(drop)
            }
            None => Ok(()),
        }
    }
}

impl<D: Drain> Drain for Herald<D> {
    type Ok = D::Ok;
    type Err = D::Err;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<D::Ok, D::Err> {
        let Some(file) = &self.file else { return self.drain.log(record, values) };
        file.try_again();
        self.tell(file.path(), file.news())?;
        let logged = self.drain.log(record, values)?;
        // The next record may be far away.
        self.tell(file.path(), file.news())?;
        Ok(logged)
    }
}
