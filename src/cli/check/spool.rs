//! The spool: files that are no runs, and dead letters.

use super::{Failure, Findings, Hand, Installation};
use crate::exit::Exit;
use crate::spool::{Folder, Seen};

/// Looks at what is in the spool: files that are no runs, and dead letters.
pub(super) fn check(installation: &Installation, findings: &mut Findings) -> Result<(), Failure> {
    let hand = match Hand::look(installation) {
        Err(Failure::NoSpool { path }) => {
            findings.note(path.display(), "will be made at the first start");
            return Ok(());
        }
        looked => looked?,
    };
    let (view, of) = (hand.view(), hand.layout.root().display());
    let (mut entries, mut sound) = (0_usize, true);
    for folder in Folder::ALL.into_iter().filter(|folder| folder.is_active()) {
        for name in view.names(folder)? {
            entries += 1;
            let shown = format!("{folder}/{}", name.to_string_lossy());
            match view.see(folder, &name)? {
                Seen::Run(_) | Seen::Action { .. } | Seen::Gone => {}
                Seen::Newer(version) => {
                    sound = false;
                    findings.fault(
                        &of,
                        Exit::Data,
                        format!("{shown} is of version {version}: it needs a later mig-runner"),
                    );
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
        findings.note(&of, format!("{dead} in action/invalid: see `mig-runner status`"));
    }
    if sound {
        findings.good(&of, format!("{entries} not over, none of them damaged"));
    }
    Ok(())
}
