//! Checks an action before it is sent.
//!
//! The platform finds these faults too, but responds to each of them with status 500, in some cases
//! only after it has begun to store the action.

use std::fmt;

use super::Action;
use crate::go::json;

/// Size limit, in characters, of name and target in the platform's tables.
const TEXT_CHARS_MAX: usize = 2048;
/// Size limit, in characters, of the list of signatures as JSON.
const SIGNATURES_CHARS_MAX: usize = 4096;

/// All faults of an action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) struct CheckError(Vec<ActionFault>);

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ActionFault {
    #[error("the action has no {0}: add \"{0}\"")]
    Missing(&'static str),
    #[error(
        "the action's {field} has {chars} characters: the platform stores at most {TEXT_CHARS_MAX}"
    )]
    TooLong { field: &'static str, chars: usize },
    /// A text contains a character that the platform's database cannot store.
    #[error("the action's {0} contains a NUL character, which the platform cannot store")]
    Nul(&'static str),
    /// The signed text could be split into fields in another way.
    #[error(
        "the action's {field} contains \"{text}\", so its signature would also be valid for another name or target: remove that text"
    )]
    Ambiguous { field: &'static str, text: &'static str },
    #[error(
        "the action's signatures have {chars} characters as JSON: the platform stores at most {SIGNATURES_CHARS_MAX}"
    )]
    Signatures { chars: usize },
}

impl Action {
    /// Checks that the platform can accept the action once it is dated and signed.
    ///
    /// # Errors
    /// All faults: fields that are missing, too long, or contain a text that cannot be stored or
    /// makes the signed text ambiguous.
    pub(crate) fn check(&self) -> Result<(), CheckError> {
        let mut faults = Vec::new();
        for (field, text) in [("name", &self.name), ("target", &self.target)] {
            let chars = text.chars().count();
            if text.is_empty() {
                faults.push(ActionFault::Missing(field));
            } else if chars > TEXT_CHARS_MAX {
                faults.push(ActionFault::TooLong { field, chars });
            } else if text.contains('\0') {
                faults.push(ActionFault::Nul(field));
            }
        }
        if self.operations.is_none() {
            faults.push(ActionFault::Missing("operations"));
        }
        if let Some((field, text)) = self.ambiguous_field() {
            faults.push(ActionFault::Ambiguous { field, text });
        }
        let chars = json::to_string(&self.signatures).chars().count();
        if chars > SIGNATURES_CHARS_MAX {
            faults.push(ActionFault::Signatures { chars });
        }
        if faults.is_empty() { Ok(()) } else { Err(CheckError(faults)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(action: &Action) -> String {
        action.check().err().map_or(String::new(), |error| error.to_string())
    }

    fn action() -> Action {
        Action::parse(br#"{"name":"n","target":"t","operations":[]}"#).unwrap()
    }

    #[test]
    fn all_missing_fields_are_reported_at_once() {
        assert_eq!(action().check(), Ok(()));
        assert_eq!(
            faults(&Action::default()),
            "the action has no name: add \"name\"; the action has no target: add \"target\"; \
             the action has no operations: add \"operations\""
        );
    }

    #[test]
    fn action_whose_signature_fits_another_action_is_refused() {
        let split = |name: &str, target: &str| Action {
            name: name.to_owned(),
            target: target.to_owned(),
            ..action()
        };
        let (one, other) = (split("n;target=all", "few"), split("n", "all;target=few"));
        assert_eq!(one.signed_text(), other.signed_text());
        assert!(faults(&one).contains("name contains \";target=\""), "{}", faults(&one));
        assert!(faults(&other).contains("target contains \";target=\""), "{}", faults(&other));
        let target = faults(&split("n", "all;validfrom=1"));
        assert!(target.contains("target contains \";validfrom=\""), "{target}");
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        let name = "é".repeat(2048);
        assert_eq!(Action { name: name.clone(), ..action() }.check(), Ok(()));
        let long = Action { name: name + "x", target: "a\0".to_owned(), ..action() };
        assert_eq!(
            faults(&long),
            "the action's name has 2049 characters: the platform stores at most 2048; \
             the action's target contains a NUL character, which the platform cannot store"
        );
        let fits = Action { signatures: Some(vec!["x".repeat(4092)]), ..action() };
        assert_eq!(fits.check(), Ok(()));
        let signed = Action { signatures: Some(vec!["x".repeat(4093)]), ..action() };
        assert!(faults(&signed).contains("4097 characters"));
    }
}
