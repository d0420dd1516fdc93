//! How rpm and dpkg list their packages.
//!
//! A package of dpkg counts as installed if all of its files are on the disk, whatever its
//! selection state and whether or not its scripts have run: a package on hold and one whose
//! configuration failed can be used, and attacked, like any other. dpkg(1) explains the states. A
//! package that is `half-installed` is not listed: it is unknown which of its files exist, and of
//! which version. The original parses `dpkg -l`, whose output is made for operators. This file uses
//! `dpkg -l` only if `dpkg-query` is not installed.

use super::Package;
use super::manager::Manager;

pub(super) const RPM: Manager = Manager {
    program: "rpm",
    arguments: &["-qa", "--queryformat", "%{NAME} %{EVR} %{ARCH}\n"],
    parse: parse_rpm,
};

/// Lists packages of dpkg in a format made for programs.
pub(super) const DPKG_QUERY: Manager = Manager {
    program: "dpkg-query",
    arguments: &["-W", "-f", "${Status}\\t${binary:Package}\\t${Version}\\t${Architecture}\\n"],
    parse: parse_dpkg_query,
};

/// Lists packages of dpkg in a table made for operators.
pub(super) const DPKG: Manager = Manager { program: "dpkg", arguments: &["-l"], parse: parse_dpkg };

/// The states in which all files of a package are on the disk: the third word of the status, and
/// the second letter in the table for operators.
const STATES: [(&str, char); 5] = [
    ("installed", 'i'),
    ("unpacked", 'U'),
    ("half-configured", 'F'),
    ("triggers-awaited", 'W'),
    ("triggers-pending", 't'),
];

fn parse_rpm(line: &str) -> Option<Package> {
    let mut words = line.split_whitespace();
    let (name, version, arch) = (words.next()?, words.next()?, words.next()?);
    Some(package("rpm", name, version, arch))
}

fn parse_dpkg_query(line: &str) -> Option<Package> {
    let mut fields = line.split('\t');
    let state = fields.next()?.split(' ').nth(2)?;
    let installed = STATES.iter().any(|(word, _)| *word == state);
    let (name, version, arch) = (fields.next()?, fields.next()?, fields.next()?);
    installed.then(|| package("dpkg", name, version, arch))
}

/// Reads `ii  NAME VERSION ARCH …`, which begins with selection state, state and perhaps error
/// flag.
fn parse_dpkg(line: &str) -> Option<Package> {
    let mut words = line.split_whitespace();
    let state = words.next()?;
    let (name, version, arch) = (words.next()?, words.next()?, words.next()?);
    let letter = state.chars().nth(1)?;
    let installed = matches!(state.len(), 2 | 3) && STATES.iter().any(|(_, own)| *own == letter);
    installed.then(|| package("dpkg", name, version, arch))
}

fn package(kind: &'static str, name: &str, version: &str, arch: &str) -> Package {
    Package { name: name.to_owned(), version: version.to_owned(), kind, arch: arch.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_decides_whether_a_package_is_installed() {
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
            let expected = installed.then(|| package("dpkg", "a:amd64", "1:2-3", "amd64"));
            let line = format!("{status}\ta:amd64\t1:2-3\tamd64");
            assert_eq!(parse_dpkg_query(&line), expected, "{status}");
            let line = format!("{state}  a:amd64   1:2-3  amd64   a package");
            assert_eq!(parse_dpkg(&line), expected, "{state}");
        }
    }

    #[test]
    fn headings_and_incomplete_lines_are_skipped() {
        for line in [
            "||/ Name           Version            Architecture Description",
            "+++-==============-==================-============-=================",
            "Desired=Unknown/Install/Remove/Purge/Hold",
            "| Status=Not/Inst/Conf-files/Unpacked/halF-conf/Half-inst/trig-aWait/Trig-pend",
            "ii  short          6.0",
            "",
        ] {
            assert_eq!(parse_dpkg(line), None, "{line}");
            assert_eq!(parse_dpkg_query(line), None, "{line}");
        }
    }
}
