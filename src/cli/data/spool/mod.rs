//! `spool`: the files of the scheduler's spool, and the stuck ones among them.
//!
//! The spool of the original's scheduler and that of `mig-standalone` have the same layout, which
//! is also the runner's: actions and commands move from folder to folder. It is read without a
//! lock, even while a scheduler works in it: a file that disappears meanwhile has moved on.

mod entry;
mod listing;
mod page;
mod report;
mod stuck;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use super::source::DataSource;
use crate::cli::failure::Failure;
use crate::cli::workspace::Workspace;
use crate::cli::{input, output};
use crate::clock::{Clock, SystemClock};
use crate::disk::Disk;
use crate::disk::trusted_paths::{Content, TrustedPath, add};
use crate::exit::Exit;
use crate::spool::{Folder, Layout};
use report::SpoolReport;

/// Show the scheduler's spool: files per folder, and stuck files
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mig-data spool
  mig-data spool --fail-if-any /srv/mig/spool")]
pub(super) struct Spool {
    /// Spool folder [default: that of the configuration, or /var/cache/mig]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Exit with status 1 if any file is stuck, for monitors
    #[arg(long)]
    fail_if_any: bool,
}

impl Spool {
    pub(super) fn run(&self, source: &DataSource) -> Result<Exit, Failure> {
        let root = match &self.folder {
            Some(folder) => folder.clone(),
            None => source.spool()?,
        };
        let workspace = Workspace::enter_checked(&[&root], |owner| source.check_trust(owner))?;
        let disk = workspace.disk(PathBuf::new());
        let report = SpoolReport::read(&disk, &root, SystemClock.now())?;
        check_trust(&disk, &root)?;
        if self.json {
            output::json_pretty(&report)?;
        } else {
            for (style, line) in page::lines(&report) {
                output::styled(style, line)?;
            }
        }
        let is_stuck = !report.stuck.is_empty();
        let exit = if is_stuck && self.fail_if_any { Exit::Attention } else { Exit::Done };
        Ok(report.first_fault.unwrap_or(exit))
    }
}

/// Fails if a user other than its owner and root can change a spool. A folder that cannot be accessed is
/// already in the report.
fn check_trust(disk: &Disk, root: &Path) -> Result<(), Failure> {
    let Some(found) = disk.resolve(root, None)? else { return Ok(()) };
    let layout = Layout::new(root.to_owned());
    let folders = Folder::ALL.map(|folder| layout.folder(folder));
    let mut faults = Vec::new();
    for path in [root.to_owned()].into_iter().chain(folders) {
        let path = TrustedPath::new(path, Content::Public);
        match path.faults(disk, found.meta.owner) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            checked => checked?.into_iter().for_each(|fault| add(&mut faults, fault)),
        }
    }
    input::refuse(faults)
}
