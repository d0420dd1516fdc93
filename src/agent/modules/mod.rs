//! The agent's modules: each searches one kind of thing on this host.
//!
//! A module takes its parameters as JSON and returns one result. The agent runs each in a child
//! process, with a [`message`] on its stdin, so a module may take a long time. It keeps no state
//! and writes nothing, so it can be killed at any moment. [`crate::modules`] reads the parameters.
//!
//! **Failure.** Invalid parameters are not an error of the run: the result has `success: false` and
//! the reason. Only an unknown module, or a result that cannot be written, is an error.

mod file;
pub(crate) mod message;
#[cfg(test)]
mod namespace;
mod netstat;
mod ping;
mod pkg;
#[cfg(test)]
mod testing;
mod timedrift;

use std::ffi::OsStr;
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::clock::Clock;

const FILE: &str = "file";
const NETSTAT: &str = "netstat";
const PING: &str = "ping";
const PKG: &str = "pkg";
const TIMEDRIFT: &str = "timedrift";
/// All modules, in the order in which the agent reports them.
pub(crate) const NAMES: [&str; 5] = [FILE, NETSTAT, PING, PKG, TIMEDRIFT];

/// What a module needs besides its parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ModuleContext<'a> {
    pub(crate) clock: &'a dyn Clock,
    /// The folders of the host's programs, as in `PATH`.
    pub(crate) path: &'a OsStr,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ModuleError {
    #[error("module '{0}' is not available")]
    Unknown(String),
    #[error("cannot write the result of module {module}")]
    Write { module: &'static str, source: serde_json::Error },
}

/// The result of a module, in the original's form.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ModuleResult {
    /// Whether anything was found.
    pub(crate) foundanything: bool,
    /// Whether the module could run with its parameters.
    pub(crate) success: bool,
    /// The hits, in the module's own form.
    pub(crate) elements: Box<RawValue>,
    /// Counts and times of the run, in the module's own form.
    pub(crate) statistics: Box<RawValue>,
    /// `null` in JSON if there are none.
    #[serde(serialize_with = "null_if_empty", deserialize_with = "empty_if_null")]
    pub(crate) errors: Vec<String>,
}

impl ModuleResult {
    /// Returns the result of an operation that did not run.
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

/// Returns whether there is a module with this name; case matters.
pub(crate) fn is_available(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Returns the number of processes of a module that run at the same time: `pkg` starts a package
/// manager.
pub(crate) fn processes(name: &str) -> u64 {
    if name == PKG { 2 } else { 1 }
}

/// Runs the module `name` with its parameters. Invalid parameters are not an error: the result
/// reports them.
pub(crate) fn run(
    name: &str,
    parameters: &RawValue,
    context: ModuleContext<'_>,
) -> Result<ModuleResult, ModuleError> {
    let (module, result) = match name {
        FILE => (FILE, file::run(parameters, context.clock.now())),
        NETSTAT => (NETSTAT, netstat::run(parameters, Path::new(netstat::PROC))),
        PING => (PING, ping::run(parameters)),
        PKG => (PKG, pkg::run(parameters, context.path)),
        TIMEDRIFT => {
            let sources = timedrift::TimeSources::of_this_host();
            (TIMEDRIFT, timedrift::run(parameters, context.clock, &sources))
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

    fn context() -> ModuleContext<'static> {
        ModuleContext { clock: &SystemClock, path: OsStr::new("/usr/bin:/bin") }
    }

    /// Runs the operation `index` of a recording as the agent does.
    fn run_operation(recording: &Value, index: usize) -> ModuleResult {
        let operation = &recording["parameters"][index];
        let parameters: Box<RawValue> =
            serde_json::from_str(&operation["parameters"].to_string()).unwrap();
        let compressed = operation["is_compressed"] == true;
        let parameters = match message::unpack(&parameters, compressed) {
            Ok(parameters) => parameters,
            Err(error) => {
                return ModuleResult::failed(error.to_string());
            }
        };
        let parameters = message::read(&message::write(&parameters).unwrap()).unwrap();
        run(operation["module"].as_str().unwrap(), &parameters, context())
            .unwrap_or_else(|error| ModuleResult::failed(error.to_string()))
    }

    fn recording(case: &str) -> Value {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/modules/agent");
        let bytes = std::fs::read(format!("{folder}/{case}.json")).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn failed_operations_have_the_results_of_the_original() {
        for (case, index) in [
            ("compressed-flag-on-plain-parameters", 0),
            ("compressed-not-gzip", 0),
            ("parameters-string", 0),
            ("unknown-module", 0),
            ("unknown-module-second", 1),
        ] {
            let recording = recording(case);
            let mut result = serde_json::to_value(run_operation(&recording, index)).unwrap();
            let mut expected = recording["results"][index].clone();
            // The wording of errors is our own.
            for errors in [&mut result["errors"], &mut expected["errors"]] {
                assert_eq!(errors.take().as_array().map(Vec::len), Some(1), "{case}");
            }
            assert_eq!(result, expected, "{case}");
        }
    }

    #[test]
    fn compressed_parameters_have_the_same_result_as_plain_ones() {
        let plain = run_operation(&recording("two-operations"), 0);
        let packed = run_operation(&recording("compressed-parameters"), 0);
        assert_eq!(plain.elements.get(), packed.elements.get());
        assert!(plain.success && packed.success);
    }

    #[test]
    fn module_names_are_case_sensitive() {
        assert!(is_available("file") && !is_available("FILE"));
    }

    #[test]
    fn result_reads_as_written() {
        let text = r#"{"foundanything":true,"success":true,"elements":{"a":1.0},"statistics":null,"errors":null}"#;
        let result: ModuleResult = serde_json::from_str(text).unwrap();
        assert_eq!(result.errors, [""; 0]);
        assert_eq!(serde_json::to_string(&result).unwrap(), text);
    }
}
