//! The packages of dpkg.
//!
//! What is installed has `installed` as the third word of its status, whatever is wanted of
//! it: a package on hold is there as well as any. The original reads `dpkg -l`, whose lines
//! are made for people; that is read here too, but only where there is nothing better, as
//! on systems whose dpkg is a part of BusyBox.

use super::Package;
use super::manager::Manager;

/// The program that is made for being read.
pub(super) const DPKG_QUERY: Manager = Manager {
    program: "dpkg-query",
    arguments: &["-W", "-f", "${Status}\\t${binary:Package}\\t${Version}\\t${Architecture}\\n"],
    package: queried,
};

/// The program that is made for people.
pub(super) const DPKG: Manager = Manager { program: "dpkg", arguments: &["-l"], package: listed };

fn queried(line: &str) -> Option<Package> {
    let mut fields = line.split('\t');
    let installed = fields.next()?.split(' ').nth(2) == Some("installed");
    let (name, version, arch) = (fields.next()?, fields.next()?, fields.next()?);
    installed.then(|| package(name, version, arch))
}

/// Reads `ii  NAME VERSION ARCH …`: what is wanted, what is, and perhaps an error.
fn listed(line: &str) -> Option<Package> {
    let mut words = line.split_whitespace();
    let state = words.next()?;
    let (name, version, arch) = (words.next()?, words.next()?, words.next()?);
    let installed = matches!(state.len(), 2 | 3) && state.chars().nth(1) == Some('i');
    installed.then(|| package(name, version, arch))
}

fn package(name: &str, version: &str, arch: &str) -> Package {
    Package {
        name: name.to_owned(),
        version: version.to_owned(),
        kind: "dpkg",
        arch: arch.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_installed_whatever_is_wanted_of_it() {
        for (status, state, installed) in [
            ("install ok installed", "ii", true),
            ("hold ok installed", "hi", true),
            ("deinstall ok installed", "ri", true),
            ("install reinstreq installed", "iiR", true),
            ("install ok unpacked", "iU", false),
            ("install ok half-configured", "iF", false),
            ("deinstall ok config-files", "rc", false),
            ("unknown ok not-installed", "un", false),
            ("install ok half-installed", "iH", false),
        ] {
            let expected = installed.then(|| package("a:amd64", "1:2-3", "amd64"));
            let line = format!("{status}\ta:amd64\t1:2-3\tamd64");
            assert_eq!(queried(&line), expected, "{status}");
            let line = format!("{state}  a:amd64   1:2-3  amd64   a package");
            assert_eq!(listed(&line), expected, "{state}");
        }
    }

    #[test]
    fn headings_and_broken_lines_are_no_packages() {
        for line in [
            "||/ Name           Version            Architecture Description",
            "+++-==============-==================-============-=================",
            "Desired=Unknown/Install/Remove/Purge/Hold",
            "| Status=Not/Inst/Conf-files/Unpacked/halF-conf/Half-inst/trig-aWait/Trig-pend",
            "ii  short          6.0",
            "",
        ] {
            assert_eq!(listed(line), None, "{line}");
            assert_eq!(queried(line), None, "{line}");
        }
    }
}
