//! Files are damaged and removed by hand: nothing else is affected, what is damaged is kept with its
//! reason, and nothing is sent twice.

use std::path::Path;

use super::lives::ALL;
use super::scenario::Play;
use super::world::{World, home};
use crate::daemon::testing::Mood;
use crate::disk::model::Blow;
use crate::disk::{FreeSpace, Fs, read};
use crate::spool::Folder;

/// What the other run of each test is called.
const OTHER: &str = "other.20261122T110000Z-manual-aaaaaa";

/// How often a scenario is played to find a run in a folder.
const PLAYS_MAX: usize = 3000;

/// Plays the first scenario, in which the results are given to a plugin, until its run is in `folder`.
fn until(folder: Folder) -> Play {
    let name = "pages";
    let scenario = ALL.iter().find(|scenario| scenario.name == name).unwrap();
    let mut steps = 0;
    for _ in 0..PLAYS_MAX {
        let mut play = scenario.begin();
        play.world.fs.fuse().set(Blow::Dead(steps));
        play.go_on();
        if !play.is_dead() {
            // Two pages are asked for at once, so that a step is not the same one in every play:
            // the last ones are tried again.
            steps -= 12;
            continue;
        }
        play.world.kill();
        play.world.fs.fuse().set(Blow::Never);
        if play.world.only(folder).is_some() {
            return play;
        }
        steps += 1;
    }
    panic!("{folder} was never seen")
}

/// Starts the runner beside damage, and checks that it sends nothing twice and still does what another run needs.
fn checked(mut play: Play, what: &str) -> World {
    // A run that a person puts in is finished, whatever is wrong with the first.
    let text = br#"{"name":"by hand","target":"status='online'","operations":[{"module":"file","parameters":{}}]}"#;
    play.world.fs.put(&home(&format!("spool/action/new/{OTHER}.json")), text);
    assert!(play.world.start(), "{what}");
    play.wait();
    let names = play.world.platform.actions();
    assert!(names.iter().filter(|name| *name != "by hand").count() <= 1, "{what}: {names:?}");
    let done = play.world.spool().iter().any(|run| run.starts_with("command/done other."));
    assert!(done, "{what}: {:?}", play.world.spool());
    play.world
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
fn a_file_cut_or_changed_anywhere_harms_no_other() {
    for folder in FOLDERS {
        let play = until(folder);
        let path = play.world.only(folder).unwrap();
        let whole = read(&play.world.fs, &path, 1 << 20).unwrap();
        let step = if super::chance::full() { 1 } else { whole.len() / 7 };
        for at in (0..whole.len()).step_by(step) {
            for flip in [false, true] {
                let mut bytes = whole.clone();
                if flip {
                    bytes[at] ^= 1 << (at % 8);
                } else {
                    bytes.truncate(at);
                }
                let after = play.within(play.world.after_cut(|_| true, || 3));
                after.world.fs.put(&path, &bytes);
                let what = format!("{folder} {at} {flip}");
                let world = checked(after, &what);
                let is_passive = matches!(folder, Folder::ActionDone | Folder::CommandDone);
                if !flip && !is_passive && at < whole.len() - 1 {
                    let kept = world.spool().iter().any(|run| run.ends_with(".reason"));
                    assert!(kept, "{what}: {:?}", world.spool());
                }
            }
        }
    }
}

#[test]
fn an_entry_that_is_removed_copied_or_renamed_anywhere_is_not_sent_again() {
    for folder in FOLDERS {
        let play = until(folder);
        let path = play.world.only(folder).unwrap();
        let whole = read(&play.world.fs, &path, 1 << 20).unwrap();
        for target in Folder::ALL {
            for what in ["copied", "moved", "renamed", "removed"] {
                let after = play.within(play.world.after_cut(|_| true, || 3));
                let place = home("spool").join(target.path());
                let name = path.file_name().unwrap();
                let taken = after.world.fs.meta(&place.join(name)).is_ok();
                match what {
                    "copied" => after.world.fs.put(&place.join(name), &whole),
                    "moved" if !taken => after.world.fs.mv(&path, &place.join(name)),
                    "renamed" => {
                        after.world.fs.mv(&path, &place.join("job.20261122T120200Z.json"));
                    }
                    _ => after.world.fs.rm(&path),
                }
                drop(checked(after, &format!("{what} from {folder} to {target}")));
            }
        }
    }
}

#[test]
fn an_older_double_finds_its_action_though_the_results_are_there_already() {
    // Accepted, and the entry that waited to be sent is not unlinked yet.
    let mut play = until(Folder::ActionInflight);
    let (double, path) =
        (play.world.only(Folder::New).unwrap(), play.world.only(Folder::ActionInflight).unwrap());
    let bytes = read(&play.world.fs, &double, 1 << 20).unwrap();
    play.world.fs.rm(&double);
    play.world.fs.mv(&path, &home("spool/command/ready").join(path.file_name().unwrap()));
    assert!(play.world.start());
    play.wait();
    assert!(play.world.only(Folder::CommandDone).is_some(), "{:?}", play.world.spool());
    play.world.kill();
    play.world.fs.put(&double, &bytes);
    drop(checked(play, "an older double"));
}

#[test]
fn what_cannot_be_read_or_is_no_file_is_kept_aside() {
    for folder in [Folder::New, Folder::ActionInflight, Folder::CommandInflight, Folder::Returned] {
        for kind in ["unreadable", "folder", "link", "pipe"] {
            let play = until(folder);
            let path = play.world.only(folder).unwrap();
            match kind {
                "unreadable" => play.world.fs.chmod(&path, 0),
                "folder" => {
                    play.world.fs.rm(&path);
                    play.world.fs.put_folder(&path);
                }
                "pipe" => {
                    play.world.fs.rm(&path);
                    play.world.fs.put_pipe(&path);
                }
                _ => {
                    play.world.fs.rm(&path);
                    play.world.fs.link(Path::new("/etc/passwd"), &path).unwrap();
                }
            }
            let world = checked(play, &format!("{kind} in {folder}"));
            assert!(
                world.only(Folder::Invalid).is_some(),
                "{kind} in {folder}: {:?}",
                world.spool()
            );
        }
    }
}

#[test]
fn nothing_is_posted_while_the_disk_is_nearly_full() {
    let mut play = ALL[0].begin();
    play.world.fs.set_free_space(FreeSpace { bytes: 0.04, files: 0.5 });
    play.go_on();
    assert_eq!(play.world.platform.posts(), 0);
    assert_eq!(play.world.spool(), ["action/new job.20261122T120100Z"]);
    play.world.fs.set_free_space(FreeSpace { bytes: 0.05, files: 0.5 });
    play.wait();
    assert_eq!(play.verdict(true), Ok(()));
}

#[test]
fn two_actions_of_one_name_and_second_can_be_told_apart_even_after_the_first_is_over() {
    let mut play = ALL[0].begin();
    let text = br#"{"name":"twin","target":"status='online'","operations":[{"module":"file","parameters":{}}]}"#;
    assert!(play.world.start());
    for twin in ["one", "two"] {
        // The second time the answer is lost, so that the action is searched for.
        play.world.platform.expect(&[if twin == "one" { Mood::Accept } else { Mood::Lose }]);
        play.world.fs.put(&home(&format!("spool/action/new/{twin}.json")), text);
        assert!(play.world.start());
        play.world.pass(0);
        play.world.mv(Folder::ActionInflight, Folder::ActionDone);
        play.world.pass(0);
    }
    play.wait();
    let mut ids: Vec<_> = play.world.records(Folder::CommandDone);
    ids.retain(|record| record.as_ref().is_ok_and(|record| record.request.action_name == "twin"));
    let ids: std::collections::BTreeSet<_> =
        ids.into_iter().map(|record| record.unwrap().action_id).collect();
    assert_eq!(ids.len(), 2, "{:?}", play.world.spool());
}

#[test]
fn a_folder_that_is_removed_is_made_again() {
    let mut play = ALL[0].begin();
    assert!(play.world.start());
    for folder in Folder::ALL {
        play.world.fs.rm(&home("spool").join(folder.path()));
    }
    play.go_on_without_start();
    play.wait();
    assert_eq!(play.verdict(true), Ok(()));
}
