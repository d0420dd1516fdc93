//! The text exposition format of Prometheus: the purpose, type and samples of each metric.

use std::fmt::Display;

/// A text in that format, under construction.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

impl Exposition {
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

/// Escapes the value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        let mut text = Exposition::default();
        text.metric("m_total", "counter", "Things.");
        text.sample("m_total", &[("job", "a\"b\\c"), ("x", "")], 1.5);
        text.sample("m_total", &[], 0);
        let expected = "# HELP m_total Things.\n# TYPE m_total counter\nm_total{job=\"a\\\"b\\\\c\",x=\"\"} 1.5\nm_total 0\n";
        assert_eq!(text.finish(), expected);
    }
}
