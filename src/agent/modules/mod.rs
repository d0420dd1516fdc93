//! What the agent can look at: one module for each kind of thing.
//!
//! A module takes its parameters as JSON and returns one result. The agent runs
//! each in a child process, with [`message`] on its stdin, so a module may take
//! its time and may be ended at any moment: it keeps no state and writes nothing.
//!
//! **Failure.** A parameter that makes no sense is no failure of the run: the
//! result says `success: false` and why. Only a module that is not there, or a
//! result that cannot be written, is an error.

mod file;
mod go_regex;
pub(crate) mod message;
#[cfg(test)]
mod namespace;
mod netstat;
mod parameters;
mod ping;
mod pkg;
mod reason;
mod timedrift;

use std::ffi::OsStr;
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::clock::Clock;

/// The module that looks at files.
const FILE: &str = "file";
/// The module that looks at the network.
const NETSTAT: &str = "netstat";
/// The module that asks hosts for an answer.
const PING: &str = "ping";
/// The module that looks at installed packages.
const PKG: &str = "pkg";
/// The module that looks at the clock.
const TIMEDRIFT: &str = "timedrift";

/// What a module is given of the world besides its parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    /// What time it is.
    pub(crate) clock: &'a dyn Clock,
    /// Where the host's programs are, as in `PATH`.
    pub(crate) path: &'a OsStr,
}

/// A module that could not be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModuleError {
    /// There is no module of that name; the text is the original's.
    #[error("module '{0}' is not available")]
    Unknown(String),
    /// The result cannot be written as JSON.
    #[error("cannot write the result of module {module}")]
    Write { module: &'static str, source: serde_json::Error },
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
    matches!(name, FILE | NETSTAT | PING | PKG | TIMEDRIFT)
}

/// Runs the module `name` with its parameters.
///
/// # Errors
/// There is no such module. Bad parameters are no error: the result tells of them.
pub(crate) fn run(
    name: &str,
    parameters: &RawValue,
    around: Surroundings<'_>,
) -> Result<ModuleResult, ModuleError> {
    let (module, result) = match name {
        FILE => (FILE, file::run(parameters, around.clock.now())),
        NETSTAT => (NETSTAT, netstat::run(parameters, Path::new(netstat::PROC))),
        PING => (PING, ping::run(parameters)),
        PKG => (PKG, pkg::run(parameters, around.path)),
        TIMEDRIFT => {
            let sources = timedrift::Sources::of_this_host();
            (TIMEDRIFT, timedrift::run(parameters, around.clock, &sources))
        }
        _ => return Err(ModuleError::Unknown(name.to_owned())),
    };
    result.map_err(|source| ModuleError::Write { module, source })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests read their data")]

    use serde_json::Value;

    use super::*;
    use crate::clock::SystemClock;

    fn around() -> Surroundings<'static> {
        Surroundings { clock: &SystemClock, path: OsStr::new("/usr/bin:/bin") }
    }

    /// Runs the operation `index` of a recording of the agent as the agent does.
    fn operate(recording: &Value, index: usize) -> ModuleResult {
        let operation = &recording["parameters"][index];
        let parameters: Box<RawValue> =
            serde_json::from_str(&operation["parameters"].to_string()).unwrap();
        let compressed = operation["is_compressed"] == true;
        let parameters = match message::unpack(&parameters, compressed) {
            Ok(parameters) => parameters,
            Err(error) => {
                let reason = format!("runModule() -> Failed to make modules.Message: {error}");
                return ModuleResult::failed(reason);
            }
        };
        let parameters = message::read(&message::write(&parameters).unwrap()).unwrap();
        run(operation["module"].as_str().unwrap(), &parameters, around())
            .unwrap_or_else(|error| ModuleResult::failed(error.to_string()))
    }

    fn recording(case: &str) -> Value {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/modules/agent");
        let bytes = std::fs::read(format!("{folder}/{case}.json")).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn operations_fail_in_the_words_of_the_original() {
        for (case, index) in [
            ("compressed-flag-on-plain-parameters", 0),
            ("compressed-not-gzip", 0),
            ("parameters-string", 0),
            ("unknown-module", 0),
            ("unknown-module-second", 1),
        ] {
            let recording = recording(case);
            let result = serde_json::to_value(operate(&recording, index)).unwrap();
            assert_eq!(result, recording["results"][index], "{case}");
        }
    }

    #[test]
    fn compressed_parameters_are_the_same_as_plain_ones() {
        let plain = operate(&recording("two-operations"), 0);
        let packed = operate(&recording("compressed-parameters"), 0);
        assert_eq!(plain.elements.get(), packed.elements.get());
        assert!(plain.success && packed.success);
    }

    #[test]
    fn names_of_modules_have_a_case() {
        assert!(is_available("file") && !is_available("FILE"));
    }

    #[test]
    fn a_result_reads_as_it_was_written() {
        let text = r#"{"foundanything":true,"success":true,"elements":{"a":1.0},"statistics":null,"errors":null}"#;
        let result: ModuleResult = serde_json::from_str(text).unwrap();
        assert_eq!(result.errors, [""; 0]);
        assert_eq!(serde_json::to_string(&result).unwrap(), text);
    }
}
