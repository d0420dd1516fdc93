//! Keeps children from getting what is GnuPG's.
//!
//! While GnuPG works for us, this process holds ends of pipes to it that a child started at
//! that moment gets too: gpgme does not mark them to be closed. It then waits for pipes that end
//! only when that child does, which for a module can be minutes. So a child that may live
//! long is started when GnuPG is not at work.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

static WORK: RwLock<()> = RwLock::new(());

/// Notes that GnuPG is at work until the answer is dropped; a thread asks for it once at a time.
pub(super) fn at_work() -> RwLockReadGuard<'static, ()> {
    WORK.read().unwrap_or_else(PoisonError::into_inner)
}

/// Does `start`, which starts a child, while GnuPG is not at work in this process.
#[cfg(any(test, feature = "standalone"))]
pub(crate) fn quietly<T>(start: impl FnOnce() -> T) -> T {
    let _quiet = WORK.write().unwrap_or_else(PoisonError::into_inner);
    start()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_child_is_started_when_gnupg_has_done_its_work() {
        let (sender, done) = channel();
        let work = at_work();
        let starter = {
            let sender = sender.clone();
            std::thread::spawn(move || quietly(|| sender.send("child").unwrap()))
        };
        sender.send("work").unwrap();
        drop(work);
        starter.join().unwrap();
        assert_eq!(done.try_iter().collect::<Vec<_>>(), ["work", "child"]);
    }
}
