//! The packages of dpkg.
//!
//! A package counts as installed if all of its files are on the disk, whatever is wanted of it and
//! whether or not its scripts have run: a package on hold and one whose configuration failed can be
//! used, and attacked, as any other. Which states these are is in dpkg(1). A package that is
//! `half-installed` is not listed: which of its files exist, and of which version, is unknown.
//! The original reads `dpkg -l`, whose lines are made for people; that is read here too, but only
//! where there is nothing better.

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

/// The states in which a package has its files on the disk: the third word of its status, and the
/// second letter of a line for people.
const STATES: [(&str, char); 5] = [
    ("installed", 'i'),
    ("unpacked", 'U'),
    ("half-configured", 'F'),
    ("triggers-awaited", 'W'),
    ("triggers-pending", 't'),
];

fn queried(line: &str) -> Option<Package> {
    let mut fields = line.split('\t');
    let state = fields.next()?.split(' ').nth(2)?;
    let installed = STATES.iter().any(|(word, _)| *word == state);
    let (name, version, arch) = (fields.next()?, fields.next()?, fields.next()?);
    installed.then(|| package(name, version, arch))
}

/// Reads `ii  NAME VERSION ARCH …`: what is wanted, the state, and perhaps an error.
fn listed(line: &str) -> Option<Package> {
    let mut words = line.split_whitespace();
    let state = words.next()?;
    let (name, version, arch) = (words.next()?, words.next()?, words.next()?);
    let letter = state.chars().nth(1)?;
    let installed = matches!(state.len(), 2 | 3) && STATES.iter().any(|(_, own)| *own == letter);
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
            ("purge ok installed", "pi", true),
            ("unknown ok installed", "ui", true),
            ("install ok unpacked", "iU", true),
            ("install reinstreq unpacked", "iUR", true),
            ("install ok half-configured", "iF", true),
            ("deinstall reinstreq half-configured", "rFR", true),
            ("install ok triggers-awaited", "iW", true),
            ("hold ok triggers-awaited", "hW", true),
            ("install ok triggers-pending", "it", true),
            ("purge ok triggers-pending", "pt", true),
            ("deinstall ok config-files", "rc", false),
            ("purge reinstreq config-files", "pcR", false),
            ("unknown ok not-installed", "un", false),
            ("install ok half-installed", "iH", false),
            ("install reinstreq half-installed", "iHR", false),
            ("install ok of-another-kind", "iX", false),
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
