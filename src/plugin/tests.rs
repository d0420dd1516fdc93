//! Which files may be run as plugins, tested in real folders.

#![expect(clippy::disallowed_methods, reason = "tests create the files of each case")]

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::testing::is_root;

fn folder() -> (tempfile::TempDir, Plugins) {
    let folder = crate::testing::private_folder();
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins).unwrap();
    mode(&plugins, 0o700);
    (folder, Plugins::new(plugins))
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn put(plugins: &Plugins, name: &str, bits: u32) -> PathBuf {
    let path = plugins.folder.join(name);
    fs::File::create(&path).unwrap();
    mode(&path, bits);
    path
}

fn find(plugins: &Plugins, name: &str) -> Result<PathBuf, String> {
    let found = plugins.find(&name.parse().unwrap());
    found.map(|found| found.path().to_owned()).map_err(|error| error.to_string())
}

#[test]
fn executable_in_the_folder_is_found() {
    let (_guard, plugins) = folder();
    assert!(find(&plugins, "report").unwrap_err().contains("there is no plugin report in /"));
    let path = put(&plugins, "report", 0o755);
    assert_eq!(find(&plugins, "report").unwrap(), path.canonicalize().unwrap());
}

#[test]
fn file_without_execute_permission_is_refused_with_the_remedy() {
    let (_guard, plugins) = folder();
    let path = put(&plugins, "report", 0o644);
    let error = find(&plugins, "report").unwrap_err();
    assert!(error.contains("(mode 0644)"), "{error}");
    assert!(error.ends_with(&format!("run `chmod u+x {}`", path.display())), "{error}");
}

#[test]
fn remedy_depends_on_owner_and_mode() {
    let meta = |owner, mode| {
        let meta = RealFs.meta(Path::new("/")).unwrap();
        Meta { owner, mode, ..meta }
    };
    let path = Path::new("/p/x");
    assert_eq!(remedy(path, &meta(7, 0o600), 7), "run `chmod u+x /p/x`");
    let error = "it belongs to user 0: run `chmod a+rx /p/x`, or `chown 7 /p/x`";
    assert_eq!(remedy(path, &meta(0, 0o700), 7), error);
    for (owner, mode) in [(7, 0o700), (0, 0o755)] {
        let error = remedy(path, &meta(owner, mode), 7);
        assert!(error.contains("noexec"), "{error}");
    }
}

#[test]
fn file_or_folder_that_others_can_write_is_refused_with_the_remedy() {
    let (_guard, plugins) = folder();
    let path = put(&plugins, "report", 0o757);
    let error = find(&plugins, "report").unwrap_err();
    assert!(error.ends_with(&format!("run `chmod go-w {}`", path.display())), "{error}");
    mode(&path, 0o755);
    mode(&plugins.folder, 0o702);
    let error = find(&plugins, "report").unwrap_err();
    assert!(error.ends_with(&format!("run `chmod go-w {}`", plugins.folder.display())), "{error}");
}

#[test]
fn link_may_lead_only_to_a_file_of_the_folder() {
    let (guard, plugins) = folder();
    put(&plugins, "real", 0o700);
    symlink("real", plugins.folder.join("inside")).unwrap();
    assert!(find(&plugins, "inside").unwrap().ends_with("plugins/real"));
    symlink("/bin/sh", plugins.folder.join("outside")).unwrap();
    assert!(find(&plugins, "outside").unwrap_err().contains("copy the file there"));
    let beside = guard.path().join("plugins2");
    fs::create_dir(&beside).unwrap();
    fs::File::create(beside.join("x")).unwrap();
    symlink("../plugins2/x", plugins.folder.join("beside")).unwrap();
    assert!(matches!(find_error(&plugins, "beside"), PluginError::Outside { .. }));
    symlink("nowhere", plugins.folder.join("dangling")).unwrap();
    assert!(matches!(find_error(&plugins, "dangling"), PluginError::Missing { .. }));
    symlink("loop", plugins.folder.join("loop")).unwrap();
    assert!(matches!(find_error(&plugins, "loop"), PluginError::Access { .. }));
}

#[test]
fn folder_may_be_a_link_that_other_users_cannot_change() {
    let (guard, plugins) = folder();
    put(&plugins, "real", 0o700);
    let (kept, other) = (guard.path().join("kept"), guard.path().join("other"));
    for folder in [&kept, &other] {
        fs::create_dir(folder).unwrap();
        mode(folder, 0o700);
    }
    fs::rename(&plugins.folder, kept.join("p")).unwrap();
    symlink("kept/p", &plugins.folder).unwrap();
    assert!(find(&plugins, "real").unwrap().ends_with("kept/p/real"));
    for open in [&kept, &kept.join("p"), guard.path()] {
        mode(open, 0o702);
        let error = find(&plugins, "real").unwrap_err();
        let real = open.canonicalize().unwrap();
        let fault = match *open == kept.join("p") {
            true => Distrust::Writable { path: real },
            false => Distrust::writable_above(real, trust::own_user()),
        };
        assert!(error.ends_with(&fault.to_string()), "{error}");
        mode(open, 0o700);
    }
    mode(&other, 0o702);
    find(&plugins, "real").unwrap();
}

fn find_error(plugins: &Plugins, name: &str) -> PluginError {
    plugins.find(&name.parse().unwrap()).unwrap_err()
}

#[test]
fn folder_is_not_a_plugin_and_missing_folder_is_an_error() {
    let (guard, plugins) = folder();
    fs::create_dir(plugins.folder.join("sub")).unwrap();
    mode(&plugins.folder.join("sub"), 0o755);
    assert!(matches!(find_error(&plugins, "sub"), PluginError::NotFile { .. }));
    let none = Plugins::new(guard.path().join("none"));
    let error = find_error(&none, "report");
    assert!(matches!(error, PluginError::Access { .. }), "{error}");
}

#[test]
fn plugin_of_another_user_is_refused_as_root() {
    if !is_root("only root can give a file to another user") {
        return;
    }
    let (_guard, plugins) = folder();
    let path = put(&plugins, "report", 0o755);
    std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
    let error = find(&plugins, "report").unwrap_err();
    assert!(error.contains("belongs to user 65534"), "{error}");
}
