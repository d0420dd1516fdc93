//! An answer, and the collection that most answers are.
//!
//! The form is the platform's own kind of Collection+JSON. Its code is no code: it
//! is the number of the operation in which the error came up.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::data::Id;

const JSON: &str = "application/json";
const PLAIN: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// What is sent back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// Returns an answer of the API itself.
    pub(super) fn json(status: u16, body: String) -> Answer {
        let headers =
            vec![("cache-control", "no-cache".to_owned()), ("content-type", JSON.to_owned())];
        Answer { status, headers, body }
    }

    /// Returns an answer to an agent, which may be kept on the way.
    pub(super) fn plain_json(status: u16, body: String) -> Answer {
        Answer { status, headers: vec![("content-type", JSON.to_owned())], body }
    }

    /// Returns the answer to what is not there.
    pub(super) fn not_found() -> Answer {
        let headers = vec![
            ("content-type", PLAIN.to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
        ];
        Answer { status: 404, headers, body: "404 page not found\n".to_owned() }
    }

    /// Returns the answer to a path that is written differently; a body is for `GET` alone.
    pub(super) fn moved(location: &str, with_body: bool) -> Answer {
        let mut headers = vec![("location", location.to_owned())];
        let mut body = String::new();
        if with_body {
            headers.push(("content-type", HTML.to_owned()));
            let location =
                location.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&#34;");
            body = format!("<a href=\"{location}\">Moved Permanently</a>.\n\n");
        }
        Answer { status: 301, headers, body }
    }

    /// Returns an answer without a body.
    pub(super) fn empty() -> Answer {
        Answer { status: 200, headers: Vec::new(), body: String::new() }
    }
}

/// An entry of a collection.
#[derive(Debug, Serialize)]
pub(super) struct Item {
    href: String,
    data: Vec<Datum>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link>,
}

/// Where an entry leads.
#[derive(Debug, Serialize)]
struct Link {
    rel: &'static str,
    href: String,
}

/// A named value of an entry.
#[derive(Debug, Serialize)]
pub(super) struct Datum {
    name: String,
    value: Box<RawValue>,
}

impl Datum {
    /// Returns a value with its name.
    pub(super) fn new(
        name: impl Into<String>,
        value: &impl Serialize,
    ) -> Result<Datum, serde_json::Error> {
        Ok(Datum { name: name.into(), value: to_raw_value(value)? })
    }
}

impl Item {
    /// Returns an entry with one value.
    pub(super) fn new(
        href: String,
        name: impl Into<String>,
        value: &impl Serialize,
    ) -> Result<Item, serde_json::Error> {
        Ok(Item::with(href, vec![Datum::new(name, value)?]))
    }

    /// Returns the entry with a link.
    pub(super) fn linked(mut self, rel: &'static str, href: String) -> Item {
        self.links.push(Link { rel, href });
        self
    }

    /// Returns an entry with several values.
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
    error: Error<'a>,
}

#[derive(Debug, Serialize)]
struct Template {}

#[derive(Debug, Default, Serialize)]
struct Error<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

/// Returns an answer that is a collection; `failure` is the operation's number and what went wrong.
pub(super) fn collection(
    status: u16,
    href: &str,
    items: &[Item],
    failure: Option<(Id, &str)>,
) -> Result<Answer, serde_json::Error> {
    let error = match failure {
        Some((operation, message)) => {
            Error { code: Some(operation.to_string()), message: Some(message) }
        }
        None => Error::default(),
    };
    let collection = Collection { version: "1.0", href, items, template: Template {}, error };
    let text = serde_json::to_string(&Envelope { collection })?;
    Ok(Answer::json(status, escaped(&text)))
}

/// Returns JSON as Go writes it: what could be taken for HTML is escaped, and stands in strings alone.
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
