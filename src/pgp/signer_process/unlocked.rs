//! An unlocked key as the parent of its signer sees it.
//!
//! Any number of threads sign at once. One further thread reads the answers, and gives each to the
//! thread that waits for it.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::protocol::{OpenAnswer, OpenKey, Opened, SignAnswer, SignRequest, SigningPart};
use super::registry::Signer;
use crate::pgp::document_signature::DocumentSignature;
use crate::pgp::signing_error::SigningError;
use crate::pgp::worker;
use crate::pgp::worker_error::WorkerError;
use crate::spawn::deadline::Deadline;

/// A signer that has opened its key. It ends when this is dropped.
#[derive(Debug)]
pub(in crate::pgp) struct Unlocked {
    part: SigningPart,
    fingerprint: [u8; 20],
    requests: Mutex<UnixStream>,
    waiting: Arc<Waiting>,
    next_id: AtomicU64,
    signer: Signer,
}

/// The threads that wait for an answer, by the ids of their requests; `None` after the signer's end.
#[derive(Debug)]
struct Waiting(Mutex<Option<HashMap<u64, SyncSender<Vec<u8>>>>>);

/// Lets a new signer open a key, until `deadline`, which is `span` after the start of the signature.
pub(in crate::pgp) fn open(
    call: &OpenKey,
    deadline: Deadline,
    span: Duration,
) -> Result<(Signer, Opened), SigningError> {
    let request = worker::request_bytes(call)?;
    let mut signer = Signer::start()?;
    let line = signer.0.exchange(&request, deadline, span)?;
    Ok((signer, worker::answer::<OpenAnswer>(&line)??))
}

impl Unlocked {
    /// Uses a signer that has opened its key.
    pub(in crate::pgp) fn new(signer: Signer, part: SigningPart) -> io::Result<Unlocked> {
        let other = || io::Error::other("the signer's key has no fingerprint of version 4");
        let fingerprint = part.fingerprint.digest().ok_or_else(other)?;
        let waiting = Arc::new(Waiting(Mutex::new(Some(HashMap::new()))));
        let (requests, answers) = (Mutex::new(signer.0.socket()?), signer.0.socket()?);
        // No limit: a signer that does not answer is ended by the threads that wait for it.
        answers.set_read_timeout(None)?;
        let readers = Arc::clone(&waiting);
        thread::Builder::new()
            .name("signatures".to_owned())
            .spawn(move || readers.serve(answers))?;
        let next_id = AtomicU64::new(0);
        Ok(Unlocked { part, fingerprint, requests, waiting, next_id, signer })
    }

    /// Returns whether the key is valid at this time, in seconds since 1970.
    pub(in crate::pgp) fn is_valid_at(&self, seconds: i64) -> bool {
        self.part.is_valid_at(seconds)
    }

    /// Returns the packet of a signature for `document` that is made at this time.
    pub(in crate::pgp) fn sign(
        &self,
        document: &[u8],
        seconds: i64,
        deadline: Deadline,
        span: Duration,
    ) -> Result<Vec<u8>, WorkerError> {
        // A signature has no time after 2106; none verifies with the time 0.
        let seconds = u32::try_from(seconds).unwrap_or_default();
        let signature = DocumentSignature::new(&self.fingerprint, seconds);
        let digest = signature.digest(document);
        let number = self.number(digest, deadline, span)?;
        let failed = || WorkerError::Ended(io::Error::other("OpenSSL does not sign"));
        let number = Some(number).filter(|number| number.len() == self.part.modulus_bytes);
        number.and_then(|number| signature.packet(&digest, &number)).ok_or_else(failed)
    }

    fn number(
        &self,
        digest: [u8; 32],
        deadline: Deadline,
        span: Duration,
    ) -> Result<Vec<u8>, WorkerError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = sync_channel(1);
        match self.waiting.lock().as_mut() {
            Some(waiting) => waiting.insert(id, sender),
            None => return Err(WorkerError::Ended(io::ErrorKind::UnexpectedEof.into())),
        };
        let left = deadline.left().unwrap_or(Duration::MAX);
        let sent = self.send(&SignRequest { id, digest }, left);
        let received = sent.map_err(WorkerError::Ended).and_then(|()| {
            answer.recv_timeout(left).map_err(|error| match error {
                RecvTimeoutError::Timeout => WorkerError::Timeout(span),
                RecvTimeoutError::Disconnected => {
                    WorkerError::Ended(io::ErrorKind::UnexpectedEof.into())
                }
            })
        });
        if let Some(waiting) = self.waiting.lock().as_mut() {
            waiting.remove(&id);
        }
        received
    }

    /// Sends a request. The socket has room for more requests than this process has threads.
    fn send(&self, request: &SignRequest, left: Duration) -> io::Result<()> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.set_write_timeout(Some(left.max(Duration::from_millis(1))))?;
        let sent = requests.write_all(&request.to_bytes());
        if sent.is_err() {
            // The signer may have received half a request, and would misread the requests of other
            // threads. The shutdown ends the signer, and then the other threads stop waiting.
            requests.shutdown(Shutdown::Both).ok();
        }
        sent
    }

    /// Returns the process group of the signer.
    pub(in crate::pgp) fn group(&self) -> rustix::process::Pid {
        self.signer.0.group()
    }
}

impl Waiting {
    /// Gives each answer to the thread that waits for it, until the signer ends.
    fn serve(&self, mut answers: UnixStream) {
        while let Ok(SignAnswer { id, number }) = SignAnswer::read(&mut answers) {
            let sender = self.lock().as_mut().and_then(|waiting| waiting.remove(&id));
            if let Some(sender) = sender {
                // Fails if the thread has stopped waiting.
                sender.send(number).ok();
            }
        }
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<u64, SyncSender<Vec<u8>>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
