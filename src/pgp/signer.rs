//! Signing with a time limit, on threads that may be abandoned.
//!
//! Each request goes to a thread that owns a GnuPG context, because a context cannot leave its
//! thread and a call cannot be interrupted. If the agent hangs, the thread hangs with it: after the
//! time limit the caller gets an error, the thread is abandoned, and a new one replaces it. The
//! abandoned thread ends by itself when the agent responds again.
//!
//! **Invariants.** At most [`WORKERS`] requests are in progress. At most [`THREADS_MAX`] threads
//! exist, including abandoned ones; beyond that, requests fail immediately.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::foreign;
use super::key::{KeyError, SecretKey, find};
use super::session::Session;
use super::signing_error::SigningError;
use crate::action::{SignError, Signature, Signer, UnknownKey};

/// Maximum number of concurrent signatures; more would not be faster.
const WORKERS: usize = 2;
/// Maximum number of threads, including those that hang.
const THREADS_MAX: usize = 6;
/// Time limit for a signature, sufficient for smartcards and slow machines.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A key in a GnuPG home, ready to sign.
pub(crate) struct GpgSigner {
    key: SecretKey,
    home: PathBuf,
    passphrase: Option<Arc<Zeroizing<Vec<u8>>>>,
    timeout: Duration,
    pool: Mutex<Pool>,
    /// Signalled when a worker becomes idle.
    freed: Condvar,
    /// The number of threads, including those that hang.
    threads: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Worker>,
    busy: usize,
}

/// A thread that signs.
struct Worker {
    requests: Sender<Vec<u8>>,
    answers: Receiver<Result<Signature, SigningError>>,
}

impl fmt::Debug for GpgSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GpgSigner({} in {})", self.key.fingerprint, self.home.display())
    }
}

impl GpgSigner {
    /// Opens the key `id` in the GnuPG home `home`.
    ///
    /// The passphrase is not tested before the first signature.
    pub(crate) fn open(
        home: &Path,
        id: &str,
        passphrase: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<GpgSigner, KeyError> {
        Ok(GpgSigner {
            key: find(home, id, TIMEOUT)?,
            home: home.to_owned(),
            passphrase: passphrase.map(Arc::new),
            timeout: TIMEOUT,
            pool: Mutex::default(),
            freed: Condvar::new(),
            threads: Arc::default(),
        })
    }

    /// Returns the signer with another time limit for a signature.
    #[cfg(test)]
    pub(crate) fn with_timeout(self, timeout: Duration) -> GpgSigner {
        GpgSigner { timeout, ..self }
    }

    #[cfg(test)]
    pub(crate) fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Adds the key to an error.
    fn with_key(&self, error: SigningError) -> SignError {
        let key = format!("{} in the GnuPG home {}", self.key.fingerprint, self.home.display());
        SignError::new(key, error.verdict(), error)
    }

    fn sign_in_time(&self, bytes: &[u8]) -> Result<Signature, SigningError> {
        let end = Instant::now() + self.timeout;
        let worker = self.take_worker(end)?;
        let answer = match worker.requests.send(bytes.to_vec()) {
            Ok(()) => worker.answers.recv_timeout(end.saturating_duration_since(Instant::now())),
            Err(_) => Err(RecvTimeoutError::Disconnected),
        };
        let mut pool = self.pool();
        pool.busy -= 1;
        if answer.is_ok() {
            pool.idle.push(worker);
        }
        self.freed.notify_one();
        answer.unwrap_or(Err(SigningError::Timeout(self.timeout)))
    }

    /// Waits for an idle worker, or starts one.
    fn take_worker(&self, end: Instant) -> Result<Worker, SigningError> {
        let mut pool = self.pool();
        while pool.busy >= WORKERS {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(SigningError::Timeout(self.timeout));
            }
            let waited = self.freed.wait_timeout(pool, left);
            pool = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let worker = match pool.idle.pop() {
            Some(worker) => worker,
            None => self.start_worker(pool.busy)?,
        };
        pool.busy += 1;
        Ok(worker)
    }

    /// Starts a worker in addition to `busy` others.
    fn start_worker(&self, busy: usize) -> Result<Worker, SigningError> {
        let count = ThreadCount::increment(&self.threads);
        let threads = self.threads.load(Ordering::SeqCst);
        if threads > THREADS_MAX {
            return Err(SigningError::Hung(threads.saturating_sub(busy + 1)));
        }
        let (requests, requested) = mpsc::channel::<Vec<u8>>();
        let (answer, answers) = mpsc::channel();
        let (home, key) = (self.home.clone(), self.key.fingerprint.clone());
        let passphrase = self.passphrase.clone();
        let work = move || {
            let _count = count;
            // The context in it cannot move to another thread.
            let mut session = Session::new(&home, key, passphrase);
            for bytes in requested {
                if answer.send(session.sign(&bytes)).is_err() {
                    break;
                }
            }
        };
        thread::Builder::new().name("sign".to_owned()).spawn(work).map_err(SigningError::Thread)?;
        Ok(Worker { requests, answers })
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Signer for GpgSigner {
    fn sign(&self, bytes: &[u8]) -> Result<Signature, SignError> {
        self.sign_in_time(bytes).map_err(|error| self.with_key(error))
    }

    fn padded(&self, line: &str, unknown: UnknownKey) -> Result<Option<Signature>, SignError> {
        foreign::padded(&self.home, line, unknown, self.timeout)
            .map_err(|error| self.with_key(error))
    }

    fn fingerprint(&self) -> &str {
        self.key.fingerprint.as_str()
    }
}

/// Counts a thread until it is dropped.
struct ThreadCount(Arc<AtomicUsize>);

impl ThreadCount {
    fn increment(threads: &Arc<AtomicUsize>) -> ThreadCount {
        threads.fetch_add(1, Ordering::SeqCst);
        ThreadCount(Arc::clone(threads))
    }
}

impl Drop for ThreadCount {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
