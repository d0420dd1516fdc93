//! The page that `status` shows to people, at most 80 columns wide where words allow it.

use super::job::{JobReport, Last};
use super::report::Report;
use crate::chain::excerpt;
use crate::cli::outcome;
use crate::cli::output::Style;

/// How wide the page is.
const COLUMNS: usize = 80;
/// How many waiting entries are listed.
const WAITING_MAX: usize = 20;
/// How much of a reason is shown, in bytes.
const WHY_BYTES_MAX: usize = 400;

/// The page, line by line.
#[derive(Debug, Default)]
struct Page(Vec<(Style, String)>);

/// Returns the lines of the page.
pub(super) fn lines(report: &Report) -> Vec<(Style, String)> {
    let mut page = Page::default();
    page.head(report);
    if !report.attention.is_empty() {
        page.section(Style::Alarm, "Needs a person");
        for text in &report.attention {
            page.add(wrapped(text, "  ", "    "));
        }
    }
    page.section(Style::Title, "Jobs");
    for job in &report.jobs {
        page.add(job_lines(job));
    }
    if report.jobs.is_empty() {
        page.add(["  none".to_owned()]);
    }
    page.section(Style::Title, "Spool");
    for folder in &report.spool {
        let oldest = match (&folder.oldest, folder.age_s) {
            (Some(run), Some(age)) => format!("  {:>6} old: {run}", span(age)),
            _ => String::new(),
        };
        page.add([format!("  {:<16} {:>6}{oldest}", folder.folder.path(), folder.entries)]);
    }
    if !report.waiting.is_empty() {
        page.section(Style::Title, "Not over");
        for entry in report.waiting.iter().take(WAITING_MAX) {
            page.add([format!("  {}  {}", entry.folder, entry.name)]);
            page.add(wrapped(&excerpt(&entry.why, WHY_BYTES_MAX), "      ", "      "));
        }
        let more = report.more + report.waiting.len().saturating_sub(WAITING_MAX);
        if more > 0 {
            page.add([format!("  and {more} more")]);
        }
    }
    page.0
}

impl Page {
    fn add(&mut self, lines: impl IntoIterator<Item = String>) {
        self.0.extend(lines.into_iter().map(|line| (Style::Plain, line)));
    }

    fn section(&mut self, style: Style, title: &str) {
        self.0.extend([(Style::Plain, String::new()), (style, title.to_owned())]);
    }

    fn head(&mut self, report: &Report) {
        let text = match (report.process, report.since) {
            (Some(process), Some(since)) => {
                format!("A runner works in {} since {since} (process {process}).", report.directory)
            }
            (Some(process), None) => {
                format!("A runner works in {} (process {process}).", report.directory)
            }
            (None, _) => format!("No runner works in {}.", report.directory),
        };
        self.add(wrapped(&text, "", "  "));
        if report.config_changed {
            let text = format!(
                "{} was changed since: the runner goes on with what it was until it is restarted.",
                report.config
            );
            self.0.extend(wrapped(&text, "", "  ").into_iter().map(|line| (Style::Alarm, line)));
        }
    }
}

fn job_lines(job: &JobReport) -> Vec<String> {
    let paused = if job.paused { ", paused" } else { "" };
    let next = job.next.as_deref().map_or("finished".to_owned(), |next| format!("next {next}"));
    let mut lines =
        vec![format!("  {}  ({}){paused}", job.name, job.schedule), format!("      {next}")];
    if let Some(last) = &job.last {
        lines.extend(last_lines(last));
    }
    lines
}

fn last_lines(last: &Last) -> Vec<String> {
    let took = last.took_s.map_or(String::new(), |took| format!(" in {}", span(took)));
    let mut lines = vec![format!("      last {}: {}{took}", last.slot, last.outcome)];
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

/// Returns a span in its two largest units.
fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, _, _) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
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
    fn spans_have_two_units() {
        for (seconds, text) in [(0, "0s"), (75, "1m15s"), (3700, "1h1m"), (90_000, "1d1h")] {
            assert_eq!(span(seconds), text);
        }
    }

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
