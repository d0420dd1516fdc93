//! Detects a `#` that starts a comment but may have been meant as part of the value.

/// Returns the comment in the value that starts on `line` (from 1) of `text`, if its `#` directly
/// follows a letter or digit outside quotes, as in `schedule = 0 9 * * FRI#3`.
pub(crate) fn hidden_by_hash(text: &str, line: u32) -> Option<&str> {
    let line = usize::try_from(line).ok()?.checked_sub(1)?;
    for line in text.split('\n').skip(line) {
        let (mut is_quoted, mut last) = (false, ' ');
        let mut characters = line.char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                '"' => is_quoted = !is_quoted,
                '\\' if is_quoted => {
                    characters.next();
                }
                ';' if !is_quoted => return None,
                '#' if !is_quoted => {
                    return line.get(at..).filter(|_| last.is_alphanumeric()).map(str::trim_end);
                }
                _ => {}
            }
            last = c;
        }
        // A trailing backslash continues the value on the next line.
        if !line.trim_end_matches('\r').ends_with('\\') {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unquoted_hash_after_a_word_is_suspicious() {
        for (line, hidden) in [
            ("schedule = 0 9 * * FRI#3", Some("#3")),
            ("schedule = 0 9 * * 5#3 2027\r", Some("#3 2027")),
            ("schedule = \"0 9\" * * 5#3", Some("#3")),
            ("schedule = 0 9 \\\n * * 5#3", Some("#3")),
            ("schedule = \"0 9 * * 5#3\"", None),
            ("schedule = \"0 9 * * 5\" # 3", None),
            ("schedule = \"0 9 * * 5\"#3", None),
            ("schedule = 0 9 * * 5 #3", None),
            ("schedule = 0 9 * * 5 ; was 5#3", None),
            ("schedule = 0 9 * * *\nplugin = a#3", None),
            ("schedule = \"a\\\"b#3\"", None),
        ] {
            assert_eq!(hidden_by_hash(line, 1), hidden, "{line}");
        }
        assert_eq!(hidden_by_hash("[c]\nschedule = 5#3", 2), Some("#3"));
        assert_eq!(hidden_by_hash("x#3", 0), None);
        assert_eq!(hidden_by_hash("x", 9), None);
    }
}
