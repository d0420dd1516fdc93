//! Keeps the memory of this process, which may hold a passphrase, away from files and from other
//! processes of the same user.

use std::io;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, dumpable_behavior, getrlimit, set_dumpable_behavior,
    setrlimit,
};

/// Disables core files for this process and all that it starts. Forbids other processes of the user
/// to trace this one, or to read its memory, its environment and its open files through `/proc`.
///
/// A program that this process starts can be traced as usual; one of ours until it calls this
/// function. After a change of its user, the process must call it again.
pub(crate) fn protect_memory() -> io::Result<()> {
    let nothing = Rlimit { current: Some(0), maximum: Some(0) };
    // A service manager may have set the limit, and forbid the call.
    if getrlimit(Resource::Core) != nothing {
        setrlimit(Resource::Core, nothing)?;
    }
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    match dumpable_behavior()? {
        DumpableBehavior::NotDumpable => Ok(()),
        _ => Err(io::Error::other("other processes of the user can trace this one")),
    }
}
