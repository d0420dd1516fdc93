//! What was asked.

use serde_json::Value;
use serde_json::value::RawValue;

use super::super::go_regex::{GoRegex, RegexError};
use super::super::parameters::{Place, ReadError, Structure, TypeError, parse};
use super::range::{Range, RangeError};

/// Parameters that make no sense, in the original's words.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    /// They cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A pattern of a hardware address is no expression.
    #[error(
        "Invalid MAC regexp '{pattern}'. Compilation failed with '{error}'. Must be a valid regular expression."
    )]
    Mac { pattern: String, error: RegexError },
    /// An address is none.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// A port is no number.
    #[error("{0} is not a valid port")]
    NoPort(String),
    /// There is no such port.
    #[error("port out of range. must be between 1 and 65535")]
    Port,
}

#[derive(Debug)]
pub(super) struct Asked<T> {
    /// As it was written, under which its hits are told.
    pub(super) text: String,
    pub(super) wanted: T,
}

#[derive(Debug)]
pub(super) struct Request {
    /// Hardware addresses of this host's links.
    pub(super) localmac: Vec<Asked<GoRegex>>,
    /// Hardware addresses of its neighbours.
    pub(super) neighbormac: Vec<Asked<GoRegex>>,
    pub(super) localip: Vec<Asked<Range>>,
    /// Addresses of its neighbours.
    pub(super) neighborip: Vec<Asked<Range>>,
    /// Addresses that it is connected with.
    pub(super) connectedip: Vec<Asked<Range>>,
    /// Ports on which it listens.
    pub(super) listeningport: Vec<Asked<u16>>,
    /// Whether all of its network namespaces are looked at.
    pub(super) namespaces: bool,
}

impl Request {
    /// Tells whether anything is asked that each network namespace has of its own.
    pub(super) fn is_about_spaces(&self) -> bool {
        !(self.neighbormac.is_empty()
            && self.neighborip.is_empty()
            && self.connectedip.is_empty()
            && self.listeningport.is_empty())
    }
}

/// The searches as they came.
struct Raw {
    localmac: Vec<String>,
    neighbormac: Vec<String>,
    localip: Vec<String>,
    neighborip: Vec<String>,
    connectedip: Vec<String>,
    listeningport: Vec<String>,
    namespaces: bool,
}

/// Reads the parameters of the module.
pub(super) fn read(parameters: &RawValue) -> Result<Request, RequestError> {
    let raw = parse(parameters, raw)?;
    Ok(Request {
        localmac: each(raw.localmac, mac)?,
        neighbormac: each(raw.neighbormac, mac)?,
        localip: each(raw.localip, range)?,
        neighborip: each(raw.neighborip, range)?,
        connectedip: each(raw.connectedip, range)?,
        listeningport: each(raw.listeningport, port)?,
        namespaces: raw.namespaces,
    })
}

fn raw(parameters: &Value) -> Result<Raw, TypeError> {
    let whole = Structure::new(parameters, &Place::Whole, "params", "netstat.params")?;
    Ok(Raw {
        localmac: whole.texts("localmac")?,
        neighbormac: whole.texts("neighbormac")?,
        localip: whole.texts("localip")?,
        neighborip: whole.texts("neighborip")?,
        connectedip: whole.texts("connectedip")?,
        listeningport: whole.texts("listeningport")?,
        namespaces: whole.flag("namespaces")?,
    })
}

fn each<T>(
    texts: Vec<String>,
    read: impl Fn(&str) -> Result<T, RequestError>,
) -> Result<Vec<Asked<T>>, RequestError> {
    let asked = |text: String| Ok(Asked { wanted: read(&text)?, text });
    texts.into_iter().map(asked).collect()
}

/// Hardware addresses are matched in any case; what is wrong is told of the pattern as it came.
fn mac(pattern: &str) -> Result<GoRegex, RequestError> {
    GoRegex::new(pattern)
        .and_then(|_| GoRegex::new(&format!("(?i){pattern}")))
        .map_err(|error| RequestError::Mac { pattern: pattern.to_owned(), error })
}

fn range(text: &str) -> Result<Range, RequestError> {
    Ok(Range::parse(text)?)
}

/// Reads a port as Go's `Atoi` reads numbers: with a sign and zeros before it.
fn port(text: &str) -> Result<u16, RequestError> {
    let port: i64 = text.parse().map_err(|_| RequestError::NoPort(text.to_owned()))?;
    u16::try_from(port).ok().filter(|port| *port != 0).ok_or(RequestError::Port)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests read their data")]

    use super::*;

    #[test]
    fn ports_are_read_as_numbers_by_go() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/modules/go-forms.json");
        let forms: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for vector in forms["atoi"].as_array().unwrap() {
            let text = vector["text"].as_str().unwrap();
            match (port(text), vector["value"].as_i64()) {
                (Ok(port), Some(value)) => assert_eq!(i64::from(port), value),
                (Err(RequestError::Port), Some(value)) => {
                    assert!(!(1..=65535).contains(&value), "{text}");
                }
                (Err(RequestError::NoPort(_)), None) => {}
                (read, _) => panic!("{text}: {read:?}"),
            }
        }
        assert!(matches!(port("0"), Err(RequestError::Port)));
        assert_eq!(port("65535").unwrap(), 65535);
    }
}
