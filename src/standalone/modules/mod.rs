//! What the agent can look at: one module for each kind of thing.
//!
//! A module takes its parameters as JSON and returns one result. The agent runs
//! each in a child process, with [`message`] on its stdin, so a module may take
//! its time and may be ended at any moment: it keeps no state and writes nothing.
//!
//! **Failure.** A parameter that makes no sense is no failure of the run: the
//! result says `success: false` and why. Only a module that is not there, or a
//! result that cannot be written, is an error.

mod go_regex;
pub(crate) mod message;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::clock::Clock;

/// A module that could not be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModuleError {
    /// There is no module of that name; the text is the original's.
    #[error("module '{0}' is not available")]
    Unknown(String),
    /// The result cannot be written as JSON.
    #[error("cannot write the result of module {module}")]
    Write {
        /// The module.
        module: &'static str,
        /// Why.
        source: serde_json::Error,
    },
}

/// What a module found, in the original's form.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ModuleResult {
    /// Whether anything was found.
    pub(crate) foundanything: bool,
    /// Whether the module could do what it was asked.
    pub(crate) success: bool,
    /// What was found; each module has a form of its own.
    pub(crate) elements: Box<RawValue>,
    /// What was looked at and how long it took.
    pub(crate) statistics: Box<RawValue>,
    /// What went wrong; `null` when nothing did.
    #[serde(serialize_with = "null_if_empty", deserialize_with = "empty_if_null")]
    pub(crate) errors: Vec<String>,
}

impl ModuleResult {
    /// Returns the result of an operation that was not carried out, with the reason.
    pub(crate) fn failed(reason: String) -> ModuleResult {
        let null = || RawValue::NULL.to_owned();
        ModuleResult {
            foundanything: false,
            success: false,
            elements: null(),
            statistics: null(),
            errors: vec![reason],
        }
    }
}

fn null_if_empty<S: Serializer>(errors: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    if errors.is_empty() { serializer.serialize_none() } else { errors.serialize(serializer) }
}

fn empty_if_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_default())
}

/// Tells whether there is a module of this name, exactly as it is written.
pub(crate) fn is_available(name: &str) -> bool {
    matches!(name, "file")
}

/// Runs the module `name` with its parameters.
///
/// # Errors
/// There is no such module. Bad parameters are no error: the result tells of them.
pub(crate) fn run(
    name: &str,
    parameters: &RawValue,
    clock: &dyn Clock,
) -> Result<ModuleResult, ModuleError> {
    match name {
        _ => Err(ModuleError::Unknown(name.to_owned())),
    }
}
