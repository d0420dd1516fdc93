//! Secrets that leave no copy in memory.

use std::fmt;

use zeroize::Zeroizing;

/// A text that is wiped when it is dropped and that logs cannot show.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    /// Returns the text. Callers must neither show nor store it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Adds a character. When the buffer grows, the old one is wiped.
    pub(super) fn push(&mut self, c: char) {
        if self.0.capacity() - self.0.len() < c.len_utf8() {
            let mut larger = Zeroizing::new(String::with_capacity(2 * self.0.capacity() + 64));
            larger.push_str(&self.0);
            self.0 = larger;
        }
        self.0.push(c);
    }

    /// Truncates the text to `bytes`.
    pub(super) fn truncate(&mut self, bytes: usize) {
        self.0.truncate(bytes);
    }

    pub(crate) fn duplicate(&self) -> Secret {
        Secret(self.0.clone())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(Zeroizing::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_not_shown() {
        let secret = Secret::from("hunter2".to_owned());
        assert_eq!(
            format!("{secret:?} {:#?}", Some(&secret)),
            "[redacted] Some(\n    [redacted],\n)"
        );
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn secret_grows_and_is_truncated() {
        let mut secret = Secret::default();
        let text = "pässphrase ".repeat(40);
        text.chars().for_each(|c| secret.push(c));
        assert_eq!(secret.expose(), text);
        secret.truncate(3);
        assert_eq!(secret.expose(), "pä");
    }
}
