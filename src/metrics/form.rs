//! The text form of Prometheus: what a metric is for, of which type it is, its samples.

use std::fmt::Display;

/// A text in that form, while it grows.
#[derive(Debug, Default)]
pub(super) struct Form(String);

impl Form {
    pub(super) fn metric(&mut self, name: &str, kind: &str, help: &str) {
        self.0.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// Adds a sample with its labels.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        let labels: Vec<String> =
            labels.iter().map(|(key, text)| format!("{key}=\"{}\"", escaped(text))).collect();
        if !labels.is_empty() {
            self.0.push_str(&format!("{{{}}}", labels.join(",")));
        }
        self.0.push_str(&format!(" {value}\n"));
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Returns the value of a label as the form has it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_are_escaped() {
        let mut form = Form::default();
        form.metric("m_total", "counter", "Things.");
        form.sample("m_total", &[("job", "a\"b\\c"), ("x", "")], 1.5);
        form.sample("m_total", &[], 0);
        let expected = "# HELP m_total Things.\n# TYPE m_total counter\nm_total{job=\"a\\\"b\\\\c\",x=\"\"} 1.5\nm_total 0\n";
        assert_eq!(form.finish(), expected);
    }
}
