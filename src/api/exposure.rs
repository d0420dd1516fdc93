//! What others on the network can do with the requests to an API: warnings for the operator.

use std::fmt;

use reqwest::Url;

use super::proxy::is_this_host;
use super::settings::Certificates;

/// Why the traffic with an API is exposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exposure {
    /// The API is on another host, and the traffic is not encrypted.
    ClearText,
    /// The traffic is encrypted, possibly for an attacker.
    UncheckedCertificates,
}

impl Exposure {
    /// Returns the exposure of the traffic with the API at `url`, if there is one.
    pub(super) fn of(url: &Url, certificates: &Certificates) -> Option<Exposure> {
        match (url.scheme(), certificates) {
            ("http", _) if is_this_host(url) => None,
            ("http", _) => Some(Exposure::ClearText),
            (_, Certificates::Unchecked) => Some(Exposure::UncheckedCertificates),
            (_, Certificates::System | Certificates::With(_)) => None,
        }
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Exposure::ClearText => {
                "requests are not encrypted (http://): anyone on the network path can read the \
                 results, copy the API key or token, and change the traffic; use https://"
            }
            Exposure::UncheckedCertificates => {
                "certificates are not checked (skipverifycert): anyone on the network path can \
                 read and change the traffic"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clear_text_to_another_host_and_unchecked_certificates_expose_the_traffic() {
        let (system, unchecked) = (Certificates::System, Certificates::Unchecked);
        for (url, certificates, expected) in [
            ("https://mig.example.net/", &system, None),
            ("https://mig.example.net/", &unchecked, Some(Exposure::UncheckedCertificates)),
            ("https://127.0.0.1/", &unchecked, Some(Exposure::UncheckedCertificates)),
            ("http://mig.example.net/", &system, Some(Exposure::ClearText)),
            ("HTTP://mig.example.net/", &unchecked, Some(Exposure::ClearText)),
            ("http://10.0.0.1:1664/", &system, Some(Exposure::ClearText)),
            ("http://localhost:1664/", &unchecked, None),
            ("http://127.0.0.9/", &system, None),
            ("http://[::1]:1664/", &system, None),
        ] {
            let found = Exposure::of(&Url::parse(url).unwrap(), certificates);
            assert_eq!(found, expected, "{url}");
        }
    }
}
