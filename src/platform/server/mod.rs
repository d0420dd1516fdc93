//! The HTTP server: a socket, and a thread with an event loop, around the API's functions.
//!
//! ```text
//! accept ──▶ connections ──▶ connection ──▶ exchange: route ▶ authenticate ▶ read the body ▶ answer
//! ```
//!
//! | file | contents |
//! | --- | --- |
//! | `connections` | the open connections, their number, and which one is closed to make room |
//! | `connection` | one connection: its requests, one after the other, and its end |
//! | `stream` | the socket of a connection with its time limits |
//! | `exchange` | one request and its response |
//! | `descriptors` | how many connections the process's limit on descriptors allows |
//!
//! Only these files use hyper and tokio. The API's functions run on a few threads. None of them
//! waits for a client, and no client that was authenticated waits for those that were not.
//!
//! **Invariants.** Nothing is read of the body of a request without a route, with refused headers or
//! from an unknown sender. A connection that sends nothing useful is closed at its time limit, or
//! earlier if another one needs its place.
//!
//! **Stop.** The server accepts no new connection. It finishes the responses in progress, for at
//! most [`STOP_TIMEOUT`].

mod connection;
mod connections;
mod descriptors;
mod exchange;
mod stream;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::net::listen;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::api::Api;
use crate::clock::Clock;
use crate::logging::{LogInterval, Suppressed};
use connections::{Connections, Place};
use exchange::Exchanges;

/// Maximum number of requests that are processed at the same time.
const THREADS_MAX: usize = 4;
/// Time that a stop waits for responses in progress.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Time after which an idle request thread ends: never, in practice.
const THREAD_KEEP_ALIVE: Duration = Duration::from_secs(100 * 365 * 86_400);
/// Maximum number of connections that the kernel keeps until they are accepted. If it is reached, a
/// client tries again after a second.
const BACKLOG: i32 = 4096;
/// Delay before the next attempt when no connection can be accepted.
const ACCEPT_DELAY: Duration = Duration::from_millis(100);

/// A running HTTP server.
#[derive(Debug)]
pub(super) struct Server {
    stop: watch::Sender<bool>,
    thread: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Serves `api` on a bound socket.
    pub(super) fn start(listener: TcpListener, api: Api) -> io::Result<Server> {
        listen(&listener, BACKLOG)?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(THREADS_MAX)
            .thread_keep_alive(THREAD_KEEP_ALIVE)
            .build()?;
        keep_one_thread(&runtime)?;
        let limit = descriptors::connections_max();
        let connections = Connections::new(limit, Arc::clone(&api.clock), api.log.clone());
        let (stop, stopped) = watch::channel(false);
        let serve = async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let mut acceptor = Acceptor {
                log: api.log.clone(),
                clock: Arc::clone(&api.clock),
                exchanges: Arc::new(Exchanges::new(api)),
                connections,
                tasks: JoinSet::new(),
                stopped: stopped.clone(),
                failures: LogInterval::default(),
            };
            acceptor.run(&listener, stopped).await;
            drop(listener);
            acceptor.finish().await;
            Ok(())
        };
        let thread = std::thread::Builder::new().name("api".to_owned()).spawn(move || {
            let served = runtime.block_on(serve);
            runtime.shutdown_timeout(STOP_TIMEOUT);
            served
        })?;
        Ok(Server { stop, thread })
    }

    /// Stops the server and waits until its thread has ended.
    pub(super) fn stop(self) -> io::Result<()> {
        self.stop.send_replace(true);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the API's thread panicked")))
    }
}

/// Starts a request thread. As long as it exists, requests wait for it when the system cannot start
/// another thread. Without any request thread, the runtime would panic.
fn keep_one_thread(runtime: &tokio::runtime::Runtime) -> io::Result<()> {
    // The runtime does not report that it cannot start a thread, so this tries first.
    std::thread::Builder::new().spawn(|| ())?.join().ok();
    runtime.block_on(runtime.spawn_blocking(|| ())).map_err(io::Error::other)
}

/// Waits until a stop is requested.
async fn stop_requested(stopped: &mut watch::Receiver<bool>) {
    // An error means that the sender was dropped, which is a stop too.
    stopped.wait_for(|is_stopped| *is_stopped).await.ok();
}

/// Accepts connections and starts a task for each.
struct Acceptor {
    exchanges: Arc<Exchanges>,
    connections: Arc<Connections>,
    tasks: JoinSet<()>,
    stopped: watch::Receiver<bool>,
    /// When it is logged that no connection can be accepted.
    failures: LogInterval,
    clock: Arc<dyn Clock>,
    log: slog::Logger,
}

impl Acceptor {
    async fn run(
        &mut self,
        listener: &tokio::net::TcpListener,
        mut stopped: watch::Receiver<bool>,
    ) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop_requested(&mut stopped) => return,
            };
            match accepted {
                Ok((stream, _)) => tokio::select! {
                    place = self.connections.enter() => self.start(stream, place),
                    () = stop_requested(&mut stopped) => return,
                },
                Err(error) if is_of_connection(&error) => {}
                Err(error) => {
                    self.report(&error);
                    // The descriptors may be used up, and a new client must not wait for an old one.
                    self.connections.evict();
                    tokio::time::sleep(ACCEPT_DELAY).await;
                }
            }
            while self.tasks.try_join_next().is_some() {}
            // The connections that are open already do not wait for those that arrive.
            tokio::task::yield_now().await;
        }
    }

    fn start(&mut self, stream: TcpStream, place: Place) {
        let place = Arc::new(place);
        let served = connection::serve(
            stream,
            Arc::clone(&self.exchanges),
            Arc::clone(&place),
            self.stopped.clone(),
        );
        place.evicted_by(self.tasks.spawn(served));
    }

    /// Logs that no connection can be accepted. A single success does not end a shortage.
    fn report(&mut self, error: &io::Error) {
        if let Some(suppressed) = self.failures.record(self.clock.now()) {
            slog::error!(self.log, "cannot accept connections; retrying";
                "error" => %error, Suppressed(suppressed));
        }
    }

    /// Waits for the connections that are still open, and closes those of slow clients.
    async fn finish(mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        // After this time a client is too slow; its connection is closed with its task.
        tokio::time::timeout(STOP_TIMEOUT, all).await.ok();
    }
}

/// Returns whether an error concerns only the connection that would have been accepted.
fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
