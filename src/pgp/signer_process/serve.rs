//! The signer itself: opens one key, and then signs digests until its parent ends.
//!
//! A thread reads the socket. When the parent has closed its end, or has ended, this thread kills the
//! whole process group: this process, and a `gpg` that still works on the opening.

use std::io::{self, Write};
use std::num::NonZero;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::process::{Signal, kill_current_process_group};

use super::memory::lock_memory;
use super::opening::open;
use super::protocol::{OpenAnswer, OpenKey, Opened, Outcome, SignAnswer, SignRequest};
use crate::pgp::secret::RsaKey;
use crate::pgp::worker::{limit_descriptors, line, next_request, parent_socket};
use crate::spawn::protect::protect_memory;

/// Maximum number of threads that sign.
const THREADS_MAX: usize = 16;
/// Stack of such a thread, in bytes. Locked memory is counted with all of it.
const STACK_BYTES: usize = 512 << 10;
/// Number of requests that wait in the signer; further ones wait in the socket.
const WAITING_MAX: usize = 64;

/// Serves the parent until it closes the socket.
///
/// # Errors
/// This process was not started as a signer, or its parent sent no valid request.
pub(crate) fn serve() -> io::Result<()> {
    let socket = parent_socket()?;
    protect_memory()?;
    limit_descriptors()?;
    let memory = lock_memory();
    let (opening, call) = sync_channel(1);
    let (sender, requests) = sync_channel(WAITING_MAX);
    let reader = socket.try_clone()?;
    let builder = thread::Builder::new().name("requests".to_owned()).stack_size(STACK_BYTES);
    builder.spawn(move || {
        forward(reader, &opening, &sender);
        // This cannot fail: this process belongs to the group.
        kill_current_process_group(Signal::KILL).ok();
    })?;
    let Ok(call) = call.recv() else { return Err(io::ErrorKind::UnexpectedEof.into()) };
    let (answer, key) = opened(&call, memory.err());
    // The passphrase is no longer needed.
    drop(call);
    (&socket).write_all(&line(&answer)?)?;
    match key {
        Some(key) => sign_all(&key, requests, socket),
        // The parent ends this process.
        None => loop {
            thread::park();
        },
    }
}

/// Opens the key; returns the answer for the parent, and the key if it can be used here.
fn opened(call: &OpenKey, memory: Option<io::Error>) -> (OpenAnswer, Option<RsaKey>) {
    let (stamps, opened) = match open(call) {
        Ok(opened) => opened,
        Err(error) => return (Err(error), None),
    };
    let (outcome, key) = match opened {
        Ok((part, key)) => (Outcome::Unlocked(part), Some(key)),
        Err(reason) => (Outcome::GnuPgOnly(reason), None),
    };
    let unlocked_memory = memory.map(|error| error.to_string());
    (Ok(Opened { stamps, outcome, unlocked_memory }), key)
}

/// Forwards the key to open and the digests, until the end of the socket or an invalid request.
fn forward(
    mut reader: UnixStream,
    opening: &SyncSender<OpenKey>,
    sender: &SyncSender<SignRequest>,
) {
    let Ok(call) = next_request(&mut reader) else { return };
    if opening.send(call).is_err() {
        return;
    }
    while let Ok(request) = SignRequest::read(&mut reader) {
        if sender.send(request).is_err() {
            break;
        }
    }
}

/// Signs on all cores.
fn sign_all(key: &RsaKey, requests: Receiver<SignRequest>, socket: UnixStream) -> io::Result<()> {
    let count = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX);
    let (requests, socket) = (Mutex::new(requests), Mutex::new(socket));
    thread::scope(|scope| {
        let start = |_| {
            let builder = thread::Builder::new().name("sign".to_owned()).stack_size(STACK_BYTES);
            builder.spawn_scoped(scope, || sign_next(key, &requests, &socket))
        };
        let threads = (0..count).map(start).collect::<io::Result<Vec<_>>>()?;
        let ended = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread has panicked")))
        };
        threads.into_iter().try_for_each(ended)
    })
}

/// Signs one digest after the other.
fn sign_next(
    key: &RsaKey,
    requests: &Mutex<Receiver<SignRequest>>,
    socket: &Mutex<UnixStream>,
) -> io::Result<()> {
    loop {
        let next = requests.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(SignRequest { id, digest }) = next else { return Ok(()) };
        let number = key.sign(&digest).unwrap_or_default();
        let answer = SignAnswer { id, number }.to_bytes();
        socket.lock().unwrap_or_else(PoisonError::into_inner).write_all(&answer)?;
    }
}
