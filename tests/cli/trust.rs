//! Files that other users can change, or that are not what they should be: the runner refuses them
//! at its start and in `check`, and names the command that corrects them.

#![expect(clippy::disallowed_methods, reason = "tests access files directly")]

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::super::home::{CommandOutput, Home, writable_above};
use super::{fails, good};

/// Returns an installation that uses every kind of file.
fn installed() -> Home {
    let home = Home::installed();
    home.write("ca.pem", "");
    home.write("client.pem", "");
    home.write("client.key", "");
    home.write("secret", "");
    let path = |name: &str| home.path(name).display().to_string();
    let client = format!(
        "skipverifycert = on\ncacert = {}\nclientcert = {}\nclientkey = {}\n[gpg]",
        path("ca.pem"),
        path("client.pem"),
        path("client.key")
    );
    home.write(".migrc", &home.read(".migrc").replace("[gpg]", &client));
    let config = home.read("runner/runner.cfg");
    let config = format!("{config}\n[client]\npassphrasefile = {}\n", path("secret"));
    home.write("runner/runner.cfg", &config);
    home
}

#[track_caller]
fn is_refused(home: &Home, remedy: &str) {
    let checked = home.with_config(&["check", "--offline"]);
    let text = format!("{}{}", checked.out, checked.err);
    // The certificates are faults, too.
    assert!(checked.exit != 0 && text.contains(remedy), "no {remedy} in {checked:?}");
    fails(&home.with_config(&["run"]), 77, &[remedy]);
}

#[test]
fn every_path_that_others_can_write_is_refused() {
    let home = installed();
    for name in [
        "runner",
        "runner/runners",
        "runner/plugins",
        "runner/plugins/mig_json.py",
        "runner/spool/action/new",
        "runner/runner.cfg",
        ".migrc",
        "secret",
        "g",
        "g/pubring.kbx",
        "ca.pem",
        "client.pem",
        "client.key",
        "",
    ] {
        let path = home.path(name);
        let before = path.metadata().unwrap().permissions().mode() & 0o777;
        home.chmod(name, before | 0o002);
        let path = path.canonicalize().unwrap();
        // A secret is private as well.
        let remedy = match name {
            "" => writable_above(&path),
            _ => format!("run `chmod go-w {}`", path.display()),
        };
        is_refused(&home, &remedy);
        home.chmod(name, before);
    }
}

#[test]
fn remedy_in_a_message_works() {
    let home = installed();
    for (name, mode, remedy) in
        [("runner/runner.cfg", 0o666, "chmod go-w"), ("secret", 0o640, "chmod go=")]
    {
        home.chmod(name, mode);
        let remedy = format!("{remedy} {}", home.path(name).canonicalize().unwrap().display());
        is_refused(&home, &format!("run `{remedy}`"));
        assert!(Command::new("sh").args(["-c", &remedy]).status().unwrap().success());
    }
    // Every file is trusted again; the certificate files are empty.
    let said = home.with_config(&["run"]);
    assert!(said.exit != 77 && !said.err.contains("chmod"), "{said:?}");
}

#[test]
fn log_that_is_a_pipe_or_that_others_can_write_is_refused_at_once() {
    let home = Home::installed();
    let config = home.read("runner/runner.cfg");
    let file = format!("mode = file\nfile = {}", home.path("log").display());
    home.write("runner/runner.cfg", &config.replace("mode = \"stdout\"", &file));
    let refused = |said: &CommandOutput, text: &str| {
        assert!(said.exit == 73, "{said:?}");
        assert!(format!("{}{}", said.out, said.err).contains(text), "no {text:?} in {said:?}");
    };
    mknodat(CWD, home.path("log"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let text = "it is a named pipe: name a regular file, /dev/stdout or /dev/stderr";
    refused(&home.with_config(&["run"]), text);
    refused(&home.with_config(&["check", "--offline"]), text);
    std::fs::remove_file(home.path("log")).unwrap();
    home.write("log", "");
    home.chmod("log", 0o666);
    refused(&home.with_config(&["run"]), "run `chmod go-w ");
    home.chmod("log", 0o600);
    good(home.with_config(&["check", "--offline"]));
}

#[test]
fn pipe_in_place_of_the_lock_file_is_refused_at_once() {
    let home = Home::installed();
    mknodat(CWD, home.path("runner/runners/.lock"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let text = "runners/.lock: it is not a regular file: remove it";
    let checked = home.with_config(&["check", "--offline"]);
    assert!(checked.exit == 74 && checked.out.contains(text), "{checked:?}");
    fails(&home.with_config(&["run"]), 74, &[text]);
}

#[test]
fn jobs_that_the_runner_cannot_lock_are_refused_with_a_remedy() {
    let home = Home::installed();
    home.chmod("runner/runners", 0o500);
    let lock = home.path("runner/runners").canonicalize().unwrap().join(".lock");
    if std::fs::write(&lock, "").is_ok() {
        // Root may write into every folder.
        return;
    }
    is_refused(&home, &format!("/dev/null {}`", lock.display()));
    home.chmod("runner/runners", 0o700);
    home.write("runner/runners/.lock", "");
    home.chmod("runner/runners", 0o500);
    good(home.with_config(&["check", "--offline"]));
    home.chmod("runner/runners", 0o700);
}

#[test]
fn unreadable_folder_of_the_spool_does_not_hide_the_rest() {
    let mut home = Home::installed();
    let _log = home.start(&["-c", "runner/runner.cfg"]).until("ready");
    home.kill_first();
    let id = "setuid.20261122T110000Z";
    home.write(&format!("runner/spool/action/inflight/{id}.json"), "{}");
    let (folder, away) = (home.path("runner/spool/command/returned"), home.path("away"));
    let check = |home: &Home| {
        let status = home.with_config(&["status"]);
        let words = status.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(status.exit == 1 && words.contains(id), "{status:?}");
        let unknown = "job setuid: the state of its last run is unknown: cannot read";
        assert!(words.contains(unknown), "{status:?}");
        assert!(words.contains("cannot list") && words.contains("command/returned"), "{status:?}");
        let checked = home.with_config(&["check", "--offline"]);
        assert!(checked.out.contains(id), "{checked:?}");
        assert!(checked.out.contains("command/returned"), "{checked:?}");
    };
    home.chmod("runner/spool/command/returned", 0o000);
    if std::fs::read_dir(&folder).is_err() {
        // Root can read every folder.
        check(&home);
    }
    home.chmod("runner/spool/command/returned", 0o700);
    // Nobody can read a file as a folder.
    std::fs::rename(&folder, &away).unwrap();
    std::fs::write(&folder, "").unwrap();
    check(&home);
}

#[test]
fn unreadable_folder_of_the_spool_does_not_prevent_other_retries() {
    let home = Home::installed();
    let id = good(home.with_config(&["trigger", "setuid"]));
    let id = id.split_whitespace().next().unwrap();
    let dead = home.path(&format!("runner/spool/action/invalid/{id}.json"));
    let done = home.path("runner/spool/command/done");
    std::fs::rename(home.path(&format!("runner/spool/action/new/{id}.json")), &dead).unwrap();
    std::fs::remove_dir(&done).unwrap();
    std::fs::write(&done, "").unwrap();
    let said = home.with_config(&["retry", "--all"]);
    assert!(said.exit == 74 && said.err.contains("command/done was skipped: cannot"), "{said:?}");
    assert!(said.out.contains(&format!("action/invalid → action/new  {id}")), "{said:?}");
    assert!(!dead.exists());
}
