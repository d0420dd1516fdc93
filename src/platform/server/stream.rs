//! The socket of a connection, with time limits on waiting for the client.
//!
//! The head of the first request must arrive within [`HEAD_TIMEOUT`] of the connection, the head of
//! each further one within this time of its first byte. Between two requests a connection may be
//! idle for [`IDLE_TIMEOUT`]. A client must take up a part of a response within [`WRITE_TIMEOUT`].
//! The body of a request has limits of its own, in `exchange`.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::connections::Place;

/// Time limit for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit for a connection without a request. Clients close idle connections earlier: mig-runner
/// after 30 s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Time limit for a client that takes up nothing of a response.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// What the server waits for, and until when.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// The rest of a head.
    Head(Instant),
    /// The first byte of the next head.
    Idle(Instant),
    /// Nothing: a request is processed.
    Exchange,
}

/// The progress of a connection, which its socket and its requests share.
#[derive(Debug)]
pub(super) struct Progress {
    phase: Mutex<Phase>,
    place: Arc<Place>,
}

impl Progress {
    /// Returns the progress of a new connection.
    pub(super) fn new(place: Arc<Place>) -> Arc<Progress> {
        let phase = Mutex::new(Phase::Head(in_future(HEAD_TIMEOUT)));
        Arc::new(Progress { phase, place })
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Records that the head of a request has arrived.
    pub(super) fn begin_exchange(&self) {
        self.set(Phase::Exchange);
        self.place.work();
    }

    /// Records that the response to a request is ready to be sent.
    pub(super) fn end_exchange(&self) {
        self.set(Phase::Idle(in_future(IDLE_TIMEOUT)));
        self.place.wait();
    }

    fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    fn bytes_read(&self) {
        if matches!(self.phase(), Phase::Idle(_)) {
            self.set(Phase::Head(in_future(HEAD_TIMEOUT)));
        }
    }

    fn bytes_written(&self) {
        if matches!(self.phase(), Phase::Idle(_)) {
            self.set(Phase::Idle(in_future(IDLE_TIMEOUT)));
            self.place.wait();
        }
    }

    /// Returns until when the server waits for the client's next bytes.
    fn read_deadline(&self) -> Option<Instant> {
        match self.phase() {
            Phase::Head(deadline) | Phase::Idle(deadline) => Some(deadline),
            Phase::Exchange => None,
        }
    }
}

/// Returns the time `span` from now.
fn in_future(span: Duration) -> Instant {
    Instant::now().checked_add(span).unwrap_or_else(Instant::now)
}

/// A wait that fails when its time has come.
#[derive(Debug)]
struct Timer(Pin<Box<Sleep>>);

impl Timer {
    fn new() -> Timer {
        Timer(Box::pin(sleep_until(Instant::now())))
    }

    /// Returns an error if the deadline has passed, and wakes the task at the deadline otherwise.
    fn check(&mut self, deadline: Instant, context: &mut Context<'_>) -> io::Result<()> {
        if self.0.deadline() != deadline {
            self.0.as_mut().reset(deadline);
        }
        match self.0.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

#[derive(Debug)]
pub(super) struct TimedStream {
    socket: TcpStream,
    progress: Arc<Progress>,
    read_timer: Timer,
    write_timer: Timer,
    /// Until when the client must take up bytes, if it has not taken up some.
    write_deadline: Option<Instant>,
}

impl TimedStream {
    pub(super) fn new(socket: TcpStream, progress: Arc<Progress>) -> TimedStream {
        let (read_timer, write_timer) = (Timer::new(), Timer::new());
        TimedStream { socket, progress, read_timer, write_timer, write_deadline: None }
    }

    /// Returns the socket without time limits.
    pub(super) fn into_socket(self) -> TcpStream {
        self.socket
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.socket).poll_read(context, buffer) {
            Poll::Ready(read) => {
                if buffer.filled().len() > before {
                    self.progress.bytes_read();
                }
                Poll::Ready(read)
            }
            Poll::Pending => match self.progress.read_deadline() {
                Some(deadline) => match self.read_timer.check(deadline, context) {
                    Ok(()) => Poll::Pending,
                    Err(error) => Poll::Ready(Err(error)),
                },
                None => Poll::Pending,
            },
        }
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.socket).poll_write(context, bytes) {
            Poll::Ready(written) => {
                self.write_deadline = None;
                self.progress.bytes_written();
                Poll::Ready(written)
            }
            Poll::Pending => {
                let deadline = *self.write_deadline.get_or_insert_with(|| in_future(WRITE_TIMEOUT));
                match self.write_timer.check(deadline, context) {
                    Ok(()) => Poll::Pending,
                    Err(error) => Poll::Ready(Err(error)),
                }
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
