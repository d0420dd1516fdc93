//! Signing with a deadline, on threads that may be lost.
//!
//! A request goes to a thread that owns a context of GnuPG, since contexts stay
//! on their threads and cannot be interrupted. If the agent hangs, the thread
//! hangs with it: after the deadline its caller gets an error, the thread is
//! abandoned and a new one takes its place. It ends by itself when the agent
//! comes back.
//!
//! **Invariants.** At most [`WORKERS`] requests are under way. At most
//! [`THREADS_MAX`] threads exist, the abandoned ones included; beyond that
//! requests fail at once.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::ArmorError;
use super::key::{KeyError, SecretKey, find};
use super::session::Session;
use super::{elsewhere, engine};
use crate::action::{SignError, SignVerdict, Signature, Signer, Unknown};

/// How many signatures are made at once; more do not make it faster.
const WORKERS: usize = 2;
/// How many threads there may be, those that hang included.
const THREADS_MAX: usize = 6;
/// How long a signature may take, smartcards and slow machines included.
const DEADLINE: Duration = Duration::from_secs(30);

/// What went wrong with a signature.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignFault {
    /// The key cannot be used any more.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The passphrase opens nothing.
    #[error("the passphrase is wrong")]
    Passphrase,
    /// There is no passphrase, and one is needed.
    #[error(
        "the key needs a passphrase: set passphrase in [client], passphrasefile or $MIGPGPPASSPHRASE"
    )]
    NoPassphrase,
    /// The agent does not let the key be used.
    #[error(
        "gpg-agent refuses the key: remove no-allow-loopback-pinentry from the home's gpg-agent.conf if it is there"
    )]
    Refused(#[source] gpgme::Error),
    /// GnuPG may not make signatures here.
    #[error("GnuPG forbids it in its compliance mode: remove compliance from the home's gpg.conf")]
    Forbidden,
    #[error("GnuPG failed")]
    Engine(#[source] gpgme::Error),
    /// GnuPG signed with another key.
    #[error(
        "GnuPG signed with the key {0}, which is not the configured one: remove local-user from the home's gpg.conf"
    )]
    OtherKey(String),
    /// GnuPG used a digest that the platform does not know.
    #[error(
        "GnuPG used the digest {0}, which the platform cannot verify: remove digest-algo and \
         personal-digest-preferences from the home's gpg.conf"
    )]
    Digest(String),
    /// GnuPG's signature cannot be read.
    #[error(transparent)]
    Armor(#[from] ArmorError),
    /// GnuPG did not answer in time.
    #[error("no answer from gpg-agent in {} s: gpgconf --kill gpg-agent ends one that hangs", .0.as_secs())]
    Deadline(Duration),
    /// Too many earlier requests have not come back.
    #[error("{0} earlier requests to gpg-agent hang: gpgconf --kill gpg-agent ends one that hangs")]
    Hung(usize),
    /// No thread can be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

impl SignFault {
    fn verdict(&self) -> SignVerdict {
        let passing = match self {
            SignFault::Key(error) => error.is_passing(),
            SignFault::Engine(error) => !engine::is_final(*error),
            SignFault::Armor(_)
            | SignFault::Deadline(_)
            | SignFault::Hung(_)
            | SignFault::Thread(_) => true,
            SignFault::Passphrase
            | SignFault::NoPassphrase
            | SignFault::Refused(_)
            | SignFault::Forbidden
            | SignFault::OtherKey(_)
            | SignFault::Digest(_) => false,
        };
        if passing { SignVerdict::RetryLater } else { SignVerdict::KeyUnusable }
    }
}

/// A key in a GnuPG home, ready to sign.
pub(crate) struct Keyring {
    key: SecretKey,
    home: PathBuf,
    passphrase: Option<Arc<Zeroizing<Vec<u8>>>>,
    deadline: Duration,
    pool: Mutex<Pool>,
    /// Signalled when a worker is free.
    freed: Condvar,
    /// How many threads there are.
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
    answers: Receiver<Result<Signature, SignFault>>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} in {})", self.key.fingerprint, self.home.display())
    }
}

impl Keyring {
    /// Opens the key `id` in the GnuPG home `home`.
    ///
    /// The passphrase is tried only when something is signed.
    ///
    /// # Errors
    /// The key is not there, or is of no use.
    pub(crate) fn open(
        home: &Path,
        id: &str,
        passphrase: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Keyring, KeyError> {
        Ok(Keyring {
            key: find(home, id, DEADLINE)?,
            home: home.to_owned(),
            passphrase: passphrase.map(Arc::new),
            deadline: DEADLINE,
            pool: Mutex::default(),
            freed: Condvar::new(),
            threads: Arc::default(),
        })
    }

    /// Returns the keyring with another limit to how long a signature may take.
    #[cfg(test)]
    pub(crate) fn with_deadline(self, deadline: Duration) -> Keyring {
        Keyring { deadline, ..self }
    }

    #[cfg(test)]
    pub(crate) fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Returns the error of this key.
    fn failed(&self, fault: SignFault) -> SignError {
        let key = format!("{} in the GnuPG home {}", self.key.fingerprint, self.home.display());
        SignError::new(key, fault.verdict(), fault)
    }

    fn sign_in_time(&self, bytes: &[u8]) -> Result<Signature, SignFault> {
        let end = Instant::now() + self.deadline;
        let worker = self.take(end)?;
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
        answer.unwrap_or(Err(SignFault::Deadline(self.deadline)))
    }

    /// Waits for a worker that is free, or starts one.
    fn take(&self, end: Instant) -> Result<Worker, SignFault> {
        let mut pool = self.pool();
        while pool.busy >= WORKERS {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(SignFault::Deadline(self.deadline));
            }
            let waited = self.freed.wait_timeout(pool, left);
            pool = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let worker = match pool.idle.pop() {
            Some(worker) => worker,
            None => self.start(pool.busy)?,
        };
        pool.busy += 1;
        Ok(worker)
    }

    /// Starts a worker beside `busy` others.
    fn start(&self, busy: usize) -> Result<Worker, SignFault> {
        let alive = Alive::count(&self.threads);
        let threads = self.threads.load(Ordering::SeqCst);
        if threads > THREADS_MAX {
            return Err(SignFault::Hung(threads.saturating_sub(busy + 1)));
        }
        let (requests, requested) = mpsc::channel::<Vec<u8>>();
        let (answer, answers) = mpsc::channel();
        let (home, key) = (self.home.clone(), self.key.fingerprint.clone());
        let passphrase = self.passphrase.clone();
        let work = move || {
            let _alive = alive;
            // Made here: it cannot leave its thread.
            let mut session = Session::new(&home, key, passphrase);
            for bytes in requested {
                if answer.send(session.sign(&bytes)).is_err() {
                    break;
                }
            }
        };
        thread::Builder::new().name("sign".to_owned()).spawn(work).map_err(SignFault::Thread)?;
        Ok(Worker { requests, answers })
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Signer for Keyring {
    fn sign(&self, bytes: &[u8]) -> Result<Signature, SignError> {
        self.sign_in_time(bytes).map_err(|fault| self.failed(fault))
    }

    fn padded(&self, line: &str, unknown: Unknown) -> Result<Option<Signature>, SignError> {
        elsewhere::padded(&self.home, line, unknown, self.deadline)
            .map_err(|fault| self.failed(fault))
    }

    fn fingerprint(&self) -> &str {
        self.key.fingerprint.as_str()
    }
}

/// Counts a thread for as long as it lives.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn count(threads: &Arc<AtomicUsize>) -> Alive {
        threads.fetch_add(1, Ordering::SeqCst);
        Alive(Arc::clone(threads))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
