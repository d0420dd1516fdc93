//! The packages of RPM.

use super::Package;
use super::manager::Manager;

pub(super) const RPM: Manager = Manager {
    program: "rpm",
    arguments: &["-qa", "--queryformat", "%{NAME} %{EVR} %{ARCH}\n"],
    package,
};

fn package(line: &str) -> Option<Package> {
    let mut words = line.split_whitespace();
    let (name, version, arch) = (words.next()?, words.next()?, words.next()?);
    Some(Package {
        name: name.to_owned(),
        version: version.to_owned(),
        kind: "rpm",
        arch: arch.to_owned(),
    })
}
