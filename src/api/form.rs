//! Forms and queries, encoded as by Go's `url.QueryEscape`.
//!
//! Letters, digits and `-_.~` are literal, a blank is `+`, and every other byte is `%` and two
//! upper-case digits. The form encoding of the URL standard, which HTTP libraries use, differs in
//! `~` and `*`.

/// Size limit, in bytes, of a form that the API accepts.
pub(crate) const FORM_BYTES_MAX: usize = 10 << 20;
/// The only field of the form that posts an action.
const ACTION_FIELD: &str = "action";

/// Returns the form that posts an action.
pub(super) fn action_form(action_json: &str) -> String {
    encode(&[(ACTION_FIELD, action_json)])
}

/// Returns the size, in bytes, of the form that posts an action; see [`FORM_BYTES_MAX`].
pub(crate) fn form_bytes(action_json: &str) -> usize {
    let escaped = action_json.bytes().filter(|&byte| !is_literal(byte) && byte != b' ').count();
    ACTION_FIELD.len() + 1 + action_json.len() + 2 * escaped
}

pub(super) fn encode(pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        escape_into(&mut text, name);
        text.push('=');
        escape_into(&mut text, value);
    }
    text
}

fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
}

fn escape_into(text: &mut String, value: &str) {
    text.reserve(value.len());
    for byte in value.bytes() {
        match byte {
            b' ' => text.push('+'),
            byte if is_literal(byte) => text.push(char::from(byte)),
            byte => {
                text.push('%');
                text.push(digit(byte >> 4));
                text.push(digit(byte & 0xf));
            }
        }
    }
}

/// Returns the upper-case hexadecimal digit of a number below 16.
fn digit(value: u8) -> char {
    char::from(if value < 10 { b'0' + value } else { b'A' + value - 10 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_encoded_as_by_go() {
        // The output of Go's url.QueryEscape.
        assert_eq!(
            encode(&[("a", "a b~*-_.!'()é\n\"\\%+/")]),
            "a=a+b~%2A-_.%21%27%28%29%C3%A9%0A%22%5C%25%2B%2F"
        );
        assert_eq!(encode(&[("type", "command"), ("limit", "37")]), "type=command&limit=37");
        assert_eq!(encode(&[]), "");
    }

    #[test]
    fn form_bytes_equals_the_encoded_length() {
        for json in ["", "{}", "{\"name\": \"a b ü\"}"] {
            assert_eq!(form_bytes(json), action_form(json).len());
        }
    }
}
