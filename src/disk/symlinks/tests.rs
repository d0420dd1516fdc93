//! Symbolic links on the real file system: their targets, and who can change them.

use std::error::Error;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::sync::Arc;

use super::*;
use crate::disk::{COMMAND_PREFIX, RealFs};
use crate::testing::{is_root, make_private, private_folder, write_private};

struct Rig {
    folder: tempfile::TempDir,
    disk: Disk,
}

impl Rig {
    /// Returns two folders: `home`, which is trusted, and `else`, which is outside.
    fn new() -> Rig {
        let folder = private_folder();
        let disk = Disk::new(Arc::new(RealFs), PathBuf::new(), COMMAND_PREFIX);
        let rig = Rig { folder, disk };
        make_private(&rig.path("home/in"));
        make_private(&rig.path("else/jobs"));
        rig
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    fn link(&self, target: &str, name: &str) {
        symlink(target, self.path(name)).unwrap();
    }

    fn chmod(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    /// Returns the target of a name and the faults found, both without the test's own folder.
    fn resolve(&self, name: &str) -> Result<(String, Vec<String>), String> {
        let short = |text: String| text.replace(&format!("{}/", self.path("").display()), "");
        let short = |text: String| short(text).replace(&self.path("").display().to_string(), "");
        let found = self.disk.resolve(&self.path(name), Some(&self.path("home")));
        let found =
            found.map_err(|error| short(format!("{error}: {}", error.source().unwrap())))?;
        let Some(found) = found else { return Ok((String::new(), Vec::new())) };
        let faults = found.check_trust(&self.disk, trust::own_user()).unwrap();
        let faults = faults.into_iter().map(|fault| short(fault.to_string())).collect();
        Ok((short(found.path.display().to_string()), faults))
    }

    fn faults(&self, name: &str) -> Vec<String> {
        self.resolve(name).unwrap().1
    }
}

#[test]
fn links_are_resolved_whatever_their_own_mode_is() {
    let rig = Rig::new();
    write_private(&rig.path("else/jobs/a"), "x");
    rig.link("../else/jobs", "home/relative");
    rig.link(&rig.path("else/jobs").to_string_lossy(), "home/absolute");
    rig.link("relative", "home/twice");
    rig.link("in", "home/inside");
    for (name, real) in [
        ("home/relative", "else/jobs"),
        ("home/absolute/a", "else/jobs/a"),
        ("home/twice/a", "else/jobs/a"),
        ("home/inside", "home/in"),
        ("home/in", "home/in"),
        ("home/in/none", ""),
    ] {
        assert_eq!(rig.resolve(name).unwrap(), (real.to_owned(), Vec::new()), "{name}");
    }
}

#[test]
fn dangling_and_circular_links_are_errors() {
    let rig = Rig::new();
    rig.link("../else/gone", "home/gone");
    rig.link("loop", "home/loop");
    let error = rig.resolve("home/gone").unwrap_err();
    assert_eq!(
        error,
        "cannot resolve home/gone: the link points to else/gone, which does not exist"
    );
    assert!(rig.resolve("home/loop").unwrap_err().ends_with("too many symbolic links"));
}

#[test]
fn target_its_parents_and_folder_of_the_link_are_checked() {
    let rig = Rig::new();
    rig.link("../else/jobs", "home/jobs");
    let above = |path: &str| Distrust::writable_above(path.into(), trust::own_user());
    for (wide, fault) in [
        ("else/jobs", Distrust::Writable { path: "else/jobs".into() }),
        ("else", above("else")),
        ("home", Distrust::Writable { path: "home".into() }),
    ] {
        rig.chmod(wide, 0o757);
        assert_eq!(rig.faults("home/jobs"), [fault.to_string()]);
        rig.chmod(wide, 0o700);
    }
    // Folders that are not on the way do not matter.
    rig.chmod("home/in", 0o757);
    assert_eq!(rig.faults("home/jobs"), [""; 0]);
    // A folder with the sticky bit does not matter, unless it is the target.
    rig.chmod("else", 0o1777);
    assert_eq!(rig.faults("home/jobs"), [""; 0]);
    let shared =
        |path: &str| vec![format!("{path} is shared by all users: use a folder of its own")];
    rig.chmod("else/jobs", 0o1777);
    assert_eq!(rig.faults("home/jobs"), shared("else/jobs"));
    rig.chmod("else/jobs", 0o700);
    // In the trusted folder it does matter: others could create files that are missing there.
    rig.chmod("home", 0o1777);
    assert_eq!(rig.faults("home/jobs"), shared("home"));
}

#[test]
fn link_in_the_middle_of_a_path_is_checked() {
    let rig = Rig::new();
    make_private(&rig.path("else/open/hop"));
    rig.link("../else/open/hop/jobs", "home/jobs");
    rig.link("../../jobs", "else/open/hop/jobs");
    assert_eq!(rig.resolve("home/jobs").unwrap(), ("else/jobs".to_owned(), Vec::new()));
    rig.chmod("else/open", 0o707);
    assert_eq!(rig.faults("home/jobs").len(), 1);
}

#[test]
fn link_of_another_user_is_not_trusted_as_root() {
    if !is_root("only root can change the owner of a link") {
        return;
    }
    let rig = Rig::new();
    rig.link("../else/jobs", "home/jobs");
    std::os::unix::fs::lchown(rig.path("home/jobs"), Some(65534), None).unwrap();
    let faults = rig.faults("home/jobs");
    assert_eq!(faults, ["the link home/jobs belongs to user 65534: run `chown -h 0 home/jobs`"]);
    std::os::unix::fs::lchown(rig.path("home/jobs"), Some(0), None).unwrap();
    chown(rig.path("else/jobs"), Some(65534), None).unwrap();
    let faults = rig.faults("home/jobs");
    assert_eq!(faults, ["else/jobs belongs to user 65534: run `chown 0 else/jobs`"]);
}
