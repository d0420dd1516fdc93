//! The results document, in the original's form, written from its beginning to its end.
//!
//! `{"action":…,"commands":[…],"name":JOB,"plugin":NAME}`. Commands pass
//! through as the API sent them, one a line, so that a document that was cut
//! short can be continued at its last whole line and never is in memory whole.

use crate::go::json;

/// Returns the document's first line; `action` is the JSON of the action as the API returned it.
pub(crate) fn head(action: &str) -> String {
    format!("{{\"action\":{action},\"commands\":[\n")
}

/// Appends the line of a command to `out`; `index` counts the commands of the document from zero.
pub(crate) fn push_line(index: usize, command: &str, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
    // Between the tokens of JSON a line end is a blank, and within them there is none.
    let is_end = |byte| matches!(byte, b'\n' | b'\r');
    out.extend(command.trim().bytes().map(|byte| if is_end(byte) { b' ' } else { byte }));
    out.push(b'\n');
}

/// Returns the document's end; `plugin` is empty if the job has none.
pub(crate) fn tail(job: &str, plugin: &str) -> String {
    let mut tail = String::from("]");
    for (key, text) in [("name", job), ("plugin", plugin)] {
        json::append_key(key, &mut tail);
        json::append(&text.to_owned(), &mut tail);
    }
    tail.push('}');
    tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_lines_and_tail_are_one_document() {
        let mut lines = Vec::new();
        push_line(0, "{\"id\":1,\n \"x\":2}", &mut lines);
        push_line(1, "{\"id\":2}\n", &mut lines);
        let lines = String::from_utf8(lines).unwrap();
        let document = head("{\"id\":7}") + &lines + &tail("a&b", "");
        assert_eq!(
            document,
            "{\"action\":{\"id\":7},\"commands\":[\n{\"id\":1,  \"x\":2}\n,{\"id\":2}\n],\"name\":\"a\\u0026b\",\"plugin\":\"\"}"
        );
        assert!(serde_json::from_str::<serde_json::Value>(&document).is_ok());
        let empty = head("null") + &tail("j", "p");
        assert_eq!(empty, "{\"action\":null,\"commands\":[\n],\"name\":\"j\",\"plugin\":\"p\"}");
    }
}
