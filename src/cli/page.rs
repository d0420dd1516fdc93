//! The page that `status` shows to people, at most 80 columns wide where words allow it.

use super::outcome;
use super::status::{JobReport, Report};
use crate::chain::excerpt;

/// How wide the page is.
const COLUMNS: usize = 80;
/// How many waiting entries are listed.
const WAITING_MAX: usize = 20;
/// How much of a reason is shown, in bytes.
const WHY_BYTES_MAX: usize = 400;

/// Returns the lines of the page.
pub(super) fn lines(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    lines.push(match report.process {
        Some(process) => format!("A runner works in {} (process {process}).", report.directory),
        None => format!("No runner works in {}.", report.directory),
    });
    if !report.attention.is_empty() {
        section(&mut lines, "Needs a person");
        for text in &report.attention {
            lines.extend(wrapped(text, "  ", "    "));
        }
    }
    section(&mut lines, "Jobs");
    for job in &report.jobs {
        lines.extend(job_lines(job));
    }
    if report.jobs.is_empty() {
        lines.push("  none".to_owned());
    }
    section(&mut lines, "Spool");
    for folder in &report.spool {
        let oldest = folder.oldest.as_ref().map_or(String::new(), |run| format!("  oldest {run}"));
        lines.push(format!("  {:<16} {:>6}{oldest}", folder.folder.path(), folder.entries));
    }
    if !report.waiting.is_empty() {
        section(&mut lines, "Not over");
        for entry in report.waiting.iter().take(WAITING_MAX) {
            lines.push(format!("  {}  {}", entry.folder, entry.name));
            lines.extend(wrapped(&excerpt(&entry.why, WHY_BYTES_MAX), "      ", "      "));
        }
        let more = report.more + report.waiting.len().saturating_sub(WAITING_MAX);
        if more > 0 {
            lines.push(format!("  and {more} more"));
        }
    }
    lines
}

fn section(lines: &mut Vec<String>, title: &str) {
    lines.extend([String::new(), title.to_owned()]);
}

fn job_lines(job: &JobReport) -> Vec<String> {
    let paused = if job.paused { ", paused" } else { "" };
    let next = job.next.as_deref().map_or("finished".to_owned(), |next| format!("next {next}"));
    let mut lines =
        vec![format!("  {}  ({}){paused}", job.name, job.schedule), format!("      {next}")];
    let Some(last) = &job.last else { return lines };
    lines.push(format!("      last {}, in {}", last.slot, last.folder));
    if let Some(summary) = &last.summary {
        lines.push(format!("        {}", outcome::counts(summary)));
    }
    for delivery in &last.plugins {
        let word = outcome::word(delivery.state);
        lines.push(format!("        plugin {}: {word}", delivery.plugin));
    }
    if let Some(error) = &last.error {
        lines.extend(wrapped(&excerpt(error, WHY_BYTES_MAX), "        ", "        "));
    }
    lines
}

/// Breaks a text between words; the first line begins with `first`, the others with `rest`.
fn wrapped(text: &str, first: &str, rest: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in text.split_whitespace() {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > COLUMNS {
            lines.push(std::mem::replace(&mut line, rest.to_owned()));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    if !is_empty {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words() {
        let text = "word ".repeat(40);
        let lines = wrapped(&text, "  ", "    ");
        assert!(lines.iter().all(|line| line.len() <= COLUMNS), "{lines:?}");
        assert_eq!(lines.concat().split_whitespace().count(), 40);
        assert!(lines[0].starts_with("  w") && lines[1].starts_with("    w"));
        let long = "x".repeat(100);
        assert_eq!(wrapped(&long, "  ", "  "), [format!("  {long}")]);
        assert_eq!(wrapped("", "  ", "  "), [""; 0]);
    }
}
