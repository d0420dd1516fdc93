//! The HTTP server: a socket, and a thread with an event loop, around the API's functions.
//!
//! Only this file uses axum. The server reads a request completely, up to a size limit, passes it
//! to the API's functions on one of a few threads, and sends what they return. No function of the
//! API waits for a client, and no client waits for another.
//!
//! **Stop.** The server accepts no new connection. It finishes the responses in progress, for at
//! most [`STOP_TIMEOUT`].

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

use super::api::{Api, ApiRequest, ApiResponse, BODY_BYTES_MAX, Body};

/// Maximum number of requests that are processed at the same time.
const THREADS_MAX: usize = 4;
/// Time that a stop waits for responses in progress.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Time after which an idle request thread ends: never, in practice.
const THREAD_KEEP_ALIVE: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A running HTTP server.
#[derive(Debug)]
pub(super) struct Server {
    stop: watch::Sender<bool>,
    thread: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Serves `api` on a bound socket.
    pub(super) fn start(listener: TcpListener, api: Api) -> io::Result<Server> {
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(THREADS_MAX)
            .thread_keep_alive(THREAD_KEEP_ALIVE)
            .build()?;
        keep_one_thread(&runtime)?;
        let (stop, stopped) = watch::channel(false);
        let serve = async move { serve(listener, Arc::new(api), stopped).await };
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

async fn serve(
    listener: TcpListener,
    api: Arc<Api>,
    stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let handle = move |request: axum::http::Request<HttpBody>| respond(Arc::clone(&api), request);
    let service =
        Router::new().fallback(handle).into_make_service_with_connect_info::<SocketAddr>();
    let stop_requested = |mut stopped: watch::Receiver<bool>| async move {
        // An error means that the sender was dropped, which is a stop too.
        stopped.wait_for(|is_stopped| *is_stopped).await.ok();
    };
    let served =
        axum::serve(listener, service).with_graceful_shutdown(stop_requested(stopped.clone()));
    let served = tokio::spawn(served.into_future());
    stop_requested(stopped).await;
    match tokio::time::timeout(STOP_TIMEOUT, served).await {
        Ok(Ok(served)) => served,
        Ok(Err(error)) => Err(io::Error::other(error)),
        // A client is too slow; its connection is closed.
        Err(_) => Ok(()),
    }
}

async fn respond(api: Arc<Api>, request: axum::http::Request<HttpBody>) -> Response<HttpBody> {
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let Some(peer) = peer else { return status(StatusCode::INTERNAL_SERVER_ERROR) };
    let body = match to_bytes(body, BODY_BYTES_MAX).await {
        Ok(bytes) => Body::Whole(bytes.into()),
        // The body is too long, or incomplete because the client has disconnected.
        Err(_) => Body::TooLarge,
    };
    let request = api_request(&parts, peer, body);
    match tokio::task::spawn_blocking(move || api.answer(&request)).await {
        Ok(response) => http_response(response),
        Err(_) => status(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Converts a request to the type that the API's functions take.
fn api_request(parts: &Parts, peer: SocketAddr, body: Body) -> ApiRequest {
    ApiRequest {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers: text_headers(&parts.headers),
        peer: peer.ip(),
        body,
    }
}

/// Returns the headers whose values are text.
fn text_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    headers.iter().filter_map(text).collect()
}

fn http_response(response: ApiResponse) -> Response<HttpBody> {
    let mut builder = Response::builder().status(response.status);
    for (name, value) in response.headers {
        builder = builder.header(name, value);
    }
    builder
        .body(HttpBody::from(response.body))
        .unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR))
}

fn status(status: StatusCode) -> Response<HttpBody> {
    let mut response = Response::new(HttpBody::empty());
    *response.status_mut() = status;
    response
}
