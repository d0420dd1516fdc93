//! An HTTP request as the API's functions take it, and the parameters in its query or form.

use std::net::IpAddr;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    Whole(Vec<u8>),
    /// Longer than the route allows.
    TooLarge,
}

/// The head of a request.
#[derive(Debug, Clone)]
pub(crate) struct ApiRequest {
    /// `GET`, `POST` and so on.
    pub(crate) method: String,
    /// The path, as received.
    pub(crate) path: String,
    /// The part after the `?`, as received.
    pub(crate) query: Option<String>,
    /// Names, in lower case, and values.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) peer: IpAddr,
    /// The address of this host to which the client has connected.
    pub(crate) local: IpAddr,
}

impl ApiRequest {
    /// Returns the first header with this name, trimmed.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(known, _)| known == name).map(|(_, value)| value.trim())
    }

    /// Returns path and query, as received.
    pub(super) fn uri(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// Returns the parameters of the query; invalid ones are left out.
    pub(super) fn parameters(&self) -> Parameters {
        Parameters::parse(self.query.as_deref().unwrap_or_default()).0
    }
}

/// Names and values of a query or a form, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

/// Why a form is invalid; the text is the original's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid URL escape {0:?}")]
pub(super) struct EscapeError(String);

impl Parameters {
    /// Parses a query or a form; returns the valid parameters and the first error.
    pub(super) fn parse(text: &str) -> (Parameters, Option<EscapeError>) {
        let (mut pairs, mut fault) = (Vec::new(), None);
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match unescape(name).and_then(|name| Ok((name, unescape(value)?))) {
                Ok(pair) => pairs.push(pair),
                Err(error) => fault = fault.or(Some(error)),
            }
        }
        (Parameters(pairs), fault)
    }

    /// Returns the first value with this name.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Decodes a part of a form: `+` is a space, `%41` is `A`.
fn unescape(text: &str) -> Result<String, EscapeError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (digits, after) = after.split_at(after.len().min(2));
                let number = std::str::from_utf8(digits).ok().and_then(hexadecimal);
                let number = number
                    .ok_or_else(|| EscapeError(format!("%{}", String::from_utf8_lossy(digits))))?;
                bytes.push(number);
                rest = after;
            }
            byte => bytes.push(byte),
        }
    }
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn hexadecimal(digits: &str) -> Option<u8> {
    // Parsing alone would accept a sign.
    let is_number = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_number.then(|| u8::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_parsed_as_a_form() {
        let (parameters, fault) = Parameters::parse("a=1+2&b=%C3%A9%2B&&c&a=3");
        assert_eq!(fault, None);
        assert_eq!(parameters.first("a"), Some("1 2"));
        assert_eq!(parameters.first("b"), Some("é+"));
        assert_eq!(parameters.first("c"), Some(""));
        assert_eq!(parameters.first("d"), None);
    }

    #[test]
    fn invalid_escape_is_reported_and_other_parameters_are_kept() {
        for (text, escape) in [("x=%zz&a=1", "%zz"), ("a=1&x=%4", "%4"), ("a=1&x=%+1", "%+1")] {
            let (parameters, fault) = Parameters::parse(text);
            assert_eq!(fault.unwrap().to_string(), format!("invalid URL escape \"{escape}\""));
            assert_eq!(parameters.first("a"), Some("1"));
        }
    }
}
