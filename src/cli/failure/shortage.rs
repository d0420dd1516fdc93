//! What the system lacks for the moment: a failure with such a cause is never reported as one that
//! a person has to mend, because the service manager does not start the program again then.

use std::error::Error;
use std::io;

use rustix::io::Errno;

use crate::chain::causes;
#[cfg(feature = "data")]
use crate::data;
use crate::disk::shortage::{self, Shortage};
use crate::exit::Exit;
use crate::pgp;

/// Returns how a program ends that failed because of what the system lacks; nothing if no cause of
/// `error` is of that kind.
pub(super) fn exit(error: &(dyn Error + 'static)) -> Option<Exit> {
    causes(error).find_map(of).map(|lacks| match lacks {
        Shortage::Disk => Exit::Io,
        Shortage::System => Exit::System,
        #[cfg(feature = "data")]
        Shortage::Busy => Exit::Locked,
    })
}

/// Returns what the host lacks according to `cause` itself.
fn of(cause: &(dyn Error + 'static)) -> Option<Shortage> {
    let number = match cause.downcast_ref::<io::Error>() {
        Some(error) => error.raw_os_error(),
        None => pgp::system_error(cause),
    };
    let shortage = number.map(Errno::from_raw_os_error).and_then(|errno| match errno {
        // A network file system that came back; a program that starts again opens its files anew.
        Errno::STALE => Some(Shortage::Disk),
        errno => shortage::of(errno),
    });
    #[cfg(feature = "data")]
    let shortage = shortage.or_else(|| data::shortage(cause));
    shortage
}
