//! Recorded requests to a real platform, with times and responses.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::platform::api::ApiRequest;

/// A recorded request and its response.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    /// The recording's name and the index in it, such as `11-dashboard[1]`.
    pub(super) label: String,
    pub(super) time: Timestamp,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    pub(super) status: u16,
    pub(super) response_headers: Vec<(String, String)>,
    /// The body of the response.
    pub(super) answer: String,
}

#[derive(Deserialize)]
struct Raw {
    time: Timestamp,
    request: RawRequest,
    response: RawResponse,
}

#[derive(Deserialize)]
struct RawRequest {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: RawBody,
}

#[derive(Deserialize)]
struct RawResponse {
    status: u16,
    headers: Vec<(String, String)>,
    body: RawBody,
}

#[derive(Deserialize)]
struct RawBody {
    text: String,
}

impl Exchange {
    /// Returns the exchanges of all recordings in chronological order.
    pub(super) fn all() -> Vec<Exchange> {
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/http"));
        let mut files: Vec<PathBuf> =
            folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|end| end == "json"));
        files.sort();
        let mut all: Vec<Exchange> = files.iter().flat_map(|file| read(file)).collect();
        all.sort_by_key(|exchange| exchange.time);
        all
    }

    /// Returns the first exchange of a recording.
    pub(super) fn of(recording: &str) -> Exchange {
        let label = format!("{recording}[0]");
        Exchange::all().into_iter().find(|exchange| exchange.label == label).unwrap()
    }

    /// Returns the request as the API takes it.
    pub(super) fn request(&self) -> ApiRequest {
        let (path, query) = match self.path.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (self.path.as_str(), None),
        };
        let lower = |(name, value): &(String, String)| (name.to_lowercase(), value.clone());
        ApiRequest {
            method: self.method.clone(),
            path: path.to_owned(),
            query,
            headers: self.headers.iter().map(lower).collect(),
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            local: IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }

    pub(super) fn response_header(&self, name: &str) -> Option<&str> {
        let mut headers = self.response_headers.iter();
        headers.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Returns the error message of the recorded response.
    pub(super) fn message(&self) -> String {
        message(&self.answer)
    }

    /// Returns the named values of the recorded response.
    pub(super) fn values(&self) -> Vec<(String, Box<RawValue>)> {
        let answer: Answered = serde_json::from_str(&self.answer).unwrap_or_default();
        let data = answer.collection.items.into_iter().flat_map(|item| item.data);
        data.map(|datum| (datum.name, datum.value)).collect()
    }
}

/// Returns the error message of a response.
pub(super) fn message(answer: &str) -> String {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    answer["collection"]["error"]["message"].as_str().unwrap_or_default().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "a recording is not a file of the platform")]
fn read(file: &std::path::Path) -> Vec<Exchange> {
    let text = std::fs::read_to_string(file).unwrap();
    let raw: Vec<Raw> = serde_json::from_str(&text).unwrap();
    let name = file.file_stem().unwrap().to_str().unwrap();
    let exchange = |(index, raw): (usize, Raw)| Exchange {
        label: format!("{name}[{index}]"),
        time: raw.time,
        method: raw.request.method,
        path: raw.request.path,
        headers: raw.request.headers,
        body: raw.request.body.text,
        status: raw.response.status,
        response_headers: raw.response.headers,
        answer: raw.response.body.text,
    };
    raw.into_iter().enumerate().map(exchange).collect()
}

#[derive(Deserialize, Default)]
struct Answered {
    collection: AnsweredCollection,
}

#[derive(Deserialize, Default)]
struct AnsweredCollection {
    #[serde(default)]
    items: Vec<AnsweredItem>,
}

#[derive(Deserialize)]
struct AnsweredItem {
    data: Vec<AnsweredDatum>,
}

#[derive(Deserialize)]
struct AnsweredDatum {
    name: String,
    value: Box<RawValue>,
}

/// An object in a response, with its fields as received.
#[derive(Debug, Clone)]
pub(super) struct Resource(BTreeMap<String, Box<RawValue>>);

impl Resource {
    pub(super) fn read(text: &str) -> Resource {
        Resource(serde_json::from_str(text).unwrap())
    }

    /// Returns a field as received, or `null`.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.0.get(name).map_or("null", |raw| raw.get())
    }

    pub(super) fn value(&self, name: &str) -> Value {
        serde_json::from_str(self.raw(name)).unwrap()
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.value(name).as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn number(&self, name: &str) -> i64 {
        self.value(name).as_i64().unwrap_or_default()
    }

    pub(super) fn id(&self) -> i64 {
        self.number("id")
    }

    pub(super) fn time(&self, name: &str) -> Timestamp {
        self.text(name).parse().unwrap()
    }

    pub(super) fn resource(&self, name: &str) -> Resource {
        Resource::read(self.raw(name))
    }

    pub(super) fn resources(&self, name: &str) -> Vec<Resource> {
        let list: Option<Vec<Box<RawValue>>> = serde_json::from_str(self.raw(name)).unwrap();
        list.unwrap_or_default().iter().map(|raw| Resource::read(raw.get())).collect()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}
