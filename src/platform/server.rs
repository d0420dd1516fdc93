//! HTTP: a socket, and a thread with an event loop, around the API's functions.
//!
//! The only place that knows axum. A request is read whole, up to a limit, and
//! handed to plain functions on one of a few threads; what they return is sent. No
//! function of the API waits for a client, and no client for another.
//!
//! **Stop.** No new connection is taken; what was being answered is answered, for
//! [`STOP_SPAN`] at the most.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::{Body as HttpBody, to_bytes};
use axum::extract::connect_info::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response, StatusCode};
use tokio::sync::watch;

use super::api::{Answer, Api, BODY_BYTES_MAX, Body, Request};

/// How many requests are answered at once.
const THREADS_MAX: usize = 4;
/// How long a stop waits for answers that are under way.
const STOP_SPAN: Duration = Duration::from_secs(5);

/// How long a thread that answers requests is kept without work: as long as the platform lives.
const IDLE_SPAN: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The thread that serves.
#[derive(Debug)]
pub(super) struct Server {
    stop: watch::Sender<bool>,
    thread: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Serves `api` on a socket that listens already.
    pub(super) fn start(listener: TcpListener, api: Api) -> io::Result<Server> {
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(THREADS_MAX)
            .thread_keep_alive(IDLE_SPAN)
            .build()?;
        keep_one_thread(&runtime)?;
        let (stop, stopped) = watch::channel(false);
        let serve = async move { serve(listener, Arc::new(api), stopped).await };
        let thread = std::thread::Builder::new().name("api".to_owned()).spawn(move || {
            let served = runtime.block_on(serve);
            runtime.shutdown_timeout(STOP_SPAN);
            served
        })?;
        Ok(Server { stop, thread })
    }

    /// Stops serving; returns when nothing is served any more.
    pub(super) fn stop(self) -> io::Result<()> {
        self.stop.send_replace(true);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the API's thread broke down")))
    }
}

/// Starts a thread that answers requests. While there is one, a request waits for it if the system can
/// start no other; if there were none, the runtime would panic.
fn keep_one_thread(runtime: &tokio::runtime::Runtime) -> io::Result<()> {
    // The runtime does not report that no thread can be started, so that is tried first.
    std::thread::Builder::new().spawn(|| ())?.join().ok();
    runtime.block_on(runtime.spawn_blocking(|| ())).map_err(io::Error::other)
}

async fn serve(
    listener: TcpListener,
    api: Arc<Api>,
    stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let handle = move |request: axum::http::Request<HttpBody>| respond(Arc::clone(&api), request);
    let service =
        Router::new().fallback(handle).into_make_service_with_connect_info::<SocketAddr>();
    let asked = |mut stopped: watch::Receiver<bool>| async move {
        // An error is a sender that is gone, which is a stop too.
        stopped.wait_for(|asked| *asked).await.ok();
    };
    let served = axum::serve(listener, service).with_graceful_shutdown(asked(stopped.clone()));
    let served = tokio::spawn(served.into_future());
    asked(stopped).await;
    match tokio::time::timeout(STOP_SPAN, served).await {
        Ok(Ok(served)) => served,
        Ok(Err(error)) => Err(io::Error::other(error)),
        // Some client is slower than we wait; the connection is cut.
        Err(_) => Ok(()),
    }
}

async fn respond(api: Arc<Api>, request: axum::http::Request<HttpBody>) -> Response<HttpBody> {
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let Some(peer) = peer else { return status(StatusCode::INTERNAL_SERVER_ERROR) };
    let body = match to_bytes(body, BODY_BYTES_MAX).await {
        Ok(bytes) => Body::Whole(bytes.into()),
        // Cut off or too long: nobody hears the answer in the first case.
        Err(_) => Body::TooLarge,
    };
    let request = plain(&parts, peer, body);
    match tokio::task::spawn_blocking(move || api.answer(&request)).await {
        Ok(answer) => sent(answer),
        Err(_) => status(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Returns a request as the API's functions take it.
fn plain(parts: &Parts, peer: SocketAddr, body: Body) -> Request {
    Request {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers: texts(&parts.headers),
        peer: peer.ip(),
        body,
    }
}

/// Returns the headers that are text.
fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    headers.iter().filter_map(text).collect()
}

fn sent(answer: Answer) -> Response<HttpBody> {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response
        .body(HttpBody::from(answer.body))
        .unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR))
}

fn status(status: StatusCode) -> Response<HttpBody> {
    let mut response = Response::new(HttpBody::empty());
    *response.status_mut() = status;
    response
}
