//! The module `pkg`: installed packages by name and version.
//!
//! | file | does |
//! | --- | --- |
//! | `listing` | how to make each package manager list its packages, and how to parse its output |
//! | `manager` | runs a package manager, within limits |
//!
//! **Invariants.** A package is listed once, under the first pattern that it matches. Package
//! managers get `PATH`, a locale and a width, and no other environment variable.
//!
//! **Failure.** A package manager that is not installed is skipped. One that fails is reported in
//! `errors`, and the packages that it listed before are kept. A host without any package manager is
//! reported too. The original reports neither, and omits packages that are on hold, to be removed
//! or not configured although their files are installed.

mod listing;
mod manager;

use std::ffi::OsStr;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::ModuleResult;
use crate::chain::Chain;
use crate::go::duration;
use crate::modules::pkg::{self, PkgSearch};
use manager::{Manager, ManagerError, ManagerLimits};

/// Limits for a package manager. Without a time limit, an `rpm` that waits for its database would
/// wait forever.
const LIMITS: ManagerLimits =
    ManagerLimits { timeout: Duration::from_secs(120), bytes_max: 64 << 20 };

/// The package managers in the order in which they are run. Of those that read the same database,
/// only the first that is installed is run.
const MANAGERS: [&[Manager]; 2] = [&[listing::RPM], &[listing::DPKG_QUERY, listing::DPKG]];

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Package {
    name: String,
    version: String,
    #[serde(rename = "type")]
    kind: &'static str,
    arch: String,
}

#[derive(Debug, Serialize)]
struct PkgElements {
    packages: Vec<Package>,
}

#[derive(Debug, Serialize)]
struct PkgStatistics {
    execruntime: String,
}

/// Runs the module with the programs found in `path`.
///
/// # Errors
/// The result cannot be written as JSON.
pub(super) fn run(parameters: &RawValue, path: &OsStr) -> Result<ModuleResult, serde_json::Error> {
    let began = Instant::now();
    let (elements, success, errors) = match pkg::read(parameters) {
        Ok(search) => {
            let (packages, errors) = installed(path, LIMITS);
            (Some(PkgElements { packages: select(&search, packages) }), true, errors)
        }
        Err(error) => (None, false, vec![Chain(&error).to_string()]),
    };
    let execruntime = duration::text(began.elapsed());
    Ok(ModuleResult {
        foundanything: elements.as_ref().is_some_and(|found| !found.packages.is_empty()),
        success,
        elements: to_raw_value(&elements)?,
        statistics: to_raw_value(&PkgStatistics { execruntime })?,
        errors,
    })
}

/// Returns all installed packages, and errors if some may be missing.
fn installed(path: &OsStr, limits: ManagerLimits) -> (Vec<Package>, Vec<String>) {
    let (mut packages, mut errors) = (Vec::new(), Vec::new());
    let mut found_any = false;
    for managers in MANAGERS {
        for manager in managers {
            let (listed, ended) = manager.list(path, limits);
            packages.extend(listed);
            match ended {
                Err(ManagerError::Missing { .. }) => continue,
                Err(error) => errors.push(Chain(&error).to_string()),
                Ok(()) => {}
            }
            found_any = true;
            break;
        }
    }
    if !found_any {
        errors.push("no package manager: neither rpm nor dpkg-query is in PATH".to_owned());
    }
    (packages, errors)
}

/// Returns the packages that match, by expression, then in the order of the list.
fn select(search: &PkgSearch, packages: Vec<Package>) -> Vec<Package> {
    let mut left: Vec<Option<Package>> = packages.into_iter().map(Some).collect();
    let mut selected = Vec::new();
    for name in &search.names {
        for package in &mut left {
            let matches = |package: &mut Package| {
                name.is_match(package.name.as_bytes()) && search.accepts_version(&package.version)
            };
            selected.extend(package.take_if(matches));
        }
    }
    selected
}

#[cfg(test)]
mod tests;
