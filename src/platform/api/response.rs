//! An HTTP response of the API, and the collection that most responses contain.
//!
//! The form is the original's variant of Collection+JSON. Its `code` is not an error code but the
//! number of the operation in which the error occurred.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::data::Id;
use crate::relay::sent_bytes;

const JSON: &str = "application/json";
const PLAIN: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiResponse {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl ApiResponse {
    /// Returns a response with JSON that must not be cached.
    pub(super) fn json(status: u16, body: String) -> ApiResponse {
        let headers =
            vec![("cache-control", "no-cache".to_owned()), ("content-type", JSON.to_owned())];
        ApiResponse { status, headers, body }
    }

    /// Returns a response to an agent, without the header that forbids caching.
    pub(super) fn plain_json(status: u16, body: String) -> ApiResponse {
        ApiResponse { status, headers: vec![("content-type", JSON.to_owned())], body }
    }

    /// Returns the response for an unknown path.
    pub(super) fn not_found() -> ApiResponse {
        let headers = vec![
            ("content-type", PLAIN.to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
        ];
        ApiResponse { status: 404, headers, body: "404 page not found\n".to_owned() }
    }

    /// Returns a redirect to the canonical form of a path on this host; only `GET` gets a body.
    pub(super) fn moved(location: &str, with_body: bool) -> ApiResponse {
        let location = local_url(location);
        let mut headers = vec![("location", location.clone())];
        let mut body = String::new();
        if with_body {
            headers.push(("content-type", HTML.to_owned()));
            let location =
                location.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&#34;");
            body = format!("<a href=\"{location}\">Moved Permanently</a>.\n\n");
        }
        ApiResponse { status: 301, headers, body }
    }

    pub(super) fn empty() -> ApiResponse {
        ApiResponse { status: 200, headers: Vec::new(), body: String::new() }
    }
}

/// Returns a path with its query in a form that no client can read as the address of another host: a
/// client reads a backslash as a slash, and two slashes as the beginning of a host.
fn local_url(url: &str) -> String {
    const SAFE: &[u8] = b"-._~!$&'()*+,;=:@/?%";
    let mut safe = String::with_capacity(url.len());
    for byte in url.trim_start_matches('/').bytes() {
        match byte.is_ascii_alphanumeric() || SAFE.contains(&byte) {
            true => safe.push(char::from(byte)),
            false => safe.push_str(&format!("%{byte:02X}")),
        }
    }
    format!("/{safe}")
}

/// An item of a collection.
#[derive(Debug, Serialize)]
pub(super) struct Item {
    href: String,
    data: Vec<Datum>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link>,
}

/// A link from an item to another resource.
#[derive(Debug, Serialize)]
struct Link {
    rel: &'static str,
    href: String,
}

/// A named value of an item.
#[derive(Debug, Serialize)]
pub(super) struct Datum {
    name: String,
    value: Box<RawValue>,
}

impl Datum {
    pub(super) fn new(
        name: impl Into<String>,
        value: &impl Serialize,
    ) -> Result<Datum, serde_json::Error> {
        Ok(Datum { name: name.into(), value: to_raw_value(value)? })
    }
}

impl Item {
    /// Returns an item with one value.
    pub(super) fn new(
        href: String,
        name: impl Into<String>,
        value: &impl Serialize,
    ) -> Result<Item, serde_json::Error> {
        Ok(Item::with(href, vec![Datum::new(name, value)?]))
    }

    /// Returns the size of the values as they are sent, in bytes.
    pub(super) fn sent_bytes(&self) -> u64 {
        self.data.iter().map(|datum| sent_bytes(datum.value.get())).sum()
    }

    /// Adds a link.
    pub(super) fn linked(mut self, rel: &'static str, href: String) -> Item {
        self.links.push(Link { rel, href });
        self
    }

    /// Returns an item with several values.
    pub(super) fn with(href: String, data: Vec<Datum>) -> Item {
        Item { href, data, links: Vec::new() }
    }
}

#[derive(Debug, Serialize)]
struct Envelope<'a> {
    collection: Collection<'a>,
}

#[derive(Debug, Serialize)]
struct Collection<'a> {
    version: &'static str,
    href: &'a str,
    #[serde(skip_serializing_if = "<[Item]>::is_empty")]
    items: &'a [Item],
    template: Template,
    error: CollectionError<'a>,
}

#[derive(Debug, Serialize)]
struct Template {}

#[derive(Debug, Default, Serialize)]
struct CollectionError<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

/// Returns a response that contains a collection; `failure` is the operation's number and the error
/// message.
pub(super) fn collection(
    status: u16,
    href: &str,
    items: &[Item],
    failure: Option<(Id, &str)>,
) -> Result<ApiResponse, serde_json::Error> {
    let error = match failure {
        Some((operation, message)) => {
            CollectionError { code: Some(operation.to_string()), message: Some(message) }
        }
        None => CollectionError::default(),
    };
    let collection = Collection { version: "1.0", href, items, template: Template {}, error };
    let text = serde_json::to_string(&Envelope { collection })?;
    Ok(ApiResponse::json(status, escaped(&text)))
}

/// Escapes the characters that Go escapes in JSON because HTML gives them a meaning. They occur
/// only in strings.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '&' => text.push_str("\\u0026"),
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_never_leads_to_another_host() {
        for (path, expected) in [
            ("/api/v1/search?type=action&a=%2F", "/api/v1/search?type=action&a=%2F"),
            ("/\\evil/", "/%5Cevil/"),
            ("//evil/", "/evil/"),
            ("\\\\evil", "/%5C%5Cevil"),
            ("/x\r\nset-cookie:a", "/x%0D%0Aset-cookie:a"),
            ("/\u{e9}\"<", "/%C3%A9%22%3C"),
            ("evil", "/evil"),
        ] {
            let answer = ApiResponse::moved(path, false);
            assert_eq!(answer.headers, [("location", expected.to_owned())]);
        }
    }
}
