//! Why a target is invalid.

use std::time::Duration;

use super::column::ColumnKind;

/// Maximum length of a target, in characters: the width of the column that stores it.
pub(super) const TARGET_CHARS_MAX: usize = 2048;

/// Maximum number of conditions, such as comparisons, in a target.
pub(super) const CONDITIONS_MAX: usize = 128;
/// Maximum processor time for evaluating a target for all agents, and the time that each agent adds.
pub(super) const EVALUATION_TIME_MAX: Duration = Duration::from_secs(2);
pub(super) const AGENT_TIME: Duration = Duration::from_micros(100);

/// Why a target is invalid. The texts quote excerpts of it that are safe to print.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("target is longer than {TARGET_CHARS_MAX} characters")]
    Long,
    #[error("target has more than {CONDITIONS_MAX} conditions")]
    Conditions,
    #[error("evaluating the target takes more than {} s plus 0.1 ms per agent", EVALUATION_TIME_MAX.as_secs())]
    Slow,
    #[error("target is not an SQL condition: {0}")]
    Syntax(String),
    #[error("target continues after its condition: {0}")]
    Trailing(String),
    #[error("target uses {0}, which is not allowed here")]
    Refused(String),
    #[error("target names {0}, which is not a column of agents")]
    Column(String),
    #[error("target cannot use {operator} on {kind}")]
    Operand { operator: String, kind: ColumnKind },
    #[error("target cannot compare {0} with {1}")]
    Types(ColumnKind, ColumnKind),
    /// A literal cannot be converted to the required type.
    #[error("target has {literal}, which is not {kind}")]
    Literal {
        literal: String,
        /// The required type.
        kind: ColumnKind,
    },
    /// A literal is not a valid path, index, pattern or escape character.
    #[error("target has an invalid {what}: {literal}")]
    Form {
        /// What the literal should be.
        what: &'static str,
        literal: String,
    },
}
