//! What a trial shows of a report: as much as fits on a few screens.

use std::io::Read;
use std::path::Path;

use crate::cli::failure::Failure;
use crate::cli::output;
use crate::disk::{Context, Disk};

/// The most that is read of a report.
const REPORT_BYTES_MAX: u64 = 1024 * 1024;
/// How many lines of a report are shown.
const LINES_MAX: usize = 60;
/// How many of them are its last ones, which sum it up.
const LAST_LINES: usize = 3;
/// How wide a line may be.
const COLUMNS_MAX: usize = 80;

/// Shows the report in the file `path`.
pub(super) fn show(disk: &Disk, path: &Path) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    let reader = disk.reader(path)?.take(REPORT_BYTES_MAX);
    { reader }.read_to_end(&mut bytes).context("read", path)?;
    for line in excerpt(&String::from_utf8_lossy(&bytes)) {
        output::answer(line)?;
    }
    Ok(())
}

/// Returns the lines of a report that are shown: all, or the first ones and the last.
fn excerpt(report: &str) -> Vec<String> {
    let lines: Vec<&str> = report.trim_matches('\n').lines().collect();
    let show = |lines: &[&str]| lines.iter().flat_map(|line| fold(line)).collect::<Vec<_>>();
    if lines.len() <= LINES_MAX {
        return show(&lines);
    }
    let (head, rest) = lines.split_at(LINES_MAX - LAST_LINES);
    let (left, tail) = rest.split_at(rest.len() - LAST_LINES);
    let mut shown = show(head);
    shown.push(format!("  … and {} lines more", left.len()));
    shown.extend(show(tail));
    shown
}

/// Returns a line as lines that are not too wide, broken between words where there are any.
fn fold(line: &str) -> Vec<String> {
    let indent = line.chars().take_while(|c| *c == ' ').count().min(COLUMNS_MAX / 2);
    let mut folded = Vec::new();
    let mut rest: Vec<char> = line.chars().collect();
    while rest.len() > COLUMNS_MAX {
        let mut fitting = rest.iter().take(COLUMNS_MAX + 1);
        let space = fitting.rposition(|c| *c == ' ').filter(|at| *at > indent + 4);
        let at = space.unwrap_or(COLUMNS_MAX);
        let next = rest.split_off(at);
        folded.push(rest.iter().collect::<String>().trim_end().to_owned());
        let next = next.into_iter().skip_while(|c| *c == ' ');
        rest = std::iter::repeat_n(' ', indent + 4).chain(next).collect();
    }
    folded.push(rest.into_iter().collect());
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_report_is_shown_whole() {
        assert_eq!(excerpt("\nhost\n  a\n\nend\n"), ["host", "  a", "", "end"]);
    }

    #[test]
    fn a_long_report_keeps_its_end_and_tells_what_is_left_out() {
        let report: String = (1..=100).map(|number| format!("{number}\n")).collect();
        let shown = excerpt(&report);
        assert_eq!(shown.len(), LINES_MAX + 1);
        assert_eq!(shown[56..], ["57", "  … and 40 lines more", "98", "99", "100"]);
    }

    #[test]
    fn wide_lines_are_folded_between_words() {
        assert_eq!(fold(&"x".repeat(80)), ["x".repeat(80)]);
        let folded = fold(&format!("  {} {}", "x".repeat(50), "y".repeat(50)));
        assert_eq!(folded, [format!("  {}", "x".repeat(50)), format!("      {}", "y".repeat(50))]);
        let folded = fold(&"é".repeat(200));
        assert!(folded.iter().all(|line| line.chars().count() <= COLUMNS_MAX), "{folded:?}");
        assert_eq!(folded.concat().matches('é').count(), 200);
    }
}
