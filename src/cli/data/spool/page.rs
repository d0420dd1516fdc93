//! The page that `spool` shows to people, at most 80 columns wide where words allow it.

use super::look::{Owner, Report};
use crate::cli::output::Style;
use crate::cli::text::{duration, wrapped};

/// How many stuck entries are listed.
const STUCK_MAX: usize = 20;

/// Returns the lines of the page.
pub(super) fn lines(report: &Report) -> Vec<(Style, String)> {
    let mut lines: Vec<(Style, String)> = Vec::new();
    let mut add = |style, texts: Vec<String>| {
        lines.extend(texts.into_iter().map(|text| (style, text)));
    };
    add(Style::Plain, wrapped(&head(report), "", "  "));
    add(Style::Plain, vec![String::new()]);
    for listing in &report.folders {
        let oldest = match (&listing.oldest, listing.age_s) {
            (Some(name), Some(age)) => format!("  {:>6} old: {name}", duration(age)),
            _ => String::new(),
        };
        add(Style::Plain, vec![format!("  {:<16} {:>6}{oldest}", listing.folder, listing.entries)]);
    }
    if report.stuck.is_empty() {
        return lines;
    }
    add(Style::Plain, vec![String::new()]);
    add(Style::Alarm, vec!["Stuck".to_owned()]);
    for stuck in report.stuck.iter().take(STUCK_MAX) {
        add(Style::Plain, vec![format!("  {}  {}", stuck.folder, stuck.name)]);
        add(Style::Plain, wrapped(&stuck.why, "      ", "      "));
        // Never wrapped: it is there to be copied.
        add(Style::Plain, stuck.command.iter().map(|command| format!("      {command}")).collect());
    }
    let more = report.stuck.len().saturating_sub(STUCK_MAX);
    if more > 0 {
        add(Style::Plain, vec![format!("  and {more} more")]);
    }
    if report.more > 0 {
        add(Style::Plain, vec![format!("  ({} more files were not looked into)", report.more)]);
    }
    lines
}

fn head(report: &Report) -> String {
    let spool = report.spool.display();
    match (report.of, report.process) {
        (Owner::MigStandalone, Some(process)) => {
            format!("A mig-standalone works in {spool} (process {process}).")
        }
        (Owner::MigStandalone, None) => {
            format!("The spool of a mig-standalone, which does not run: {spool}")
        }
        (Owner::MigScheduler, _) => format!("The spool of a scheduler: {spool}"),
    }
}
