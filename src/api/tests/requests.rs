//! Tests of the exact requests, and of the headers of responses.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{
    PATIENT, client, client_with, fetch, outcome, search, settable_server, settings, signature,
};
use crate::action::sign::testing::FixedSigner;
use crate::action::{SignError, Signature, Signer, UnknownKey};
use crate::api::testing::{Reply, Server, pairs};
use crate::api::{Api, ApiError, Credentials, FORM_BYTES_MAX, Found, HttpSettings, Posted, Scope};
use crate::names::ActionId;
use crate::wake::Stop;

const NO_RESULTS: &str = r#"{"collection":{"version":"1.0","template":{},"error":{"code":"1","message":"no results found"}}}"#;

fn accepted(line: &str) -> String {
    format!(
        r#"{{"collection":{{"items":[{{"data":[{{"name":"action ID 7","value":{{"id":7,"pgpsignatures":["{line}"]}}}}]}}],"error":{{}}}}}}"#
    )
}

#[test]
fn post_sends_a_form_to_the_url_with_trailing_slash() {
    let server = Server::always(Reply::json(202, accepted("a+/=")));
    let json = r#"{"name":"mig-runner: ~*é","pgpsignatures":["a+/="]}"#;
    let posted = client(&server).post(json, &[signature("x="), signature("a+/=")]);
    assert_eq!(outcome(&posted), "accepted 7");
    let requests = server.requests();
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!((&*request.method, &*request.target), ("POST", "/api/v1/action/create/"));
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    let agent = concat!("mig-runner/", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.header("user-agent"), Some(agent));
    assert_eq!(request.header("accept-encoding"), None);
    assert!(request.body.contains("mig-runner%3A+~%2A%C3%A9"), "{}", request.body);
    assert_eq!(pairs(&request.body), [("action".to_owned(), json.to_owned())]);
    let token = request.header("x-pgpauthorization").unwrap();
    let parts: Vec<&str> = token.split(';').collect();
    assert_eq!((parts.len(), parts[0], parts[3]), (4, "1", "sig="));
    assert!(parts[1].len() == 20 && parts[1].ends_with('Z'), "{token}");
}

/// A signer that requests a stop while it signs.
#[derive(Debug)]
struct Interrupted(Stop);

impl Signer for Interrupted {
    fn sign(&self, bytes: &[u8]) -> Result<Signature, SignError> {
        self.0.request();
        FixedSigner("sig=").sign(bytes)
    }

    fn fingerprint(&self) -> &'static str {
        "0"
    }

    fn padded(&self, _: &str, _: UnknownKey) -> Result<Option<Signature>, SignError> {
        Ok(None)
    }
}

#[test]
fn stop_while_signing_the_token_prevents_the_request() {
    let server = Server::always(Reply::json(202, accepted("a+/=")));
    let stop = Stop::new();
    let credentials = Credentials::Signer(Arc::new(Interrupted(stop.clone())));
    let settings = HttpSettings { credentials, ..settings(&server.url()) };
    let posted = client_with(settings).stopped_by(stop).post("{}", &[signature("a+/=")]);
    let Posted::Refused { cause: ApiError::Stopped { .. }, .. } = posted else {
        panic!("{posted:?}")
    };
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn stop_during_a_401_prevents_the_repetition() {
    let stop = Stop::new();
    let requester = stop.clone();
    let server = Server::start(move |_| {
        requester.request();
        Reply::json(401, "{}")
    });
    let client = client(&server).stopped_by(stop);
    let posted = client.post("{}", &[signature("a+/=")]);
    let Posted::Refused { cause: ApiError::Stopped { .. }, .. } = posted else {
        panic!("{posted:?}")
    };
    assert_eq!(server.requests().len(), 1);
    assert!(matches!(client.dashboard(), Err(ApiError::Stopped { .. })));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn search_by_signature_matches_the_exact_name() {
    let server = Server::always(Reply::json(404, NO_RESULTS));
    let (ours, none) = ([signature("s=")], BTreeSet::new());
    let found = client(&server).find(&search(r"100%_\ job", &ours, &none)).unwrap();
    assert!(matches!(found, Found::None));
    let target = server.requests()[0].target.clone();
    let (path, query) = target.split_once('?').unwrap();
    assert_eq!(path, "/api/v1/search");
    let wanted = [
        ("type", "action"),
        ("limit", "1000"),
        ("actionname", r"100\%\_\\ job"),
        ("after", "2026-11-22T11:59:59Z"),
        ("before", "2026-11-22T12:06:01Z"),
    ];
    assert_eq!(pairs(query), wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn search_continues_after_a_page_that_ends_early() {
    let page = |id: u64, line: &str, bytes: usize| {
        let filler = "x".repeat(bytes);
        let action = format!(r#"{{"id":{id},"name":"{filler}","pgpsignatures":["{line}"]}}"#);
        let items = format!(r#"[{{"data":[{{"name":"action","value":{action}}}]}}]"#);
        Reply::json(200, format!(r#"{{"collection":{{"items":{items}}}}}"#))
    };
    let server = Server::start(move |request| {
        match request.target.split_once("&offset=").map(|(_, offset)| offset) {
            None => page(7, "other=", 33 << 20),
            Some("1") => page(6, "s=", 33 << 20),
            Some("2") => page(5, "s=", 10),
            offset => panic!("{offset:?}"),
        }
    });
    let (ours, none) = ([signature("s=")], BTreeSet::new());
    let found = client(&server).find(&search("n", &ours, &none)).unwrap();
    assert!(matches!(found, Found::Action { id: ActionId(5), .. }));
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn truncated_search_result_is_inconclusive() {
    let row = |id: u64, line: &str| {
        format!(
            r#"{{"data":[{{"name":"action","value":{{"id":{id},"pgpsignatures":["{line}"]}}}}]}}"#
        )
    };
    let answer = |rows: Vec<String>| {
        Reply::json(200, format!(r#"{{"collection":{{"items":[{}]}}}}"#, rows.join(",")))
    };
    let others = |count: u64| (1..=count).map(|id| row(id, "other=")).collect::<Vec<_>>();
    let find = |reply: Reply| {
        let server = Server::always(reply);
        let (ours, none) = ([signature("old="), signature("s=")], BTreeSet::new());
        client(&server).find(&search("n", &ours, &none)).unwrap()
    };
    assert!(matches!(find(answer(others(999))), Found::None));
    assert!(matches!(find(answer(others(1000))), Found::TooMany));
    let mut with_ours = others(997);
    with_ours.extend([row(5000, "s="), row(4000, "old="), row(6000, "s=")]);
    assert!(matches!(find(answer(with_ours)), Found::Action { id: ActionId(4000), .. }));
}

#[test]
fn page_request_is_that_of_the_original() {
    let server = Server::always(Reply::json(404, NO_RESULTS));
    let (commands, page) = fetch(&client(&server), 28052712325147, 37, 250);
    assert!(commands.is_empty() && page.unwrap().items == 0);
    let wanted = "/api/v1/search?type=command&limit=250&offset=37&actionid=28052712325147";
    assert_eq!(server.requests()[0].target, wanted);
}

#[test]
fn connection_and_token_are_reused() {
    let server = Server::always(Reply::json(404, NO_RESULTS));
    let client = client(&server);
    for offset in 0..20 {
        fetch(&client, 1, offset, 250).1.unwrap();
    }
    let requests = server.requests();
    let token = |n: usize| requests[n].header("x-pgpauthorization");
    assert_eq!((server.connections(), requests.len()), (1, 20));
    assert_eq!(token(0), token(19));
}

#[test]
fn refused_api_key_is_not_sent_twice() {
    let server = Server::always(Reply::json(401, "{}"));
    let credentials = Credentials::ApiKey("k3y".to_owned().into());
    let client = client_with(HttpSettings { credentials, ..settings(&server.url()) });
    let posted = client.post("{}", &[signature("s=")]);
    assert_eq!(outcome(&posted), "BackOffAll");
    let requests = server.requests();
    assert_eq!((requests.len(), requests[0].header("x-migapikey")), (1, Some("k3y")));
}

#[test]
fn fresh_token_after_a_401_is_sent_once() {
    let short = r#"{"collection":{"error":{"code":"1","message":"Authorization verification failed with error 'verifySignedToken() -> GetFingerprintFromSignature() -> openpgp: invalid signature: RSA verification failure'"}}}"#;
    for refusal in ["{}", short] {
        let mut refuse = true;
        let server = Server::start(move |_| {
            let refused = std::mem::replace(&mut refuse, false);
            if refused { Reply::json(401, refusal) } else { Reply::json(202, accepted("s=")) }
        });
        let posted = client(&server).post("{}", &[signature("s=")]);
        assert_eq!((outcome(&posted), server.requests().len()), ("accepted 7".to_owned(), 2));
        let server = Server::always(Reply::json(401, refusal));
        assert_eq!(outcome(&client(&server).post("{}", &[signature("s=")])), "BackOffAll");
    }
}

#[test]
fn oversized_form_is_not_sent() {
    let server = Server::always(Reply::json(202, accepted("s=")));
    let long = "x".repeat(FORM_BYTES_MAX);
    let posted = client(&server).post(&long, &[signature("s=")]);
    let is_form = matches!(&posted, Posted::Refused { cause: ApiError::FormTooLong { .. }, .. });
    assert!(is_form && outcome(&posted) == "Invalid" && server.requests().is_empty());
    let fits = "x".repeat(FORM_BYTES_MAX - "action=".len());
    assert_eq!(outcome(&client(&server).post(&fits, &[signature("s=")])), "accepted 7");
}

#[test]
fn redirects_are_not_followed() {
    let (server, setter, client) = settable_server();
    for status in [301, 302, 303, 307, 308] {
        setter.set(Reply::json(status, "").with("Location", "/elsewhere"));
        let posted = client.post("{}", &[signature("s=")]);
        assert_eq!(outcome(&posted), "unknown, Api", "{status}");
    }
    assert_eq!(server.requests().len(), 5);
    let error = fetch(&client, 1, 0, 250).1.unwrap_err();
    assert!(
        error.to_string().ends_with("308 with an empty body; check the url of the API"),
        "{error}"
    );
}

#[test]
fn accepted_needs_an_id_and_our_signature() {
    let (_server, setter, client) = settable_server();
    let without = |body: String| {
        setter.set(Reply::json(202, body));
        outcome(&client.post("{}", &[signature("s=")]))
    };
    assert_eq!(without(accepted("s=")), "accepted 7");
    assert_eq!(without(accepted("other=")), "unknown, Request");
    assert_eq!(without(accepted("s=").replace(r#""id":7"#, r#""id":0"#)), "unknown, Request");
    assert_eq!(without(accepted("s=").replace(r#""id":7,"#, "")), "unknown, Request");
    for status in [200, 201, 203, 204] {
        setter.set(Reply::json(status, accepted("s=")));
        let posted = client.post("{}", &[signature("s=")]);
        assert!(outcome(&posted).starts_with("unknown"), "{status}");
    }
}

#[test]
fn refusals_by_a_proxy_are_interpreted_by_status() {
    let (_server, setter, client) = settable_server();
    let page = "<html><head><title>502 Bad Gateway</title></head>";
    for (status, wanted) in [
        (400, "Invalid"),
        (403, "unknown, Api"),
        (404, "BackOffAll"),
        (405, "BackOffAll"),
        (408, "unknown, Api"),
        (413, "Invalid"),
        (418, "unknown, Api"),
        (422, "Invalid"),
        (429, "unknown, Api"),
        (500, "unknown, Api"),
        (502, "unknown, Api"),
        (503, "unknown, Api"),
        (504, "unknown, Api"),
    ] {
        setter.set(Reply::json(status, page));
        let posted = client.post("{}", &[signature("s=")]);
        assert_eq!(outcome(&posted), wanted, "{status}");
    }
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let (_server, setter, client) = settable_server();
    let retry_after = |value: &str| {
        let reply = Reply::json(503, "")
            .with("Date", "Sun, 22 Nov 2026 12:00:00 GMT")
            .with("Retry-After", value);
        setter.set(reply);
        let Posted::Unknown { cause } = client.post("{}", &[signature("s=")]) else {
            panic!("{value}")
        };
        cause.retry_after()
    };
    assert_eq!(retry_after("120"), Some(Duration::from_secs(120)));
    assert_eq!(retry_after("Sun, 22 Nov 2026 12:00:30 GMT"), Some(Duration::from_secs(30)));
    assert_eq!(retry_after("Sun, 22 Nov 2026 11:00:00 GMT"), Some(Duration::ZERO));
    assert_eq!(retry_after("soon"), None);
    assert_eq!(retry_after("-5"), None);
}

#[test]
fn clocks_are_compared_at_each_response() {
    let dated = |date: &str| Reply::json(404, NO_RESULTS).with("Date", date);
    let server = Server::always(dated("Sun, 06 Nov 1994 08:49:37 GMT"));
    let client = client(&server);
    assert_eq!(client.skew(), None);
    fetch(&client, 1, 0, 250).1.unwrap();
    assert!(client.skew().unwrap().as_hours() > 24 * 365 * 30);
}

#[test]
fn failed_connection_sends_nothing() {
    // No server listens on this port, and the system does not assign it to tests.
    let address = "127.0.0.1:1";
    for url in [format!("http://user:secret@{address}/api/v1"), "http://no.such.invalid/".into()] {
        let posted = client_with(settings(&url)).post("{}", &[signature("s=")]);
        assert_eq!(outcome(&posted), "BackOffAll", "{url}");
        let Posted::Refused { cause, .. } = posted else { panic!("{url}") };
        assert_eq!(cause.scope(), Scope::Api);
        let text = format!("{} {cause:?}", crate::chain::Chain(&cause));
        assert!(text.contains("/action/create/") && !text.contains("secret"), "{text}");
    }
}

#[test]
fn failed_tls_handshake_sends_nothing() {
    let server = Server::always(Reply::Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()));
    let url = server.url().replace("http:", "https:");
    let span = Duration::from_secs(5).min(PATIENT);
    let hurried = HttpSettings { call_span: span, connect_span: span, ..settings(&url) };
    let posted = client_with(hurried).post("{}", &[signature("s=")]);
    let is_connect = matches!(&posted, Posted::Refused { cause: ApiError::Connect { .. }, .. });
    assert!(is_connect, "{posted:?}");
}
