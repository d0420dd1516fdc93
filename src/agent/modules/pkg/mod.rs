//! The module `pkg`: installed packages by name and version.
//!
//! | file | does |
//! | --- | --- |
//! | `request` | what was asked, or in the original's words what makes no sense |
//! | `dpkg`, `rpm` | how each package manager is asked, and what a line of its answer says |
//! | `manager` | runs one, within limits |
//!
//! **Invariants.** A package is told once, under the first pattern that it matches. The
//! package managers get a `PATH`, a locale, a width, and no other variable.
//!
//! **Failure.** A package manager that is not there is passed over. One that fails is reported
//! in `errors`, beside the packages that it had listed by then; so is that there is none at all.
//! The original is silent about both, and leaves out packages that are on hold, to be removed
//! or not configured though their files are there.

mod dpkg;
mod manager;
mod request;
mod rpm;

use std::ffi::OsStr;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::ModuleResult;
use crate::chain::Chain;
use crate::go::duration;
use manager::{Limits, Manager, ManagerError};
use request::Request;

/// What a package manager may take. A `rpm` that waits for its database waits for ever.
const LIMITS: Limits = Limits { span: Duration::from_secs(120), bytes_max: 64 << 20 };

/// The package managers in the order in which they are asked; of those that read one
/// database only the first that is there.
const MANAGERS: [&[Manager]; 2] = [&[rpm::RPM], &[dpkg::DPKG_QUERY, dpkg::DPKG]];

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Package {
    name: String,
    version: String,
    #[serde(rename = "type")]
    kind: &'static str,
    arch: String,
}

#[derive(Debug, Serialize)]
struct Elements {
    packages: Vec<Package>,
}

#[derive(Debug, Serialize)]
struct Statistics {
    execruntime: String,
}

/// Runs the module with the programs that are found by `path`.
///
/// # Errors
/// The result cannot be written as JSON.
pub(super) fn run(parameters: &RawValue, path: &OsStr) -> Result<ModuleResult, serde_json::Error> {
    let began = Instant::now();
    let (elements, success, errors) = match request::read(parameters) {
        Ok(request) => {
            let (packages, errors) = installed(path, LIMITS);
            (Some(Elements { packages: request.choose(packages) }), true, errors)
        }
        Err(error) => (None, false, vec![error.to_string()]),
    };
    Ok(ModuleResult {
        foundanything: elements.as_ref().is_some_and(|found| !found.packages.is_empty()),
        success,
        elements: to_raw_value(&elements)?,
        statistics: to_raw_value(&Statistics { execruntime: duration::text(began.elapsed()) })?,
        errors,
    })
}

/// Returns all packages that are installed, and why some cannot be told.
fn installed(path: &OsStr, limits: Limits) -> (Vec<Package>, Vec<String>) {
    let (mut packages, mut errors) = (Vec::new(), Vec::new());
    let mut asked = false;
    for managers in MANAGERS {
        for manager in managers {
            let (listed, ended) = manager.list(path, limits);
            packages.extend(listed);
            match ended {
                Err(ManagerError::Missing { .. }) => continue,
                Err(error) => errors.push(Chain(&error).to_string()),
                Ok(()) => {}
            }
            asked = true;
            break;
        }
    }
    if !asked {
        errors
            .push("no package manager is found: neither rpm nor dpkg-query is in PATH".to_owned());
    }
    (packages, errors)
}

impl Request {
    /// Returns the packages that are wanted: by pattern, then as they are listed.
    fn choose(&self, packages: Vec<Package>) -> Vec<Package> {
        let mut left: Vec<Option<Package>> = packages.into_iter().map(Some).collect();
        let mut chosen = Vec::new();
        for pattern in &self.names {
            for package in &mut left {
                let wanted = |package: &mut Package| {
                    pattern.is_match(package.name.as_bytes()) && self.is_version(&package.version)
                };
                chosen.extend(package.take_if(wanted));
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests;
