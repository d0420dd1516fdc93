//! The results document, in the original's format, written from beginning to end.
//!
//! `{"action":…,"commands":[…],"name":JOB,"plugin":NAME}`. Commands are copied as the API sent
//! them, one per line. So an interrupted document can be continued after its last complete line,
//! and the document is never in memory as a whole.

use memchr::memchr2;

use crate::go::json;

/// Returns the document's first line; `action` is the JSON of the action as the API returned it.
pub(crate) fn head(action: &str) -> String {
    format!("{{\"action\":{action},\"commands\":[\n")
}

/// Appends the line of a command to `out`; `index` counts the document's commands from zero.
pub(crate) fn push_line(index: usize, command: &str, out: &mut String) {
    if index > 0 {
        out.push(',');
    }
    let command = command.trim();
    // The platform writes none.
    if memchr2(b'\n', b'\r', command.as_bytes()).is_some() {
        // Between JSON tokens a line break is white space, and within tokens it cannot occur.
        out.push_str(&command.replace(['\n', '\r'], " "));
    } else {
        out.push_str(command);
    }
    out.push('\n');
}

/// Returns the document's end; `plugin` is empty if the job has no plugin.
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
    fn head_lines_and_tail_form_one_document() {
        let mut lines = String::new();
        push_line(0, "{\"id\":1,\n \"x\":2}", &mut lines);
        push_line(1, "{\"id\":2,\r\"y\":[]}\n", &mut lines);
        let document = head("{\"id\":7}") + &lines + &tail("a&b", "");
        assert_eq!(
            document,
            "{\"action\":{\"id\":7},\"commands\":[\n{\"id\":1,  \"x\":2}\n,{\"id\":2, \"y\":[]}\n],\"name\":\"a\\u0026b\",\"plugin\":\"\"}"
        );
        assert!(serde_json::from_str::<serde_json::Value>(&document).is_ok());
        let empty = head("null") + &tail("j", "p");
        assert_eq!(empty, "{\"action\":null,\"commands\":[\n],\"name\":\"j\",\"plugin\":\"p\"}");
    }
}
