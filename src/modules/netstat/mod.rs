//! Parameters of the module `netstat`: validated search terms.

mod range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::parameters::{self, ParameterError};
use crate::go::regexp::{Regexp, RegexpError};
pub(crate) use range::AddressRange;

#[derive(Debug, thiserror::Error)]
pub(crate) enum NetstatParameterError {
    #[error(transparent)]
    Form(#[from] ParameterError),
    #[error(transparent)]
    Mac(#[from] RegexpError),
    #[error("{0:?} is not an IP address or network")]
    Address(String),
    #[error("{0:?} is not a port from 1 to 65535")]
    Port(String),
}

#[derive(Debug)]
pub(crate) struct SearchTerm<T> {
    /// The term as it was written; results list hits under it.
    pub(crate) text: String,
    pub(crate) value: T,
}

#[derive(Debug)]
pub(crate) struct NetstatSearch {
    /// Hardware addresses of this host's links.
    pub(crate) localmac: Vec<SearchTerm<Regexp>>,
    /// Hardware addresses of neighbours.
    pub(crate) neighbormac: Vec<SearchTerm<Regexp>>,
    pub(crate) localip: Vec<SearchTerm<AddressRange>>,
    /// Addresses of neighbours.
    pub(crate) neighborip: Vec<SearchTerm<AddressRange>>,
    /// Addresses of the peers of connections.
    pub(crate) connectedip: Vec<SearchTerm<AddressRange>>,
    /// Ports on which this host listens.
    pub(crate) listeningport: Vec<SearchTerm<u16>>,
    /// Whether all network namespaces are searched.
    pub(crate) namespaces: bool,
}

impl NetstatSearch {
    /// Returns whether the search reads tables that exist once per network namespace.
    pub(crate) fn reads_namespace_tables(&self) -> bool {
        !(self.neighbormac.is_empty()
            && self.neighborip.is_empty()
            && self.connectedip.is_empty()
            && self.listeningport.is_empty())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NetstatParameters {
    localmac: Vec<String>,
    neighbormac: Vec<String>,
    localip: Vec<String>,
    neighborip: Vec<String>,
    connectedip: Vec<String>,
    listeningport: Vec<String>,
    namespaces: bool,
}

pub(crate) fn read(parameters: &RawValue) -> Result<NetstatSearch, NetstatParameterError> {
    let parameters: NetstatParameters = parameters::read(parameters)?;
    Ok(NetstatSearch {
        localmac: terms(parameters.localmac, mac)?,
        neighbormac: terms(parameters.neighbormac, mac)?,
        localip: terms(parameters.localip, range)?,
        neighborip: terms(parameters.neighborip, range)?,
        connectedip: terms(parameters.connectedip, range)?,
        listeningport: terms(parameters.listeningport, port)?,
        namespaces: parameters.namespaces,
    })
}

fn terms<T>(
    texts: Vec<String>,
    read: impl Fn(&str) -> Result<T, NetstatParameterError>,
) -> Result<Vec<SearchTerm<T>>, NetstatParameterError> {
    let term = |text: String| Ok(SearchTerm { value: read(&text)?, text });
    texts.into_iter().map(term).collect()
}

/// Compiles a pattern for hardware addresses, which match in any case. The pattern is first
/// compiled as written, so that an error shows it unchanged.
fn mac(pattern: &str) -> Result<Regexp, NetstatParameterError> {
    Regexp::new(pattern)?;
    Ok(Regexp::new(&format!("(?i){pattern}"))?)
}

fn range(text: &str) -> Result<AddressRange, NetstatParameterError> {
    AddressRange::parse(text).ok_or_else(|| NetstatParameterError::Address(text.to_owned()))
}

/// Reads a port as Go's `Atoi` does: a sign and leading zeros are allowed.
fn port(text: &str) -> Result<u16, NetstatParameterError> {
    let port: Option<i64> = text.parse().ok();
    let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
    port.ok_or_else(|| NetstatParameterError::Port(text.to_owned()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests read their data")]

    use serde_json::Value;

    use super::*;

    #[test]
    fn ports_are_numbers_as_in_go() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/modules/go-forms.json");
        let forms: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for vector in forms["atoi"].as_array().unwrap() {
            let text = vector["text"].as_str().unwrap();
            let expected = vector["value"].as_i64().filter(|value| (1..=65535).contains(value));
            assert_eq!(port(text).ok().map(i64::from), expected, "{text}");
        }
        assert!(port("0").is_err());
        assert_eq!(port("65535").unwrap(), 65535);
    }
}
