//! What is wrong with a configuration file: each fault with its line.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::chain::escape;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The line, from 1; `None` if it is about the file as a whole.
    pub(crate) line: Option<u32>,
    /// What is wrong, and what to write instead.
    pub(crate) text: String,
}

/// A file whose settings cannot be used: all its faults, in the order of the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigError {
    file: PathBuf,
    faults: Vec<Fault>,
}

impl ConfigError {
    /// Returns the error of a file with these faults.
    pub(crate) fn new(file: &Path, mut faults: Vec<Fault>) -> ConfigError {
        faults.sort_by_key(|fault| fault.line);
        ConfigError { file: file.to_owned(), faults }
    }

    /// Returns each fault as a line to print: `FILE:LINE: text`.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.faults.iter().map(|fault| {
            let file = self.file.to_string_lossy();
            let file = escape(&file);
            let text = escape(&fault.text);
            fault
                .line
                .map_or_else(|| format!("{file}: {text}"), |line| format!("{file}:{line}: {text}"))
        })
    }
}

/// All faults on one line, for a log; to print them one a line there is [`ConfigError::lines`].
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, line) in self.lines().enumerate() {
            if number > 0 {
                f.write_str("; ")?;
            }
            f.write_str(&line)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_in_the_order_of_lines() {
        let fault = |line, text: &str| Fault { line, text: text.to_owned() };
        let faults = vec![fault(Some(7), "b\nad"), fault(Some(2), "wrong"), fault(None, "empty")];
        let error = ConfigError::new(Path::new("/etc/mig/runner.cfg"), faults);
        let lines: Vec<_> = error.lines().collect();
        assert_eq!(
            lines,
            [
                "/etc/mig/runner.cfg: empty",
                "/etc/mig/runner.cfg:2: wrong",
                "/etc/mig/runner.cfg:7: b\\nad"
            ]
        );
        assert_eq!(error.to_string(), lines.join("; "));
    }
}
