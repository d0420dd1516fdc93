//! Checks the spool: its permissions, damaged records, files that are not records, dead letters.

use super::findings::Findings;
use crate::cli::failure::Failure;
use crate::cli::runner::installation::Installation;
use crate::cli::runner::spool_access::SpoolAccess;
use crate::exit::Exit;
use crate::invocation::Program;
use crate::spool::{Folder, Seen, inspect, is_spool};

pub(super) fn check(installation: &Installation, findings: &mut Findings) -> Result<(), Failure> {
    if !is_usable(installation, findings)? {
        return Ok(());
    }
    let spool = SpoolAccess::for_reading(installation)?;
    let of = spool.layout.root().display();
    let view = spool.report_view();
    let (mut runs, mut sound) = (0_usize, true);
    for folder in Folder::ALL.into_iter().filter(|folder| folder.is_active()) {
        let names = findings.need(&of, view.names(folder));
        sound &= names.is_some();
        for name in names.unwrap_or_default() {
            let path = format!("{folder}/{}", name.to_string_lossy());
            let seen = view.read_entry(folder, &name)?;
            runs += usize::from(!matches!(seen, Seen::Foreign));
            match seen {
                Seen::Run(_) | Seen::Action { .. } | Seen::Gone => {}
                Seen::Newer(version) => {
                    sound = false;
                    let text =
                        format!("{path} has version {version}, which needs a later mig-runner");
                    findings.fault(&of, Exit::Data, text);
                }
                Seen::Unreadable { reason } => {
                    sound = false;
                    findings.fault(&of, Exit::Permission, format!("{path}: {reason}"));
                }
                Seen::Foreign => {
                    findings.note(&of, format!("{path} is not a run: ignored"));
                }
                Seen::Damaged { reason, .. } => {
                    sound = false;
                    findings.fault(&of, Exit::Data, format!("{path}: {reason}"));
                }
            }
        }
    }
    let dead = findings.need(&of, view.names(Folder::Invalid)).map_or(0, |names| names.len());
    if dead > 0 {
        let status = Program::Runner.command_here(&["status"]);
        let noun = if dead == 1 { "dead letter" } else { "dead letters" };
        findings.note(&of, format!("{dead} {noun} in action/invalid: see `{status}`"));
    }
    if sound {
        let count = match runs {
            0 => "no unfinished runs".to_owned(),
            1 => "1 unfinished run".to_owned(),
            _ => format!("{runs} unfinished runs"),
        };
        findings.good(&of, format!("{count}, none damaged"));
    }
    Ok(())
}

/// Checks the spool as the daemon does at its start, and returns whether it exists and can be read.
fn is_usable(installation: &Installation, findings: &mut Findings) -> Result<bool, Failure> {
    let (layout, disk) = (&installation.layout, installation.disk());
    let of = layout.root().display();
    let Some(exists) = findings.need(&of, is_spool(&disk, layout)) else { return Ok(false) };
    if !exists || disk.find(&layout.scratch())?.is_none() {
        findings.note(&of, "does not exist; created at the first start");
        return Ok(false);
    }
    if let Err(error) = inspect(&disk, layout, installation.owner()?) {
        let failure = Failure::from(error);
        // Faults of the spool's root folder are already among those of the directory.
        let mut lines = failure.lines();
        lines.retain(|line| !findings.contains(line));
        for line in lines {
            findings.fault(&of, failure.exit(), line);
        }
    }
    Ok(true)
}
