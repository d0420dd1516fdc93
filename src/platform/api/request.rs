//! A request as the functions that answer it see it, and the text forms in it.

use std::net::IpAddr;

/// The most that a body may hold; a longer one is not read.
pub(crate) const BODY_BYTES_MAX: usize = 10 << 20;

/// What came with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    Whole(Vec<u8>),
    /// More than [`BODY_BYTES_MAX`].
    TooLarge,
}

#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// `GET`, `POST` and so on.
    pub(crate) method: String,
    /// The path, as it was sent.
    pub(crate) path: String,
    /// What follows the `?`, as it was sent.
    pub(crate) query: Option<String>,
    /// The headers; the names are in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) peer: IpAddr,
    /// What came with it.
    pub(crate) body: Body,
}

impl Request {
    /// Returns the first header of this name, without blanks around it.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(known, _)| known == name).map(|(_, value)| value.trim())
    }

    /// Returns path and query as they were sent.
    pub(super) fn uri(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// Returns the parameters of the query; those that cannot be read are left out.
    pub(super) fn parameters(&self) -> Parameters {
        Parameters::parse(self.query.as_deref().unwrap_or_default()).0
    }
}

/// Names and values of a query or a form, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

/// A form that cannot be read; the text is the original's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid URL escape {0:?}")]
pub(super) struct EscapeError(String);

impl Parameters {
    /// Reads a query or a form; what is wrong with it is told beside what could be read.
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

    /// Returns the first value of this name.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Returns a part of a form as text: `+` is a blank, `%41` is `A`.
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
    // A sign would be read too.
    let is_number = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_number.then(|| u8::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_as_a_form() {
        let (parameters, fault) = Parameters::parse("a=1+2&b=%C3%A9%2B&&c&a=3");
        assert_eq!(fault, None);
        assert_eq!(parameters.first("a"), Some("1 2"));
        assert_eq!(parameters.first("b"), Some("é+"));
        assert_eq!(parameters.first("c"), Some(""));
        assert_eq!(parameters.first("d"), None);
    }

    #[test]
    fn a_bad_escape_is_told_and_spoils_nothing_else() {
        for (text, told) in [("x=%zz&a=1", "%zz"), ("a=1&x=%4", "%4"), ("a=1&x=%+1", "%+1")] {
            let (parameters, fault) = Parameters::parse(text);
            assert_eq!(fault.unwrap().to_string(), format!("invalid URL escape \"{told}\""));
            assert_eq!(parameters.first("a"), Some("1"));
        }
    }
}
