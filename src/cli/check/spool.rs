//! The spool: files that are no runs, and dead letters.

use super::{Failure, Findings, Hand, Installation};
use crate::exit::Exit;
use crate::invocation::Program;
use crate::spool::{Folder, Seen, inspect, is_spool};

/// Looks at the spool and at what is in it: files that are no runs, and dead letters.
pub(super) fn check(installation: &Installation, findings: &mut Findings) -> Result<(), Failure> {
    if !is_usable(installation, findings)? {
        return Ok(());
    }
    let hand = Hand::look(installation)?;
    let of = hand.layout.root().display();
    let view = hand.view();
    let (mut entries, mut sound) = (0_usize, true);
    for folder in Folder::ALL.into_iter().filter(|folder| folder.is_active()) {
        for name in view.names(folder)? {
            let shown = format!("{folder}/{}", name.to_string_lossy());
            let seen = view.see(folder, &name)?;
            entries += usize::from(!matches!(seen, Seen::Foreign));
            match seen {
                Seen::Run(_) | Seen::Action { .. } | Seen::Gone => {}
                Seen::Newer(version) => {
                    sound = false;
                    findings.fault(
                        &of,
                        Exit::Data,
                        format!("{shown} is of version {version}: it needs a later mig-runner"),
                    );
                }
                Seen::Unreadable { reason } => {
                    sound = false;
                    findings.fault(&of, Exit::Permission, format!("{shown}: {reason}"));
                }
                Seen::Foreign => {
                    findings.note(&of, format!("{shown} is no run: it is left alone"));
                }
                Seen::Damaged { reason, .. } => {
                    sound = false;
                    findings.fault(&of, Exit::Data, format!("{shown}: {reason}"));
                }
            }
        }
    }
    let dead = view.names(Folder::Invalid)?.len();
    if dead > 0 {
        let status = Program::Runner.command_here(&["status"]);
        findings.note(&of, format!("{dead} in action/invalid: see `{status}`"));
    }
    if sound {
        findings.good(&of, format!("{entries} not over, none of them damaged"));
    }
    Ok(())
}

/// Judges the spool as a start does; tells whether there is one.
fn is_usable(installation: &Installation, findings: &mut Findings) -> Result<bool, Failure> {
    let (layout, disk) = (&installation.layout, installation.disk());
    let of = layout.root().display();
    let found = findings.need(&of, is_spool(&disk, layout).map_err(Failure::Spool));
    let Some(is_there) = found else { return Ok(false) };
    if !is_there || disk.find(&layout.scratch())?.is_none() {
        findings.note(&of, "will be made at the first start");
        return Ok(false);
    }
    if let Err(error) = inspect(&disk, layout, installation.owner()?) {
        let failure = Failure::Spool(error);
        let mut lines = failure.lines();
        // What is wrong with the spool's own folder is told with the directory.
        lines.retain(|line| !findings.has(line));
        for line in lines {
            findings.fault(&of, failure.exit(), line);
        }
    }
    Ok(true)
}
