//! Why a call failed, in the words of the original: those of the system, in lower case.

use std::io;

/// Returns the reason of `error`, without its number.
pub(crate) fn reason(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return "unexpected EOF".to_owned();
    }
    let text = error.to_string();
    let text = match error.raw_os_error() {
        Some(number) => text.strip_suffix(&format!(" (os error {number})")).unwrap_or(&text),
        None => &text,
    };
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_those_of_the_system_in_lower_case() {
        assert_eq!(reason(&io::Error::from_raw_os_error(13)), "permission denied");
        assert_eq!(reason(&io::Error::from_raw_os_error(6)), "no such device or address");
        assert_eq!(reason(&io::Error::from(io::ErrorKind::UnexpectedEof)), "unexpected EOF");
        assert_eq!(reason(&io::Error::other("is a named pipe")), "is a named pipe");
    }
}
