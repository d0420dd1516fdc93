//! Jobs that are kept behind links, and entries beside jobs that are not jobs.

use super::*;

#[test]
fn a_job_and_its_files_may_be_kept_behind_links_that_nobody_else_can_change() {
    let mut rig = Rig::new();
    rig.job(".kept", CONFIG, ACTION);
    rig.make(".kept/..1");
    // As a cluster mounts a configuration: a change is the exchange of one link.
    rig.write(".kept/..1/entity.cfg", CONFIG);
    rig.make("mounted");
    symlink(rig.path(".kept/..1"), rig.path("mounted/..data")).unwrap();
    symlink("..data/entity.cfg", rig.path("mounted/entity.cfg")).unwrap();
    symlink("../.kept/action.json", rig.path("mounted/action.json")).unwrap();
    symlink(".kept", rig.path("whole")).unwrap();
    assert_eq!(rig.look(), ["added mounted", "added whole"]);
    assert_eq!(rig.look(), [""; 0]);
    // The target is what counts.
    rig.write(".kept/action.json", ACTION.replace("\"t\"", "\"u\""));
    assert_eq!(rig.look(), ["changed mounted", "changed whole"]);
    rig.make(".kept/..2");
    rig.write(".kept/..2/entity.cfg", CONFIG.replace('0', "5"));
    fs::remove_file(rig.path("mounted/..data")).unwrap();
    symlink(rig.path(".kept/..2"), rig.path("mounted/..data")).unwrap();
    assert_eq!(rig.look(), ["changed mounted"]);
    // A user who can write the folder of the target can run actions, too.
    rig.chmod(".kept", 0o707);
    rig.write(".kept/action.json", ACTION);
    let told = ".kept can be written by others: run `chmod go-w .kept`";
    assert_eq!(rig.look(), [told, told, told]);
    rig.chmod(".kept", 0o700);
    assert_eq!(rig.look(), ["added mounted", "added whole"]);
}

#[test]
fn what_is_no_job_is_skipped_and_told_once() {
    let mut rig = Rig::new();
    rig.job("a", CONFIG, ACTION);
    for file in ["README", "a.bak", "4913", "notes"] {
        rig.write(file, "text");
    }
    for folder in ["lost+found", ".snapshot", "#recycle"] {
        rig.make(folder);
    }
    // A person's copy of a job is a job.
    rig.job("a.orig", CONFIG, ACTION);
    let told = [
        "added a",
        "added a.orig",
        "skipped #recycle",
        "skipped 4913",
        "skipped README",
        "skipped a.bak",
        "skipped lost+found",
        "skipped notes",
    ];
    assert_eq!(rig.look(), told);
    assert_eq!(rig.look(), [""; 0]);
    let hint = rig.path("notes");
    assert!(rig.jobs.look_into(&hint, rig.later()).unwrap().is_empty());
    assert_eq!(rig.jobs.rejections().count(), 0);
    // A file in the place of a job removes it; a folder in the place of a file is one.
    fs::rename(rig.path("a"), rig.path(".a")).unwrap();
    rig.write("a", "text");
    fs::remove_file(rig.path("notes")).unwrap();
    rig.job("notes", CONFIG, ACTION);
    assert_eq!(rig.look(), ["removed a", "added notes", "skipped a"]);
}
