//! The end of a plugin's output.

use std::collections::VecDeque;

/// The last bytes of a stream of any length.
#[derive(Debug)]
pub(super) struct Tail {
    bytes: VecDeque<u8>,
    bytes_max: usize,
    cut: bool,
    /// Number of line feeds in the whole stream.
    feeds: usize,
    /// Whether bytes follow the last line feed.
    is_open: bool,
}

impl Tail {
    /// Returns an empty tail that keeps `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize) -> Tail {
        Tail { bytes: VecDeque::new(), bytes_max, cut: false, feeds: 0, is_open: false }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let feeds = bytes.iter().filter(|byte| **byte == b'\n').count();
        self.feeds = self.feeds.saturating_add(feeds);
        self.is_open = bytes.last().map_or(self.is_open, |byte| *byte != b'\n');
        self.bytes.extend(bytes);
        let surplus = self.bytes.len().saturating_sub(self.bytes_max);
        self.cut |= surplus > 0;
        self.bytes.drain(..surplus);
    }

    /// Returns the number of lines in the whole stream.
    pub(super) fn lines(&self) -> usize {
        self.feeds.saturating_add(usize::from(self.is_open))
    }

    /// Returns the kept text without surrounding white space, after `…` if it is not the whole
    /// stream. Bytes that are not UTF-8, such as half a character, become `�`.
    pub(super) fn into_text(mut self) -> String {
        let text = String::from_utf8_lossy(self.bytes.make_contiguous());
        let text = text.trim();
        if self.cut { format!("…{text}") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_is_kept() {
        let mut tail = Tail::new(4);
        tail.push(b"ab");
        tail.push(b"cd");
        tail.push(b"");
        assert_eq!(tail.bytes, b"abcd");
        assert_eq!(tail.lines(), 1);
        tail.push(b"e\n");
        assert_eq!(tail.lines(), 1);
        tail.push(b"0123456789xyz\n");
        assert_eq!(tail.lines(), 2);
        assert_eq!(tail.into_text(), "…xyz");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        let mut tail = Tail::new(9);
        tail.push(b" a\xffb\n\n");
        assert_eq!(tail.into_text(), "a\u{fffd}b");
    }
}
