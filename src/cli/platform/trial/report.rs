//! Prints the report of a trial, shortened to a few screens.

use std::io::Read;
use std::path::Path;

use crate::cli::failure::Failure;
use crate::cli::output;
use crate::disk::{Context, Disk};

/// Size limit of a report, in bytes.
const REPORT_BYTES_MAX: u64 = 1024 * 1024;
/// Maximum number of lines that are shown.
const LINES_MAX: usize = 60;
/// Number of lines shown from the end of a shortened report: they are its summary.
const LAST_LINES: usize = 3;
const COLUMNS_MAX: usize = 80;

pub(super) fn show(disk: &Disk, path: &Path) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    let reader = disk.reader(path)?.take(REPORT_BYTES_MAX);
    { reader }.read_to_end(&mut bytes).context("read", path)?;
    for line in excerpt(&String::from_utf8_lossy(&bytes)) {
        output::answer(line)?;
    }
    Ok(())
}

/// Returns the lines to show: all, or the first ones and the last ones.
fn excerpt(report: &str) -> Vec<String> {
    let lines: Vec<&str> = report.trim_matches('\n').lines().collect();
    let show = |lines: &[&str]| lines.iter().flat_map(|line| wrap(line)).collect::<Vec<_>>();
    if lines.len() <= LINES_MAX {
        return show(&lines);
    }
    let (head, rest) = lines.split_at(LINES_MAX - LAST_LINES);
    let (left, tail) = rest.split_at(rest.len() - LAST_LINES);
    let mut shown = show(head);
    shown.push(format!("  … {} lines omitted", left.len()));
    shown.extend(show(tail));
    shown
}

/// Wraps a line, between words where possible.
fn wrap(line: &str) -> Vec<String> {
    let indent = line.chars().take_while(|c| *c == ' ').count().min(COLUMNS_MAX / 2);
    let mut wrapped = Vec::new();
    let mut rest: Vec<char> = line.chars().collect();
    while rest.len() > COLUMNS_MAX {
        let mut fitting = rest.iter().take(COLUMNS_MAX + 1);
        let space = fitting.rposition(|c| *c == ' ').filter(|at| *at > indent + 4);
        let at = space.unwrap_or(COLUMNS_MAX);
        let next = rest.split_off(at);
        wrapped.push(rest.iter().collect::<String>().trim_end().to_owned());
        let next = next.into_iter().skip_while(|c| *c == ' ');
        rest = std::iter::repeat_n(' ', indent + 4).chain(next).collect();
    }
    wrapped.push(rest.into_iter().collect());
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_report_is_complete() {
        assert_eq!(excerpt("\nhost\n  a\n\nend\n"), ["host", "  a", "", "end"]);
    }

    #[test]
    fn long_report_is_shortened_in_the_middle() {
        let report: String = (1..=100).map(|number| format!("{number}\n")).collect();
        let shown = excerpt(&report);
        assert_eq!(shown.len(), LINES_MAX + 1);
        assert_eq!(shown[56..], ["57", "  … 40 lines omitted", "98", "99", "100"]);
    }

    #[test]
    fn wide_lines_are_wrapped_between_words() {
        assert_eq!(wrap(&"x".repeat(80)), ["x".repeat(80)]);
        let wrapped = wrap(&format!("  {} {}", "x".repeat(50), "y".repeat(50)));
        assert_eq!(wrapped, [format!("  {}", "x".repeat(50)), format!("      {}", "y".repeat(50))]);
        let wrapped = wrap(&"é".repeat(200));
        assert!(wrapped.iter().all(|line| line.chars().count() <= COLUMNS_MAX), "{wrapped:?}");
        assert_eq!(wrapped.concat().matches('é').count(), 200);
    }
}
