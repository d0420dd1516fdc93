//! Files are damaged and removed: no other file is affected, damaged files are kept with their
//! reasons, and nothing is posted twice.

use std::path::Path;

use super::power_cuts::crashed_after;
use super::scenario::Execution;
use super::scenario_list::ALL;
use super::simulation::{Simulation, home};
use crate::daemon::testing::PostReply;
use crate::disk::{FreeSpace, Fs, read};
use crate::spool::Folder;

/// The id of the other run in each test.
const OTHER: &str = "other.20261122T110000Z-manual-aaaaaa";

/// Maximum number of executions of the scenario in the search for a run in a folder.
const EXECUTIONS_MAX: usize = 3000;

/// Executes the scenario "pages", whose results go to a plugin, until its run is in `folder`.
fn until(folder: Folder) -> Execution {
    let name = "pages";
    let scenario = ALL.iter().find(|scenario| scenario.name == name).unwrap();
    let mut operations = 0;
    for _ in 0..EXECUTIONS_MAX {
        let Some(execution) = crashed_after(scenario.begin(), operations) else {
            // Two pages are requested in parallel, so the operations have another order in each
            // execution: the last ones are tried again.
            operations -= 12;
            continue;
        };
        if execution.simulation.first_run(folder).is_some() {
            return execution;
        }
        operations += 1;
    }
    panic!("no run was ever in {folder}")
}

/// Starts the runner on the damaged files, and checks that it posts nothing twice and still
/// finishes another run.
fn checked(mut execution: Execution, what: &str) -> Simulation {
    let text = br#"{"name":"other","target":"status='online'","operations":[{"module":"file","parameters":{}}]}"#;
    execution.simulation.fs.put(&home(&format!("spool/action/new/{OTHER}.json")), text);
    assert!(execution.simulation.start(), "{what}");
    execution.wait();
    let names = execution.simulation.platform.action_names();
    assert!(names.iter().filter(|name| *name != "other").count() <= 1, "{what}: {names:?}");
    let entries = execution.simulation.spool();
    assert!(
        entries.iter().any(|run| run.starts_with("command/done other.")),
        "{what}: {entries:?}"
    );
    execution.simulation
}

const FOLDERS: [Folder; 6] = [
    Folder::New,
    Folder::ActionInflight,
    Folder::ActionDone,
    Folder::CommandInflight,
    Folder::Returned,
    Folder::CommandDone,
];

#[test]
fn file_cut_or_changed_anywhere_harms_no_other() {
    for folder in FOLDERS {
        let execution = until(folder);
        let path = execution.simulation.first_run(folder).unwrap();
        let whole = read(&execution.simulation.fs, &path, 1 << 20).unwrap();
        let step = if super::seeded_random::is_full_proof() { 1 } else { whole.len() / 7 };
        for at in (0..whole.len()).step_by(step) {
            for flip in [false, true] {
                let mut bytes = whole.clone();
                if flip {
                    bytes[at] ^= 1 << (at % 8);
                } else {
                    bytes.truncate(at);
                }
                let after = execution.within(execution.simulation.after_cut(|_| true, || 3));
                after.simulation.fs.put(&path, &bytes);
                let what = format!("{folder} {at} {flip}");
                let simulation = checked(after, &what);
                let is_passive = matches!(folder, Folder::ActionDone | Folder::CommandDone);
                if !flip && !is_passive && at < whole.len() - 1 {
                    let kept = simulation.spool().iter().any(|run| run.ends_with(".reason"));
                    assert!(kept, "{what}: {:?}", simulation.spool());
                }
            }
        }
    }
}

#[test]
fn removed_copied_or_renamed_entry_is_not_posted_again() {
    for folder in FOLDERS {
        let execution = until(folder);
        let path = execution.simulation.first_run(folder).unwrap();
        let whole = read(&execution.simulation.fs, &path, 1 << 20).unwrap();
        for target in Folder::ALL {
            for what in ["copied", "moved", "renamed", "removed"] {
                let after = execution.within(execution.simulation.after_cut(|_| true, || 3));
                let place = home("spool").join(target.path());
                let name = path.file_name().unwrap();
                let taken = after.simulation.fs.meta(&place.join(name)).is_ok();
                match what {
                    "copied" => after.simulation.fs.put(&place.join(name), &whole),
                    "moved" if !taken => after.simulation.fs.mv(&path, &place.join(name)),
                    "renamed" => {
                        after.simulation.fs.mv(&path, &place.join("job.20261122T120200Z.json"));
                    }
                    _ => after.simulation.fs.rm(&path),
                }
                drop(checked(after, &format!("{what} from {folder} to {target}")));
            }
        }
    }
}

#[test]
fn older_duplicate_finds_its_action_after_the_results_are_stored() {
    // The action is accepted, and the entry in `action/new` is not unlinked yet.
    let mut execution = until(Folder::ActionInflight);
    let (duplicate, path) = (
        execution.simulation.first_run(Folder::New).unwrap(),
        execution.simulation.first_run(Folder::ActionInflight).unwrap(),
    );
    let bytes = read(&execution.simulation.fs, &duplicate, 1 << 20).unwrap();
    execution.simulation.fs.rm(&duplicate);
    execution.simulation.fs.mv(&path, &home("spool/command/ready").join(path.file_name().unwrap()));
    assert!(execution.simulation.start());
    execution.wait();
    assert!(
        execution.simulation.first_run(Folder::CommandDone).is_some(),
        "{:?}",
        execution.simulation.spool()
    );
    execution.simulation.kill();
    execution.simulation.fs.put(&duplicate, &bytes);
    drop(checked(execution, "an older duplicate"));
}

#[test]
fn unreadable_or_special_file_is_a_dead_letter() {
    for folder in [Folder::New, Folder::ActionInflight, Folder::CommandInflight, Folder::Returned] {
        for kind in ["unreadable", "folder", "link", "pipe"] {
            let execution = until(folder);
            let path = execution.simulation.first_run(folder).unwrap();
            match kind {
                "unreadable" => execution.simulation.fs.chmod(&path, 0),
                "folder" => {
                    execution.simulation.fs.rm(&path);
                    execution.simulation.fs.put_folder(&path);
                }
                "pipe" => {
                    execution.simulation.fs.rm(&path);
                    execution.simulation.fs.put_pipe(&path);
                }
                _ => {
                    execution.simulation.fs.rm(&path);
                    execution.simulation.fs.link(Path::new("/etc/passwd"), &path).unwrap();
                }
            }
            let simulation = checked(execution, &format!("{kind} in {folder}"));
            assert!(
                simulation.first_run(Folder::Invalid).is_some(),
                "{kind} in {folder}: {:?}",
                simulation.spool()
            );
        }
    }
}

#[test]
fn nothing_is_posted_while_the_disk_is_nearly_full() {
    let mut execution = ALL[0].begin();
    execution.simulation.fs.set_free_space(FreeSpace { bytes: 0.04, files: 0.5 });
    execution.resume();
    assert_eq!(execution.simulation.platform.post_count(), 0);
    assert_eq!(execution.simulation.spool(), ["action/new job.20261122T120100Z"]);
    execution.simulation.fs.set_free_space(FreeSpace { bytes: 0.05, files: 0.5 });
    execution.wait();
    assert_eq!(execution.check(true), Ok(()));
}

#[test]
fn search_distinguishes_two_actions_of_one_name_and_second() {
    let mut execution = ALL[0].begin();
    let text = br#"{"name":"twin","target":"status='online'","operations":[{"module":"file","parameters":{}}]}"#;
    assert!(execution.simulation.start());
    for twin in ["one", "two"] {
        // The answer to the second POST is lost, so that the runner searches for the action.
        execution.simulation.platform.script_replies(&[if twin == "one" {
            PostReply::Accept
        } else {
            PostReply::LoseAnswer
        }]);
        execution.simulation.fs.put(&home(&format!("spool/action/new/{twin}.json")), text);
        assert!(execution.simulation.start());
        execution.simulation.advance(0);
        execution.simulation.move_run(Folder::ActionInflight, Folder::ActionDone);
        execution.simulation.advance(0);
    }
    execution.wait();
    let mut ids: Vec<_> = execution.simulation.records(Folder::CommandDone);
    ids.retain(|record| record.as_ref().is_ok_and(|record| record.request.action_name == "twin"));
    let ids: std::collections::BTreeSet<_> =
        ids.into_iter().map(|record| record.unwrap().action_id).collect();
    assert_eq!(ids.len(), 2, "{:?}", execution.simulation.spool());
}

#[test]
fn removed_folder_is_created_again() {
    let mut execution = ALL[0].begin();
    assert!(execution.simulation.start());
    for folder in Folder::ALL {
        execution.simulation.fs.rm(&home("spool").join(folder.path()));
    }
    execution.resume_without_start();
    execution.wait();
    assert_eq!(execution.check(true), Ok(()));
}
