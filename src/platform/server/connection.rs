//! One connection: its requests, one after the other, and its end.
//!
//! **End.** A connection whose last request was not read completely is closed in two steps: the
//! server sends its end of stream, and drops what the client still sends for a short time. Closing
//! at once would discard the response on its way. Until it is closed, the connection keeps its
//! place.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::connections::Place;
use super::exchange::Exchanges;
use super::stop_requested;
use super::stream::{Progress, TIME_LIMITS, TimedStream};

/// Maximum size of the head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// Time for which bytes that still arrive after the last response are dropped.
const LINGER_TIME: Duration = Duration::from_secs(2);
/// Number of these bytes after which the connection is closed.
const LINGER_BYTES_MAX: usize = 16 << 20;

/// The addresses of the two ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
}

type Answered = Result<Response<Full<Bytes>>, Infallible>;

/// Serves a connection until its client closes it, a time limit is reached or a stop is requested.
pub(super) async fn serve(
    stream: TcpStream,
    exchanges: Arc<Exchanges>,
    place: Arc<Place>,
    mut stopped: watch::Receiver<bool>,
) {
    // Either fails only if the client has closed the connection already.
    let (Ok(peer), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else { return };
    let ends = Ends { peer, local };
    let progress = Progress::new(TIME_LIMITS, Arc::clone(&place));
    let io = TokioIo::new(TimedStream::new(stream, Arc::clone(&progress)));
    let service = service_fn(move |request: Request<Incoming>| {
        let (exchanges, progress) = (Arc::clone(&exchanges), Arc::clone(&progress));
        let answered = async move { Ok(exchanges.answer(ends, &progress, request).await) };
        Box::pin(answered) as Pin<Box<dyn Future<Output = Answered> + Send>>
    });
    let mut connection = http1::Builder::new()
        // The time limits on a head are those of the stream.
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(io, service);
    let mut is_stopping = false;
    let ended = loop {
        tokio::select! {
            ended = poll_fn(|context| connection.poll_without_shutdown(context)) => break ended,
            () = stop_requested(&mut stopped), if !is_stopping => {
                is_stopping = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    if ended.is_ok() && !is_stopping {
        place.linger();
        let socket = connection.into_parts().io.into_inner().into_socket();
        tokio::time::timeout(LINGER_TIME, linger(socket)).await.ok();
    }
}

/// Sends the end of the stream, and drops the bytes that still arrive.
async fn linger(mut socket: TcpStream) {
    let mut buffer = [0; 8 << 10];
    let mut dropped = 0;
    // An error means that the client has closed the connection.
    if socket.shutdown().await.is_err() {
        return;
    }
    while let Ok(size @ 1..) = socket.read(&mut buffer).await
        && dropped < LINGER_BYTES_MAX
    {
        dropped += size;
    }
}
