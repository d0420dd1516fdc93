//! Folders and files of an installation that are symbolic links to other places.

#![expect(clippy::disallowed_methods, reason = "tests change files as the operator does")]

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::process::Signal;

use super::{NEVER, NOTE};
use crate::rig::{Rig, action, make_folder, wait_until, write};

/// Moves a file or folder to `kept`, and leaves a link to it.
fn keep_elsewhere(path: &Path, kept: &Path) {
    let folder = kept.parent().unwrap();
    fs::DirBuilder::new().mode(0o700).recursive(true).create(folder).unwrap();
    fs::rename(path, kept).unwrap();
    symlink(kept, path).unwrap();
}

#[test]
fn runner_works_with_symbolic_links() {
    let rig = Rig::new();
    fs::set_permissions(rig.path(""), fs::Permissions::from_mode(0o700)).unwrap();
    rig.plugin("note", NOTE);
    rig.job("job", &format!("{NEVER}\nexpiry = 3s\nplugin = note"));
    // The first start creates the spool.
    rig.runner().stop(Signal::TERM);
    make_folder(&rig.home("results"));
    for name in ["spool", "runners", "plugins", "results"] {
        keep_elsewhere(&rig.home(name), &rig.path("elsewhere").join(name));
    }
    for name in ["entity.cfg", "action.json"] {
        keep_elsewhere(&rig.home("runners/job").join(name), &rig.path("files").join(name));
    }
    keep_elsewhere(&rig.path("migrc"), &rig.path("files/migrc"));
    keep_elsewhere(&rig.path("runner.cfg"), &rig.path("files/runner.cfg"));
    let said = rig.mig_runner("runner.cfg", &["check"]).output().unwrap();
    assert!(said.status.success(), "{said:?}");

    let runner = rig.runner();
    let id = rig.trigger("job");
    wait_until("a delivery", || rig.plugin_file("notes").contains(&id));
    // The link in `results` leads to the document.
    let index = fs::read_dir(rig.home("results")).unwrap();
    let entries: Vec<_> = index.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert!(fs::read_to_string(&entries[0]).unwrap().contains("\"commands\""));
    // Scans are an hour apart: only a watch on the target of the link can find this.
    rig.job("second", NEVER);
    runner.wait_logged("job added", &[("job", "second")]);
    write(&rig.home("runners/second/entity.cfg"), format!("[configuration]\n{NEVER}\nexpiry = 9s"));
    runner.wait_logged("new job configuration installed", &[("job", "second")]);
    // A job may itself be a link.
    let kept = rig.path("files/third");
    make_folder(&kept);
    write(&kept.join("entity.cfg"), format!("[configuration]\n{NEVER}\n"));
    write(&kept.join("action.json"), action("/nonexistent").to_string());
    symlink(&kept, rig.home("runners/third")).unwrap();
    runner.wait_logged("job added", &[("job", "third")]);
    write(&kept.join("entity.cfg"), format!("[configuration]\n{NEVER}\nexpiry = 9s"));
    runner.wait_logged("new job configuration installed", &[("job", "third")]);
    runner.stop(Signal::TERM);
}
