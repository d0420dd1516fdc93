//! The worker itself: reads requests from the socket that is its stdin, and answers them.
//!
//! A thread reads the socket while the library works. When the parent has closed its end, or has
//! ended, this thread kills the whole process group, this process included.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use rustix::process::{
    Resource, Rlimit, Signal, getpgrp, getpid, getrlimit, kill_current_process_group, setrlimit,
};

use super::protocol::{Request, next_request};
use crate::pgp::calls::Calls;
use crate::pgp::gnupg;

/// Limit of descriptors. An agent that `gpg` starts keeps it, and needs a few for each of its clients.
const DESCRIPTORS_MAX: u64 = 4096;

/// Serves the parent until it closes the socket.
///
/// # Errors
/// This process was not started as a worker, or its parent sent no valid request.
pub(crate) fn serve() -> io::Result<()> {
    let socket = parent_socket()?;
    limit_descriptors()?;
    let (sender, requests) = sync_channel(1);
    let reader = socket.try_clone()?;
    thread::Builder::new().name("requests".to_owned()).spawn(move || {
        forward(reader, &sender);
        // Succeeds always: this process belongs to the group.
        kill_current_process_group(Signal::KILL).ok();
    })?;
    answer(&requests, socket)
}

/// Returns the socket of the parent.
///
/// # Errors
/// This process was not started as a worker or a signer.
pub(in crate::pgp) fn parent_socket() -> io::Result<UnixStream> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // The group is killed as a whole, so it must be this process's own.
    if socket.local_addr().is_err() || getpgrp() != getpid() {
        return Err(io::Error::other("only the programs of MIG themselves start a worker"));
    }
    Ok(socket)
}

/// Sets the limit of descriptors for this process and those that it starts. The limit of the parent
/// may have been lower for a moment, but a worker would keep it.
///
/// Before the library starts a program, it closes every descriptor up to the limit, because other
/// processes of the user cannot list the descriptors of this one, and neither can its own children
/// ([`crate::spawn::protect`]). With a limit of half a million, as services have, this takes longer
/// than the program itself.
pub(in crate::pgp) fn limit_descriptors() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile)
        .maximum
        .map_or(DESCRIPTORS_MAX, |maximum| maximum.min(DESCRIPTORS_MAX));
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum: Some(limit) })?)
}

/// Forwards requests until the end of the socket or an invalid request.
fn forward(mut reader: UnixStream, sender: &SyncSender<Request>) {
    while let Ok(request) = next_request(&mut reader) {
        if sender.send(request).is_err() {
            break;
        }
    }
}

fn answer(requests: &Receiver<Request>, mut socket: UnixStream) -> io::Result<()> {
    let mut calls = Calls::default();
    for request in requests {
        let line = request.run(&mut calls)?;
        socket.write_all(&line)?;
        // The library remembers that it did not find GnuPG. Another worker searches again.
        if gnupg::is_engine_missing() {
            break;
        }
    }
    Ok(())
}
