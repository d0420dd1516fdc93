//! One request and its response: route, headers, authentication, body, answer.
//!
//! A request that is refused before its body was read gets its response at once, and its connection
//! is closed after it: the rest of the body is never read.
//!
//! **Turns.** Requests on connections on which none was authenticated before wait for their turn, in
//! the order of their arrival. At most [`UNKNOWN_MAX`] threads process them, and one further thread
//! the changes that need no authentication. So at least one thread is left to known clients.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::{HeaderMap, Request, Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::THREADS_MAX;
use super::connection::Ends;
use super::connections::Place;
use super::stream::Progress;
use crate::platform::api::{Api, ApiRequest, ApiResponse, Body};

/// Time limit for the whole body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// Time limit for the next part of a body.
const BODY_PAUSE_MAX: Duration = Duration::from_secs(10);
/// Maximum size of the part of a body that needs no share of [`BODIES_KIB_MAX`], in bytes. These
/// parts are limited by the number of connections. No action of a usual size needs more.
const FREE_BYTES_MAX: usize = 64 << 10;
/// Maximum size of the rest of all bodies that are read or processed at the same time, in KiB.
const BODIES_KIB_MAX: usize = 20 << 10;
/// Number of requests of unknown clients that are authenticated, or answered without authentication,
/// at the same time.
const UNKNOWN_MAX: usize = 2;
/// Number of requests without authentication that change something and are processed at the same
/// time. They leave the other request threads to authenticated requests.
const OPEN_CHANGES_MAX: usize = 1;
/// Time limit for the wait of a request for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);

/// Processes the requests of all connections.
#[derive(Debug)]
pub(super) struct Exchanges {
    api: Arc<Api>,
    /// Permits for the request threads. A request waits for one in its connection, so a request ends
    /// when its client disconnects.
    threads: Arc<Semaphore>,
    /// Permits for the KiB of large bodies.
    bodies: Arc<Semaphore>,
    /// Permits for the requests of unknown clients. They are given in the order of the requests.
    unknown: Arc<Semaphore>,
    open_changes: Arc<Semaphore>,
}

/// Why a request gets no answer of the API.
enum Failure {
    Refused(ApiResponse),
    /// There is no room or no turn for it now.
    Busy(&'static str),
    /// The client has sent the body too slowly.
    Slow,
    /// The client has closed the connection.
    Gone,
    /// A function of the API has panicked.
    Panicked,
}

impl From<ApiResponse> for Failure {
    fn from(response: ApiResponse) -> Failure {
        Failure::Refused(response)
    }
}

/// The body of a request while it arrives.
struct ArrivingBody {
    incoming: Incoming,
    /// Whether everything was read.
    is_read: bool,
}

/// The share of a body in the memory for large bodies.
struct Share {
    bodies: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
}

impl Exchanges {
    pub(super) fn new(api: Api) -> Exchanges {
        Exchanges {
            api: Arc::new(api),
            threads: Arc::new(Semaphore::new(THREADS_MAX)),
            bodies: Arc::new(Semaphore::new(BODIES_KIB_MAX)),
            unknown: Arc::new(Semaphore::new(UNKNOWN_MAX)),
            open_changes: Arc::new(Semaphore::new(OPEN_CHANGES_MAX)),
        }
    }

    /// Returns the response to a request.
    pub(super) async fn answer(
        &self,
        ends: Ends,
        progress: &Progress,
        request: Request<Incoming>,
    ) -> Response<Full<Bytes>> {
        progress.begin_exchange();
        let (parts, incoming) = request.into_parts();
        let mut body = ArrivingBody { is_read: incoming.is_end_stream(), incoming };
        let answered = self.process(api_request(&parts, ends), progress, &mut body).await;
        let uri = parts.uri.path_and_query().map_or("", PathAndQuery::as_str);
        let mut response = match answered {
            Ok(response) | Err(Failure::Refused(response)) => http_response(response),
            Err(Failure::Busy(reason)) => http_response(self.api.busy(uri, reason)),
            // A client that has gone does not read it.
            Err(Failure::Slow | Failure::Gone) => http_response(self.api.slow(uri)),
            Err(Failure::Panicked) => status(StatusCode::INTERNAL_SERVER_ERROR),
        };
        if !body.is_read {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        progress.end_exchange();
        response
    }

    async fn process(
        &self,
        head: ApiRequest,
        progress: &Progress,
        body: &mut ArrivingBody,
    ) -> Result<ApiResponse, Failure> {
        let place = progress.place();
        let routed = self.api.route(head)?;
        let admitted = match routed.is_protected() {
            true => {
                let turn = self.turn(place).await?;
                let admitted = self.in_thread(turn, move |api| api.admit(routed)).await??;
                place.know();
                admitted
            }
            false => self.api.admit(routed)?,
        };
        let Some(bytes_max) = admitted.body_bytes_max() else {
            let (turn, body) = (self.turn(place).await?, Body::Whole(Vec::new()));
            return self.in_thread(turn, move |api| api.answer(&admitted, &body)).await;
        };
        let mut share = Share { bodies: Arc::clone(&self.bodies), taken: None };
        if admitted.is_authenticated() {
            let body = body.read(bytes_max, &mut share).await?;
            return self.in_thread(share.taken, move |api| api.answer(&admitted, &body)).await;
        }
        // Anyone may send this, so until it is whole, its connection may be closed to make room for
        // another.
        place.wait();
        let body = body.read(bytes_max, &mut share).await?;
        place.work();
        let turn = next_turn(&self.open_changes).await?;
        self.in_thread(Some(turn), move |api| api.answer(&admitted, &body)).await
    }

    /// Waits for the turn of a request of an unknown client; a known client needs none.
    async fn turn(&self, place: &Place) -> Result<Option<OwnedSemaphorePermit>, Failure> {
        if place.is_known() {
            return Ok(None);
        }
        next_turn(&self.unknown).await.map(Some)
    }

    /// Runs a function of the API in one of the request threads. `permit` is returned when the
    /// function ends, which may be after the client has gone.
    async fn in_thread<T: Send + 'static>(
        &self,
        permit: Option<OwnedSemaphorePermit>,
        function: impl FnOnce(&Api) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let thread = Arc::clone(&self.threads).acquire_owned().await;
        let permits = (thread.map_err(|_| Failure::Panicked)?, permit);
        let api = Arc::clone(&self.api);
        let work = move || {
            let result = function(&api);
            drop(permits);
            result
        };
        spawn_blocking(work).await.map_err(|_| Failure::Panicked)
    }
}

/// Waits for a permit behind those that wait already.
async fn next_turn(turns: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Failure> {
    let turn = timeout(TURN_TIMEOUT, Arc::clone(turns).acquire_owned()).await;
    let turn = turn
        .map_err(|_| Failure::Busy("too many requests wait for their turn; send it again later"))?;
    turn.map_err(|_| Failure::Panicked)
}

impl Share {
    /// Extends the share to that of a body of `bytes`. It does not wait for other bodies, because
    /// those may wait for this one.
    fn extend(&mut self, bytes: usize) -> Result<(), Failure> {
        let busy = || {
            Failure::Busy(
                "the bodies of other requests need all memory for bodies; send it again later",
            )
        };
        let needed = bytes.saturating_sub(FREE_BYTES_MAX).div_ceil(1 << 10);
        let taken = self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(missing @ 1..) = needed.checked_sub(taken) else { return Ok(()) };
        let missing = u32::try_from(missing).map_err(|_| busy())?;
        let more = Arc::clone(&self.bodies).try_acquire_many_owned(missing).map_err(|_| busy())?;
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

impl ArrivingBody {
    /// Reads the body, and nothing of one that is announced to be longer than `bytes_max`.
    async fn read(&mut self, bytes_max: usize, share: &mut Share) -> Result<Body, Failure> {
        let too_large = |bytes: u64| usize::try_from(bytes).is_ok_and(|bytes| bytes > bytes_max);
        if too_large(self.incoming.size_hint().lower()) {
            return Ok(Body::TooLarge);
        }
        let read = timeout(BODY_TIMEOUT, self.read_parts(bytes_max, share)).await;
        read.map_err(|_| Failure::Slow)?
    }

    async fn read_parts(&mut self, bytes_max: usize, share: &mut Share) -> Result<Body, Failure> {
        let mut bytes = Vec::new();
        loop {
            let frame = timeout(BODY_PAUSE_MAX, self.incoming.frame()).await;
            let data = match frame.map_err(|_| Failure::Slow)? {
                None => {
                    self.is_read = true;
                    return Ok(Body::Whole(bytes));
                }
                Some(frame) => frame.map_err(|_| Failure::Gone)?.into_data(),
            };
            // The other frames are trailers, which have no meaning here.
            let Ok(data) = data else { continue };
            if bytes.len() + data.len() > bytes_max {
                return Ok(Body::TooLarge);
            }
            share.extend(bytes.len() + data.len())?;
            bytes.extend_from_slice(&data);
        }
    }
}

/// Converts the head of a request to the type that the API's functions take.
fn api_request(parts: &Parts, ends: Ends) -> ApiRequest {
    let mut headers = text_headers(&parts.headers);
    // A URL with a host has the same meaning as the header.
    headers.extend(parts.uri.authority().map(|host| ("host".to_owned(), host.to_string())));
    ApiRequest {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers,
        peer: ends.peer.ip(),
        local: ends.local.ip(),
    }
}

/// Returns the headers; bytes that are not UTF-8 are replaced.
fn text_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |(name, value): (&hyper::header::HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    headers.iter().map(text).collect()
}

fn http_response(response: ApiResponse) -> Response<Full<Bytes>> {
    let mut builder = Response::builder().status(response.status);
    for (name, value) in response.headers {
        builder = builder.header(name, value);
    }
    builder
        .body(Full::from(response.body))
        .unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR))
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
