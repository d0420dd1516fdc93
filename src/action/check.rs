//! What can be known about an action before it is sent.
//!
//! The platform finds these faults too, but it answers every one of them with
//! a 500, some of them only after it has begun to store the action.

use std::fmt;

use super::Action;
use crate::go::json;

/// The longest name and target, in characters, as the platform's tables have it.
const TEXT_CHARS_MAX: usize = 2048;
/// The longest list of signatures, as JSON, in characters.
const SIGNATURES_CHARS_MAX: usize = 4096;

/// All that is wrong with an action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) struct CheckError(Vec<Flaw>);

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, flaw) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{flaw}")?;
        }
        Ok(())
    }
}

/// One thing that is wrong with an action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    /// A field is missing.
    #[error("the action has no {0}: add \"{0}\"")]
    Missing(&'static str),
    /// A text does not fit into the platform's tables.
    #[error("the action's {field} has {chars} characters: the platform stores {TEXT_CHARS_MAX}")]
    Long {
        field: &'static str,
        /// How long it is.
        chars: usize,
    },
    /// A text has a character that the platform's database cannot store.
    #[error("the action's {0} contains a NUL character, which the platform cannot store")]
    Nul(&'static str),
    /// The signatures do not fit into the platform's tables.
    #[error(
        "the action's signatures have {chars} characters as JSON: the platform stores {SIGNATURES_CHARS_MAX}"
    )]
    Signatures {
        /// How long they are.
        chars: usize,
    },
}

impl Action {
    /// Checks that the platform can take the action once it is dated and signed.
    ///
    /// # Errors
    /// Everything that is missing or too long.
    pub(crate) fn check(&self) -> Result<(), CheckError> {
        let mut flaws = Vec::new();
        for (field, text) in [("name", &self.name), ("target", &self.target)] {
            let chars = text.chars().count();
            if text.is_empty() {
                flaws.push(Flaw::Missing(field));
            } else if chars > TEXT_CHARS_MAX {
                flaws.push(Flaw::Long { field, chars });
            } else if text.contains('\0') {
                flaws.push(Flaw::Nul(field));
            }
        }
        if self.operations.is_none() {
            flaws.push(Flaw::Missing("operations"));
        }
        let chars = json::to_string(&self.signatures).chars().count();
        if chars > SIGNATURES_CHARS_MAX {
            flaws.push(Flaw::Signatures { chars });
        }
        if flaws.is_empty() { Ok(()) } else { Err(CheckError(flaws)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaws(action: &Action) -> String {
        action.check().err().map_or(String::new(), |error| error.to_string())
    }

    fn action() -> Action {
        Action::parse(br#"{"name":"n","target":"t","operations":[]}"#).unwrap()
    }

    #[test]
    fn all_that_is_missing_is_told_at_once() {
        assert_eq!(action().check(), Ok(()));
        assert_eq!(
            flaws(&Action::default()),
            "the action has no name: add \"name\"; the action has no target: add \"target\"; \
             the action has no operations: add \"operations\""
        );
    }

    #[test]
    fn lengths_count_characters() {
        let name = "é".repeat(2048);
        assert_eq!(Action { name: name.clone(), ..action() }.check(), Ok(()));
        let long = Action { name: name + "x", target: "a\0".to_owned(), ..action() };
        assert_eq!(
            flaws(&long),
            "the action's name has 2049 characters: the platform stores 2048; \
             the action's target contains a NUL character, which the platform cannot store"
        );
        let fits = Action { signatures: Some(vec!["x".repeat(4092)]), ..action() };
        assert_eq!(fits.check(), Ok(()));
        let signed = Action { signatures: Some(vec!["x".repeat(4093)]), ..action() };
        assert!(flaws(&signed).contains("4097 characters"));
    }
}
