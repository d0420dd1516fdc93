//! A multipart form (RFC 7578), which a client uses to upload a key: names with values or files.

/// Maximum number of parts of a form.
const PARTS_MAX: usize = 64;

/// Why a form is invalid; the texts are the original's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum MultipartError {
    /// The request has another content type.
    #[error("request Content-Type isn't multipart/form-data")]
    Kind,
    /// The content type names no boundary.
    #[error("no multipart boundary param in Content-Type")]
    Boundary,
    /// The last part is incomplete.
    #[error("multipart: NextPart: EOF")]
    End,
    /// The form has too many parts.
    #[error("multipart: message too large")]
    Parts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part<'a> {
    name: &'a str,
    is_file: bool,
    content: &'a [u8],
}

/// The parts of a form, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Multipart<'a>(Vec<Part<'a>>);

impl<'a> Multipart<'a> {
    /// Parses a form with this content type.
    pub(super) fn parse(kind: &str, body: &'a [u8]) -> Result<Multipart<'a>, MultipartError> {
        let (kind, parameters) = kind.split_once(';').unwrap_or((kind, ""));
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return Err(MultipartError::Kind);
        }
        let boundary = parameter(parameters, "boundary").ok_or(MultipartError::Boundary)?;
        if boundary.is_empty() {
            return Err(MultipartError::Boundary);
        }
        let boundary = format!("--{boundary}");
        // Text before the first boundary does not belong to a part.
        let begin = find(body, boundary.as_bytes()).ok_or(MultipartError::End)?;
        let mut rest = body.get(begin + boundary.len()..).unwrap_or_default();
        let boundary = format!("\r\n{boundary}");
        let mut parts = Vec::new();
        while !rest.starts_with(b"--") {
            let end = find(rest, boundary.as_bytes()).ok_or(MultipartError::End)?;
            let (part, next) = rest.split_at(end);
            rest = next.get(boundary.len()..).unwrap_or_default();
            if parts.len() == PARTS_MAX {
                return Err(MultipartError::Parts);
            }
            parts.extend(read(part));
        }
        Ok(Multipart(parts))
    }

    /// Returns the value with this name; the empty text if there is none.
    pub(super) fn value(&self, name: &str) -> String {
        let part = self.0.iter().find(|part| part.name == name && !part.is_file);
        part.map(|part| String::from_utf8_lossy(part.content).into_owned()).unwrap_or_default()
    }

    /// Returns the content of the file with this name.
    pub(super) fn file(&self, name: &str) -> Option<&'a [u8]> {
        let part = self.0.iter().find(|part| part.name == name && part.is_file);
        part.map(|part| part.content)
    }
}

/// Parses a part: its headers, an empty line, its content. A part without a name is ignored.
fn read(part: &[u8]) -> Option<Part<'_>> {
    let end = find(part, b"\r\n\r\n")?;
    let (head, content) = (part.get(..end)?, part.get(end + 4..)?);
    let head = std::str::from_utf8(head).ok()?;
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let (kind, parameters) = disposition.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return None;
    }
    let name = parameter(parameters, "name")?;
    Some(Part { name, is_file: parameter(parameters, "filename").is_some(), content })
}

/// Returns a parameter of a header, without quotation marks.
fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    parameters.split(';').find_map(|parameter| {
        let (known, value) = parameter.split_once('=')?;
        known.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "multipart/form-data; boundary=x7";

    #[test]
    fn values_and_files_are_distinguished() {
        let body =
            b"before\r\n--x7\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nBob\r\n\
            --x7\r\ncontent-disposition: form-data; name=\"publickey\"; filename=\"k.asc\"\r\n\
            Content-Type: application/octet-stream\r\n\r\nline\r\n\r\n--x8\r\n--x7--\r\nafter";
        let form = Multipart::parse(KIND, body).unwrap();
        assert_eq!(form.value("name"), "Bob");
        assert_eq!(form.file("publickey"), Some(&b"line\r\n\r\n--x8"[..]));
        assert_eq!((form.value("publickey"), form.file("name")), (String::new(), None));
    }

    #[test]
    fn incomplete_form_is_rejected() {
        let parse = |kind, body| Multipart::parse(kind, body).unwrap_err();
        assert_eq!(parse("application/json", b""), MultipartError::Kind);
        assert_eq!(parse("multipart/form-data", b""), MultipartError::Boundary);
        assert_eq!(parse("multipart/form-data; boundary=", b""), MultipartError::Boundary);
        for body in ["", "--x7", "--x7\r\n\r\n\r\n", "--x7\r\na: b\r\n\r\nc\r\n--x"] {
            assert_eq!(parse(KIND, body.as_bytes()), MultipartError::End, "{body:?}");
        }
        let many = "--x7\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n".repeat(65);
        assert_eq!(parse(KIND, format!("{many}--x7--").as_bytes()), MultipartError::Parts);
    }
}
