//! Protection against web pages: a browser on this host must not send requests for a page.
//!
//! A page of another site can make a browser send requests to the API. The browser then adds the
//! header `Origin`, which no client of the API sends. If the page's own name resolves to the address
//! of the API, the browser adds no `Origin` to some requests, but they name that host. So both are
//! checked. A request without a `Host` comes from no browser, and is accepted.

use std::net::IpAddr;

use super::ApiRequest;
use crate::chain::excerpt;
use crate::config::reader::Section;

/// Maximum size of an excerpt of a header in a response, in bytes.
const EXCERPT_BYTES_MAX: usize = 80;
/// The name that leads to this host everywhere.
const LOCALHOST: &str = "localhost";

/// A host as a request or the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum HostName {
    Address(IpAddr),
    /// In lower case, without the final dot.
    Name(String),
}

impl HostName {
    /// Parses a name or an address. An IPv6 address may have brackets.
    fn parse(text: &str) -> Option<HostName> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        if let Ok(address) = bare.unwrap_or(text).parse::<IpAddr>() {
            return Some(HostName::Address(address.to_canonical()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let is_name = name.split('.').all(|label| {
            let is_valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            !label.is_empty() && label.chars().all(is_valid)
        });
        is_name.then(|| HostName::Name(name.to_ascii_lowercase()))
    }

    /// Parses the value of a header: a host, and perhaps a port.
    fn of_header(text: &str) -> Option<HostName> {
        let text = text.trim();
        let is_port = |port: &str| port.bytes().all(|digit| digit.is_ascii_digit());
        match text.rsplit_once(':') {
            Some((host, port)) if is_port(port) && (!host.contains(':') || host.ends_with(']')) => {
                HostName::parse(host)
            }
            _ => HostName::parse(text),
        }
    }
}

/// Returns the host in the original's form of `host`: a URL, such as `http://localhost:1664`.
fn own_name(url: &str) -> &str {
    let Some((_, rest)) = url.split_once("://") else { return url };
    let host = rest.split('/').next().unwrap_or(rest);
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

/// Why a request may come from a web page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum HostRefusal {
    #[error(
        "requests with the header Origin are refused, because browsers add it for web pages: send the request without it"
    )]
    Origin,
    #[error(
        "host \"{0}\" is unknown: if clients use this name for the API, add it to `names` in the section [server] of standalone.cfg"
    )]
    Unknown(String),
}

/// The names, other than those of loopback, under which clients may address the API.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct HostNames(Vec<HostName>);

impl HostNames {
    /// Reads the section `[server]`; faults are reported to it.
    pub(crate) fn read(section: &mut Section<'_>) -> HostNames {
        let mut names = Vec::new();
        for (key, separator) in [("host", None), ("names", Some(','))] {
            let Some(found) = section.text(key) else { continue };
            let texts: Vec<&str> = match separator {
                Some(separator) => found.value.split(separator).map(str::trim).collect(),
                None => vec![own_name(&found.value)],
            };
            for text in texts {
                match HostName::parse(text) {
                    Some(name) => names.push(name),
                    None => {
                        let shown = excerpt(text, EXCERPT_BYTES_MAX);
                        let text = format!(
                            "{key}: \"{shown}\" is neither a host name nor an address: \
                             write {key} = mig.example.net"
                        );
                        section.fault(found.line, text);
                    }
                }
            }
        }
        HostNames(names)
    }

    /// Checks that a request does not come from a web page.
    pub(super) fn check(&self, request: &ApiRequest) -> Result<(), HostRefusal> {
        let values = |wanted: &'static str| {
            let named = request.headers.iter().filter(move |(name, _)| name == wanted);
            named.map(|(_, value)| value.as_str())
        };
        if values("origin").next().is_some() {
            return Err(HostRefusal::Origin);
        }
        let is_allowed = |host: &&str| {
            HostName::of_header(host).is_some_and(|host| self.allow(&host, request.local))
        };
        match values("host").find(|host| !is_allowed(host)) {
            None => Ok(()),
            Some(host) => Err(HostRefusal::Unknown(excerpt(host, EXCERPT_BYTES_MAX).into_owned())),
        }
    }

    /// Returns whether `host` is this host, a client of which has connected to `local`.
    fn allow(&self, host: &HostName, local: IpAddr) -> bool {
        let is_own = match host {
            HostName::Address(address) => address.is_loopback() || *address == local.to_canonical(),
            HostName::Name(name) => name == LOCALHOST,
        };
        is_own || self.0.contains(host)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::reader::Reader;

    fn read(text: &str) -> Result<HostNames, String> {
        let mut reader = Reader::new(format!("[server]\n{text}\n").as_bytes());
        let names = reader.section("server", HostNames::read);
        reader.finish(Path::new("f"), Some(names)).map_err(|error| error.to_string())
    }

    #[test]
    fn invalid_name_is_reported() {
        for bad in ["names = a,, b", "names = a b", "host = http://", "host = a/b"] {
            let error = read(bad).unwrap_err();
            assert!(error.contains("is neither a host name nor an address"), "{error}");
        }
        assert_eq!(read(""), Ok(HostNames::default()));
    }

    fn check(headers: &[(&str, &str)]) -> Result<(), HostRefusal> {
        let names = read("host = http://mig.example.net:1664/\nnames = 192.0.2.7, Other.").unwrap();
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        names.check(&ApiRequest {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            query: None,
            headers: headers.iter().map(text).collect(),
            peer: "198.51.100.1".parse().unwrap(),
            local: "198.51.100.9".parse().unwrap(),
        })
    }

    #[test]
    fn own_and_configured_hosts_are_accepted_with_any_port() {
        for host in [
            "127.0.0.1",
            "127.8.9.1:1664",
            "[::1]:80",
            "::1",
            "[::ffff:127.0.0.1]",
            "LocalHost:1",
            "localhost.",
            "198.51.100.9:1664",
            "mig.example.net",
            "mig.EXAMPLE.net:443",
            "other",
            "192.0.2.7",
        ] {
            assert_eq!(check(&[("host", host)]), Ok(()), "{host}");
        }
        assert_eq!(check(&[]), Ok(()));
    }

    #[test]
    fn other_hosts_are_refused_with_the_remedy() {
        for host in [
            "",
            "evil.example",
            "192.0.2.8",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "mig.example.net:80:80",
            "mig.example.net/x",
            "[::1",
            "0.0.0.0",
        ] {
            let refusal = check(&[("host", "localhost"), ("host", host)]).unwrap_err();
            assert!(
                refusal.to_string().contains("add it to `names` in the section [server]"),
                "{host}"
            );
        }
    }

    #[test]
    fn any_origin_is_refused() {
        for origin in ["null", "", "http://127.0.0.1:1664"] {
            let refused = check(&[("host", "127.0.0.1"), ("origin", origin)]);
            assert_eq!(refused, Err(HostRefusal::Origin), "{origin}");
        }
    }
}
