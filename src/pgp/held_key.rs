//! The key of a program that signs often: unlocked once in a signer, as long as nothing changes.
//!
//! **Invariant.** At most one thread opens the key. The others wait for it, each within its own time
//! limit.
//!
//! **Failure.** A key that cannot be opened is opened again for the next signature. The same applies if
//! the signer has ended or does not answer.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use slog::{Logger, info, warn};

use super::armor;
use super::calls::Passphrase;
use super::fingerprint::Fingerprint;
use super::signer_process::{self, OpenKey, Outcome, Stamps, Unlocked};
use super::signing_error::SigningError;
use super::worker_error::WorkerError;
use crate::action::Signature;
use crate::clock::Clock;
use crate::spawn::deadline::Deadline;

/// A limit of locked memory that is enough for a signer.
const MEMORY_NEEDED: &str = "256M";

/// A key in a GnuPG home, and the signer that has unlocked it.
pub(super) struct HeldKey {
    home: PathBuf,
    key: Fingerprint,
    passphrase: Option<Passphrase>,
    clock: Arc<dyn Clock>,
    log: Logger,
    state: Mutex<State>,
    /// Signalled when the key has been opened, or could not be.
    opened: Condvar,
    /// Whether the log names the limit of locked memory.
    is_limit_known: AtomicBool,
    /// The reason in the log why only GnuPG can sign; `None` after the key was unlocked.
    logged_reason: Mutex<Option<String>>,
}

enum State {
    Closed,
    /// A thread opens the key.
    Opening,
    Unlocked(Arc<Unlocked>, Stamps),
    /// Only GnuPG can sign with the key.
    GnuPgOnly(Stamps),
}

/// How to sign now.
enum Way {
    /// With this key, which may have been opened just now.
    Unlocked {
        key: Arc<Unlocked>,
        is_new: bool,
    },
    GnuPgOnly,
}

impl fmt::Debug for HeldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeldKey({} in {})", self.key, self.home.display())
    }
}

impl HeldKey {
    /// Returns the key without opening it.
    pub(super) fn new(
        home: &Path,
        key: &Fingerprint,
        passphrase: Option<Passphrase>,
        clock: Arc<dyn Clock>,
        log: Logger,
    ) -> HeldKey {
        HeldKey {
            home: home.to_owned(),
            key: key.clone(),
            passphrase,
            clock,
            log,
            state: Mutex::new(State::Closed),
            opened: Condvar::new(),
            is_limit_known: AtomicBool::new(false),
            logged_reason: Mutex::new(None),
        }
    }

    /// Signs `bytes` until `deadline`, which is `span` from the start. Returns `None` if only GnuPG can
    /// sign with the key.
    pub(super) fn sign(
        &self,
        bytes: &[u8],
        deadline: Deadline,
        span: Duration,
    ) -> Result<Option<Signature>, SigningError> {
        loop {
            let Way::Unlocked { key, is_new } = self.way(deadline, span)? else {
                return Ok(None);
            };
            match key.sign(bytes, self.clock.now().as_second(), deadline, span) {
                Ok(content) => return Ok(Some(armor::to_line(&content)?)),
                Err(error) => {
                    self.discard(&key);
                    // The signer may have been killed since the last signature.
                    if is_new || !matches!(error, WorkerError::Ended(_)) {
                        return Err(error.into());
                    }
                }
            }
        }
    }

    /// Unlocks the key ahead of the first signature, which then does not wait for it.
    pub(super) fn unlock(&self, span: Duration) {
        // The first signature opens the key again, and reports why it cannot be opened.
        self.way(Deadline::after(span), span).ok();
    }

    /// Returns how to sign now; opens the key if necessary.
    fn way(&self, deadline: Deadline, span: Duration) -> Result<Way, SigningError> {
        let mut state = self.lock();
        loop {
            match &*state {
                State::Unlocked(key, stamps) if self.is_usable(key, stamps) => {
                    return Ok(Way::Unlocked { key: Arc::clone(key), is_new: false });
                }
                State::GnuPgOnly(stamps) if stamps.are_current() => return Ok(Way::GnuPgOnly),
                State::Opening => {}
                _ => break,
            }
            let left = deadline.left().unwrap_or(Duration::MAX);
            if left.is_zero() {
                return Err(SigningError::Timeout(span));
            }
            let waited = self.opened.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let former = std::mem::replace(&mut *state, State::Opening);
        drop(state);
        // Ends the former signer, unless other threads still wait for its answers.
        drop(former);
        let opened = self.open(deadline, span);
        let mut state = self.lock();
        let (way, new) = match opened {
            Ok((Some(key), stamps)) => {
                let way = Way::Unlocked { key: Arc::clone(&key), is_new: true };
                (Ok(way), State::Unlocked(key, stamps))
            }
            Ok((None, stamps)) => (Ok(Way::GnuPgOnly), State::GnuPgOnly(stamps)),
            Err(error) => (Err(error), State::Closed),
        };
        *state = new;
        self.opened.notify_all();
        way
    }

    /// Returns whether an unlocked key can still be used: its home has not changed, and the key has not
    /// expired.
    fn is_usable(&self, key: &Unlocked, stamps: &Stamps) -> bool {
        stamps.are_current() && key.is_valid_at(self.clock.now().as_second())
    }

    /// Opens the key; returns `None` if only GnuPG can sign with it.
    fn open(
        &self,
        deadline: Deadline,
        span: Duration,
    ) -> Result<(Option<Arc<Unlocked>>, Stamps), SigningError> {
        let (home, key) = (self.home.clone(), self.key.clone());
        let call = OpenKey { home, key, passphrase: self.passphrase.clone() };
        let (signer, opened) = signer_process::open(&call, deadline, span)?;
        if let Some(reason) = &opened.unlocked_memory {
            self.report_limit(reason);
        }
        match opened.outcome {
            Outcome::Unlocked(part) => {
                let subkey = part.fingerprint.clone();
                let key = Unlocked::new(signer, part).map_err(WorkerError::Start)?;
                info!(self.log, "unlocked key"; "key" => %self.key, "subkey" => %subkey,
                    "pid" => key.group().as_raw_nonzero().get());
                *self.logged_reason() = None;
                Ok((Some(Arc::new(key)), opened.stamps))
            }
            Outcome::GnuPgOnly(reason) => {
                self.report_reason(reason);
                Ok((None, opened.stamps))
            }
        }
    }

    /// Logs why only GnuPG can sign, unless the log already has this reason. The key is opened again
    /// whenever GnuPG writes its files, and the reason is often the same.
    fn report_reason(&self, reason: String) {
        let mut logged = self.logged_reason();
        if logged.as_ref() != Some(&reason) {
            info!(self.log, "cannot unlock key; GnuPG makes each signature";
                "key" => %self.key, "reason" => &reason);
            *logged = Some(reason);
        }
    }

    fn logged_reason(&self) -> MutexGuard<'_, Option<String>> {
        self.logged_reason.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs once that the memory of the signer is not locked.
    fn report_limit(&self, reason: &str) {
        if !self.is_limit_known.swap(true, Ordering::Relaxed) {
            warn!(self.log, "cannot lock the memory of the signer, so the key may reach the swap space: raise \
                the limit of locked memory (LimitMEMLOCK= in the unit, or ulimit -l)";
                "needed" => MEMORY_NEEDED, "error" => reason);
        }
    }

    /// Forgets a signer that has failed.
    fn discard(&self, failed: &Arc<Unlocked>) {
        let mut state = self.lock();
        if matches!(&*state, State::Unlocked(key, _) if Arc::ptr_eq(key, failed)) {
            let former = std::mem::replace(&mut *state, State::Closed);
            // The lock is released first, because this waits for the end of the signer.
            drop(state);
            drop(former);
        }
    }

    /// Returns the process group of the signer, if there is one.
    #[cfg(test)]
    pub(super) fn group(&self) -> Option<rustix::process::Pid> {
        match &*self.lock() {
            State::Unlocked(key, _) => Some(key.group()),
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::testing::Logged;

    #[test]
    fn limit_of_locked_memory_is_reported_once() {
        let log = Logged::default();
        let key = Fingerprint::new("A");
        let held = HeldKey::new(Path::new("/h"), &key, None, Arc::new(SystemClock), log.logger());
        for _ in 0..3 {
            held.report_limit("Cannot allocate memory");
        }
        let said = log.take();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("LimitMEMLOCK= in the unit") && said[0].contains("256M"));
    }
}
