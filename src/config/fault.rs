//! Faults of a configuration file, each with its line.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::chain::escape;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigFault {
    /// The line, from 1; `None` for a fault of the file as a whole.
    pub(crate) line: Option<u32>,
    /// The fault and its remedy.
    pub(crate) text: String,
}

/// An invalid file, with all its faults in order of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigError {
    file: PathBuf,
    faults: Vec<ConfigFault>,
}

impl ConfigError {
    pub(crate) fn new(file: &Path, mut faults: Vec<ConfigFault>) -> ConfigError {
        faults.sort_by_key(|fault| fault.line);
        ConfigError { file: file.to_owned(), faults }
    }

    /// Formats each fault as a line: `FILE:LINE: text`.
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

/// Writes all faults on one line, for logs; [`ConfigError::lines`] has one line per fault.
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
    fn faults_are_sorted_by_line() {
        let fault = |line, text: &str| ConfigFault { line, text: text.to_owned() };
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
