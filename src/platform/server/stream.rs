//! The socket of a connection, with time limits on waiting for the client.
//!
//! The head of the first request must arrive soon after the connection, the head of each further one
//! soon after its first byte. Between two requests a connection may be idle for a longer time. A
//! client must take up a response part by part. See [`TimeLimits`]. The body of a request has limits
//! of its own, in `exchange`.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::connections::Place;

/// The time limits of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeLimits {
    /// For the head of a request.
    head: Duration,
    /// For a connection without a request.
    idle: Duration,
    /// For a client that takes up nothing of a response.
    write: Duration,
}

/// The time limits of every connection. Clients close idle connections earlier: mig-runner after 30 s.
pub(super) const TIME_LIMITS: TimeLimits = TimeLimits {
    head: Duration::from_secs(10),
    idle: Duration::from_secs(60),
    write: Duration::from_secs(30),
};

/// What the server waits for, and until when.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// The rest of a head.
    Head(Instant),
    /// The client takes up a response. It may have sent the beginning of the next head already.
    Response { deadline: Instant, is_head_begun: bool },
    /// The first byte of the next head.
    Idle(Instant),
    /// Nothing: a request is processed.
    Exchange,
}

/// The progress of a connection, which its socket and its requests share.
#[derive(Debug)]
pub(super) struct Progress {
    limits: TimeLimits,
    phase: Mutex<Phase>,
    place: Arc<Place>,
}

impl Progress {
    /// Returns the progress of a new connection.
    pub(super) fn new(limits: TimeLimits, place: Arc<Place>) -> Arc<Progress> {
        let phase = Mutex::new(Phase::Head(in_future(limits.head)));
        Arc::new(Progress { limits, phase, place })
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
        self.set_response(false);
    }

    fn set_response(&self, is_head_begun: bool) {
        let deadline = in_future(self.limits.idle);
        self.set(Phase::Response { deadline, is_head_begun });
        self.place.send();
    }

    fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    fn bytes_read(&self) {
        match self.phase() {
            Phase::Idle(_) => self.begin_head(),
            Phase::Response { deadline, .. } => {
                self.set(Phase::Response { deadline, is_head_begun: true });
            }
            Phase::Head(_) | Phase::Exchange => {}
        }
    }

    fn begin_head(&self) {
        self.set(Phase::Head(in_future(self.limits.head)));
        self.place.wait();
    }

    /// Records that the client has taken up a part of the response.
    fn bytes_written(&self) {
        match self.phase() {
            Phase::Idle(_) => self.set_response(false),
            Phase::Response { is_head_begun, .. } => self.set_response(is_head_begun),
            Phase::Head(_) | Phase::Exchange => {}
        }
    }

    /// Records that nothing is left to be sent.
    fn all_written(&self) {
        match self.phase() {
            Phase::Response { is_head_begun: true, .. } => self.begin_head(),
            Phase::Response { is_head_begun: false, .. } => {
                self.set(Phase::Idle(in_future(self.limits.idle)));
                self.place.wait();
            }
            Phase::Head(_) | Phase::Idle(_) | Phase::Exchange => {}
        }
    }

    /// Returns until when the server waits for the client's next bytes.
    fn read_deadline(&self) -> Option<Instant> {
        match self.phase() {
            Phase::Head(deadline) | Phase::Response { deadline, .. } | Phase::Idle(deadline) => {
                Some(deadline)
            }
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
                let limit = self.progress.limits.write;
                let deadline = *self.write_deadline.get_or_insert_with(|| in_future(limit));
                match self.write_timer.check(deadline, context) {
                    Ok(()) => Poll::Pending,
                    Err(error) => Poll::Ready(Err(error)),
                }
            }
        }
    }

    /// The server flushes when it has written all that it has.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(context);
        if flushed.is_ready() {
            self.progress.all_written();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::clock::SystemClock;
    use crate::platform::server::connections::Connections;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(3600);

    /// Runs a test with the server's end of a connection and with the client's.
    fn connected<T, F: Future<Output = T>>(
        limits: TimeLimits,
        test: impl FnOnce(TimedStream, TcpStream) -> F,
    ) -> T {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_io().enable_time().build().unwrap().block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            let log = slog::Logger::root(slog::Discard, slog::o!());
            let place = Connections::new(1, Arc::new(SystemClock), log).enter().await;
            let progress = Progress::new(limits, Arc::new(place));
            test(TimedStream::new(server, progress), client).await
        })
    }

    fn is_timeout<T>(result: &io::Result<T>) -> bool {
        matches!(result, Err(error) if error.kind() == io::ErrorKind::TimedOut)
    }

    #[test]
    fn client_that_sends_no_head_is_timed_out() {
        let limits = TimeLimits { head: SHORT, idle: LONG, write: LONG };
        connected(limits, |mut server, mut client| async move {
            client.write_all(b"GET").await.unwrap();
            let mut bytes = [0; 9];
            assert_eq!(server.read(&mut bytes).await.unwrap(), 3);
            assert!(is_timeout(&server.read(&mut bytes).await));
            // While a request is processed, nothing is expected from the client.
            server.progress.begin_exchange();
            let read = tokio::time::timeout(2 * SHORT, server.read(&mut bytes)).await;
            assert!(read.is_err(), "{read:?}");
        });
    }

    #[test]
    fn idle_client_is_timed_out() {
        let limits = TimeLimits { head: LONG, idle: SHORT, write: LONG };
        connected(limits, |mut server, mut client| async move {
            server.progress.end_exchange();
            assert!(is_timeout(&server.read(&mut [0; 9]).await));
            client.shutdown().await.unwrap();
        });
    }

    #[test]
    fn first_byte_after_a_response_begins_a_head() {
        let limits = TimeLimits { head: LONG, idle: LONG, write: LONG };
        connected(limits, |mut server, mut client| async move {
            server.progress.end_exchange();
            assert!(matches!(server.progress.phase(), Phase::Response { .. }));
            server.flush().await.unwrap();
            assert!(matches!(server.progress.phase(), Phase::Idle(_)));
            client.write_all(b"G").await.unwrap();
            assert_eq!(server.read(&mut [0; 9]).await.unwrap(), 1);
            assert!(matches!(server.progress.phase(), Phase::Head(_)));
        });
    }

    #[test]
    fn head_that_arrives_during_a_response_has_its_time_limit_after_it() {
        let limits = TimeLimits { head: SHORT, idle: LONG, write: LONG };
        connected(limits, |mut server, mut client| async move {
            server.progress.end_exchange();
            client.write_all(b"G").await.unwrap();
            assert_eq!(server.read(&mut [0; 9]).await.unwrap(), 1);
            // The response continues for longer than a head may take.
            let read = tokio::time::timeout(2 * SHORT, server.read(&mut [0; 9])).await;
            assert!(read.is_err(), "{read:?}");
            server.write_all(b"HTTP").await.unwrap();
            assert!(matches!(server.progress.phase(), Phase::Response { .. }));
            server.flush().await.unwrap();
            assert!(is_timeout(&server.read(&mut [0; 9]).await));
        });
    }

    #[test]
    fn client_that_takes_up_no_response_is_timed_out() {
        let limits = TimeLimits { head: LONG, idle: LONG, write: SHORT };
        connected(limits, |mut server, client| async move {
            let _open = client;
            let written = loop {
                if let Err(error) = server.write_all(&[0; 64 << 10]).await {
                    break Err::<(), _>(error);
                }
            };
            assert!(is_timeout(&written));
        });
    }
}
