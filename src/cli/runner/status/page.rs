//! The status as text, at most 80 columns wide where words allow it.

use super::attempts::describe;
use super::job::{JobReport, LastRun};
use super::report::Report;
use super::superseded;
use crate::chain::excerpt;
use crate::cli::output::Style;
use crate::cli::runner::outcome;
use crate::cli::text::{duration, wrapped};

/// Maximum number of unfinished entries that are listed.
const WAITING_MAX: usize = 20;
/// Length limit of a reason, in bytes.
const WHY_BYTES_MAX: usize = 400;

#[derive(Debug, Default)]
struct Page(Vec<(Style, String)>);

pub(super) fn lines(report: &Report) -> Vec<(Style, String)> {
    let mut page = Page::default();
    page.head(report);
    if !report.attention.is_empty() {
        page.section(Style::Alarm, "Needs attention");
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
            (Some(run), Some(age)) => format!("  oldest {:>6}  {run}", duration(age)),
            _ => String::new(),
        };
        page.add([format!("  {:<16} {:>6}{oldest}", folder.folder.path(), folder.entries)]);
    }
    if let Some(text) = superseded::line(report.superseded) {
        page.add(wrapped(&text, "  ", "    "));
    }
    page.unfinished(report);
    page.0
}

impl Page {
    fn add(&mut self, lines: impl IntoIterator<Item = String>) {
        self.0.extend(lines.into_iter().map(|line| (Style::Plain, line)));
    }

    fn section(&mut self, style: Style, title: &str) {
        self.0.extend([(Style::Plain, String::new()), (style, title.to_owned())]);
    }

    fn unfinished(&mut self, report: &Report) {
        let api = report.api.map(|retry| {
            format!("API or signing key unavailable: {}", describe(retry, report.now))
        });
        let unknown = report.attempts_unknown.as_ref().map(|why| {
            let why = excerpt(why, WHY_BYTES_MAX);
            format!("retry times unknown: {why}")
        });
        if report.waiting.is_empty() && api.is_none() && unknown.is_none() {
            return;
        }
        self.section(Style::Title, "Unfinished");
        for text in [api, unknown].into_iter().flatten() {
            self.add(wrapped(&text, "  ", "    "));
        }
        for entry in report.waiting.iter().take(WAITING_MAX) {
            self.add([format!("  {}  {}", entry.folder, entry.name)]);
            let why = excerpt(&entry.why, WHY_BYTES_MAX).into_owned();
            let attempts = entry.attempts.description(report.now);
            let texts: Vec<String> =
                [why].into_iter().chain(attempts).filter(|text| !text.is_empty()).collect();
            self.add(wrapped(&texts.join("; "), "      ", "      "));
        }
        let more = report.more + report.waiting.len().saturating_sub(WAITING_MAX);
        if more > 0 {
            self.add([format!("  and {more} more")]);
        }
    }

    fn head(&mut self, report: &Report) {
        let text = match (report.process, report.since) {
            (Some(process), Some(since)) => {
                format!(
                    "A runner has been running in {} since {since} (process {process}).",
                    report.directory
                )
            }
            (Some(process), None) => {
                format!("A runner is running in {} (process {process}).", report.directory)
            }
            (None, _) => format!("No runner is running in {}.", report.directory),
        };
        self.add(wrapped(&text, "", "  "));
        let waits = report.waiting.iter().any(|entry| entry.folder.is_active());
        if report.process.is_none() && waits {
            self.add(["Unfinished runs continue when it is started.".to_owned()]);
        }
        if report.config_changed {
            let text = format!(
                "{} has changed since then: restart the runner to apply it.",
                report.config
            );
            self.0.extend(wrapped(&text, "", "  ").into_iter().map(|line| (Style::Alarm, line)));
        }
    }
}

fn job_lines(job: &JobReport) -> Vec<String> {
    let paused = if job.paused { ", paused" } else { "" };
    let next =
        job.next.as_deref().map_or("schedule has ended".to_owned(), |next| format!("next {next}"));
    let mut lines =
        vec![format!("  {}  ({}){paused}", job.name, job.schedule), format!("      {next}")];
    if let Some(last) = &job.last {
        lines.extend(last_lines(last));
    }
    if job.superseded > 0 {
        lines.push(format!("      superseded, not sent: {}", job.superseded));
    }
    lines
}

fn last_lines(last: &LastRun) -> Vec<String> {
    let took = last.took_s.map_or(String::new(), |took| format!(" in {}", duration(took)));
    let mut lines = vec![format!("      last {}: {}{took}", last.slot, last.outcome)];
    if let Some(summary) = &last.summary {
        lines.push(format!("        {}", outcome::counts(summary)));
    }
    for delivery in &last.plugins {
        let word = outcome::delivery_word(delivery.state);
        lines.push(format!("        plugin {}: {word}", delivery.plugin));
    }
    if let Some(error) = &last.error {
        lines.extend(wrapped(&excerpt(error, WHY_BYTES_MAX), "        ", "        "));
    }
    lines
}
