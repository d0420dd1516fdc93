//! Files and folders that file systems, editors and package managers leave behind are ignored.

use std::os::unix::fs::DirBuilderExt;

use rustix::process::Signal;

use super::{NEVER, NOTE};
use crate::rig::{Rig, wait_until, write};

/// Names of such folders.
const FOLDERS: [&str; 3] = ["lost+found", ".snapshot", "#recycle"];
/// Names of such files.
const FILES: [&str; 8] =
    ["README", ".DS_Store", "x.json~", "x.bak", "4913", ".x.swp", "x.dpkg-dist", ".nfs00000001"];

fn make_folder(path: &std::path::Path) {
    std::fs::DirBuilder::new().mode(0o700).recursive(true).create(path).unwrap();
}

fn litter(folder: &std::path::Path) {
    for name in FOLDERS {
        make_folder(&folder.join(name));
    }
    for name in FILES {
        write(&folder.join(name), "x");
    }
}

#[test]
fn foreign_files_in_every_folder_are_ignored() {
    let rig = Rig::new();
    rig.plugin("note", NOTE);
    for name in ["", "runners", "plugins", "results", "spool"] {
        make_folder(&rig.home(name));
        litter(&rig.home(name));
    }
    rig.job("job", &format!("{NEVER}\nexpiry = 3s\nplugin = note"));
    litter(&rig.home("runners/job"));
    let runner = rig.runner();
    for family in ["action", "command"] {
        litter(&rig.home("spool").join(family));
        for folder in std::fs::read_dir(rig.home("spool").join(family)).unwrap() {
            let folder = folder.unwrap();
            let is_ignored = |name: &str| folder.file_name() == name;
            if folder.path().is_dir() && !FOLDERS.iter().any(|name| is_ignored(name)) {
                litter(&folder.path());
            }
        }
    }
    let id = rig.trigger("job");
    wait_until("a delivery", || rig.plugin_file("notes").contains(&id));
    assert!(runner.logged("ignoring file without .json suffix", &[]).is_empty());
    assert!(runner.logged("invalid job", &[]).is_empty());
    // Each one that is not hidden is logged once.
    let skipped = "ignoring path: a job is a folder with entity.cfg and action.json";
    assert_eq!(runner.logged(skipped, &[]).len(), 7, "{}", runner.messages());
    runner.signal(Signal::HUP);
    let late = rig.home("runners/late");
    write(&late, "x");
    runner.wait_logged(skipped, &[("path", late.canonicalize().unwrap().to_str().unwrap())]);
    assert_eq!(runner.logged(skipped, &[]).len(), 8);
    // A second start ignores them too.
    runner.stop(Signal::TERM);
    let said = rig.mig_runner("runner.cfg", &["check"]).output().unwrap();
    assert!(said.status.success(), "{said:?}");
    let said = rig.mig_runner("runner.cfg", &["status", "--json"]).output().unwrap();
    assert!(said.status.success(), "{said:?}");
    rig.runner().stop(Signal::TERM);
}
