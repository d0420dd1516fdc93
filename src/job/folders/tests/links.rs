//! Jobs behind links, and entries that are not jobs.

use super::*;

#[test]
fn job_and_its_files_may_be_links_that_other_users_cannot_change() {
    let mut rig = Rig::new();
    rig.job(".kept", CONFIG, ACTION);
    rig.make(".kept/..1");
    // As Kubernetes mounts a configuration: one link is exchanged to change all files.
    rig.write(".kept/..1/entity.cfg", CONFIG);
    rig.make("mounted");
    symlink(rig.path(".kept/..1"), rig.path("mounted/..data")).unwrap();
    symlink("..data/entity.cfg", rig.path("mounted/entity.cfg")).unwrap();
    symlink("../.kept/action.json", rig.path("mounted/action.json")).unwrap();
    symlink(".kept", rig.path("whole")).unwrap();
    assert_eq!(rig.scan(), ["added mounted", "added whole"]);
    assert_eq!(rig.scan(), [""; 0]);
    // Changes of the target count.
    rig.write(".kept/action.json", ACTION.replace("\"t\"", "\"u\""));
    assert_eq!(rig.scan(), ["changed mounted", "changed whole"]);
    rig.make(".kept/..2");
    rig.write(".kept/..2/entity.cfg", CONFIG.replace('0', "5"));
    fs::remove_file(rig.path("mounted/..data")).unwrap();
    symlink(rig.path(".kept/..2"), rig.path("mounted/..data")).unwrap();
    assert_eq!(rig.scan(), ["changed mounted"]);
    // A user who can write the target's folder can run actions, too.
    rig.chmod(".kept", 0o707);
    rig.write(".kept/action.json", ACTION);
    let fault = ".kept can be written by others: run `chmod go-w .kept`";
    assert_eq!(rig.scan(), [fault, fault, fault]);
    rig.chmod(".kept", 0o700);
    assert_eq!(rig.scan(), ["added mounted", "added whole"]);
}

#[test]
fn entries_that_are_not_jobs_are_skipped_and_reported_once() {
    let mut rig = Rig::new();
    rig.job("a", CONFIG, ACTION);
    for file in ["README", "a.bak", "4913", "notes"] {
        rig.write(file, "text");
    }
    for folder in ["lost+found", ".snapshot", "#recycle"] {
        rig.make(folder);
    }
    // An operator's copy of a job is a job.
    rig.job("a.orig", CONFIG, ACTION);
    let expected = [
        "added a",
        "added a.orig",
        "skipped #recycle",
        "skipped 4913",
        "skipped README",
        "skipped a.bak",
        "skipped lost+found",
        "skipped notes",
    ];
    assert_eq!(rig.scan(), expected);
    assert_eq!(rig.scan(), [""; 0]);
    let hint = rig.path("notes");
    assert!(rig.jobs.scan_path(&hint, &NoWatches, rig.later()).unwrap().is_empty());
    assert_eq!(rig.jobs.rejections().count(), 0);
    // A file in place of a job removes the job; a job folder in place of a file is added.
    fs::rename(rig.path("a"), rig.path(".a")).unwrap();
    rig.write("a", "text");
    fs::remove_file(rig.path("notes")).unwrap();
    rig.job("notes", CONFIG, ACTION);
    assert_eq!(rig.scan(), ["removed a", "added notes", "skipped a"]);
}
