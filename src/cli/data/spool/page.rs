//! The text output of `spool`, at most 80 columns wide unless a single word is longer.

use super::report::{SpoolOwner, SpoolReport};
use crate::cli::output::Style;
use crate::cli::text::{duration, wrapped};

/// Maximum number of stuck files that are listed.
const STUCK_MAX: usize = 20;

pub(super) fn lines(report: &SpoolReport) -> Vec<(Style, String)> {
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
    if !report.unreadable.is_empty() {
        add(Style::Plain, vec![String::new()]);
        add(Style::Alarm, vec!["Unreadable".to_owned()]);
        for fault in &report.unreadable {
            add(Style::Plain, wrapped(fault, "  ", "      "));
        }
    }
    if report.stuck.is_empty() {
        return lines;
    }
    add(Style::Plain, vec![String::new()]);
    add(Style::Alarm, vec!["Stuck".to_owned()]);
    for stuck in report.stuck.iter().take(STUCK_MAX) {
        add(Style::Plain, vec![format!("  {}  {}", stuck.folder, stuck.name)]);
        add(Style::Plain, wrapped(&stuck.why, "      ", "      "));
        // Not wrapped, so that it can be copied.
        add(Style::Plain, stuck.command.iter().map(|command| format!("      {command}")).collect());
    }
    let more = report.stuck.len().saturating_sub(STUCK_MAX);
    if more > 0 {
        add(Style::Plain, vec![format!("  and {more} more")]);
    }
    if report.more > 0 {
        add(Style::Plain, vec![format!("  ({} more files were not checked)", report.more)]);
    }
    lines
}

fn head(report: &SpoolReport) -> String {
    let spool = report.spool.display();
    match (report.of, report.process) {
        (SpoolOwner::MigStandalone, Some(process)) => {
            format!("Spool of mig-standalone (process {process}): {spool}")
        }
        (SpoolOwner::MigStandalone, None) => {
            format!("Spool of mig-standalone (not running): {spool}")
        }
        (SpoolOwner::MigScheduler, _) => format!("Spool of a scheduler: {spool}"),
        (SpoolOwner::Unknown, _) => format!("Spool of an unknown program: {spool}"),
    }
}
