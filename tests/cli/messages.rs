//! Messages are accurate: no warning without cause, and remedies that work.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use super::super::home::{CommandOutput, Home};
use super::good;

/// The user id of the unprivileged user `nobody`.
const NOBODY: u32 = 65534;

#[test]
fn exposed_traffic_is_reported() {
    let mut home = Home::installed();
    let config = home.read(".migrc");
    let certificates = Some("certificates are not checked (skipverifycert): anyone");
    let clear_text = Some("requests are not encrypted (http://): anyone");
    for (url, warning) in [
        ("http://127.0.0.1:9/api/v1/", None),
        ("https://127.0.0.1:9/api/v1/", certificates),
        ("http://192.0.2.1:9/api/v1/", clear_text),
    ] {
        let api = format!("url = {url}\nskipverifycert = true");
        home.write(".migrc", &config.replace("url = http://127.0.0.1:9/api/v1/", &api));
        let checked = good(home.with_config(&["check", "--offline"]));
        let words = checked.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words.contains("anyone on the network"), warning.is_some(), "{checked}");
        assert!(warning.is_none_or(|warning| words.contains(warning)), "{checked}");
    }
    let line = home.start(&["-c", "runner/runner.cfg"]).until("traffic with the API");
    assert!(line.contains("WARN") && line.contains("not encrypted"), "{line}");
}

#[test]
fn comment_in_schedule_is_reported_with_remedy() {
    let mut home = Home::installed();
    let file = "runner/runners/setuid/entity.cfg";
    home.write(file, "[configuration]\nschedule = 0 9 * * FRI#3\npaused = true\n");
    let warning = "entity.cfg:2: #3 is a comment, so the schedule is 0 9 * * FRI: if it belongs \
                   to the schedule, put the value in double quotes";
    let checked = good(home.with_config(&["check", "--offline"]));
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&checked).contains(warning), "{checked}");
    assert!(home.with_config(&["next", "setuid"]).err.contains(warning));
    let line = home.start(&["-c", "runner/runner.cfg"]).until("unusual schedule");
    assert!(line.contains("WARNING") && line.contains("job: setuid"), "{line}");
    assert!(line.contains(warning), "{line}");
    // In quotes the value means the third Friday, and there is no warning.
    home.write(file, "[configuration]\nschedule = \"0 9 * * FRI#3\"\npaused = true\n");
    let checked = good(home.with_config(&["check", "--offline"]));
    assert!(!checked.contains("is a comment"), "{checked}");
    let times = good(home.with_config(&["next", "setuid", "--from", "2026-01-01T00:00:00Z"]));
    assert!(times.starts_with("2026-01-16T09:00:00"), "{times}");
}

/// Kills a process when the test ends.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Returns an installation that belongs to another user, with a copy of the runner.
fn home_of_nobody() -> Home {
    let home = Home::installed();
    // The key's agent runs as root and would block access to the key.
    let mut gpgconf = Command::new("gpgconf");
    gpgconf.arg("--homedir").arg(home.path("g")).args(["--kill", "all"]);
    assert!(gpgconf.status().unwrap().success());
    let given = Command::new("chown").arg("-R").arg("65534:65534").arg(home.path("")).status();
    assert!(given.unwrap().success());
    // The build may be in a home that other users may not enter. Another process writes the copy: a
    // file that is open for writing in a child that another test is just starting cannot be executed.
    let program = home.path("mig-runner");
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_mig-runner")).arg(&program).status();
    assert!(copied.unwrap().success());
    home.chmod("mig-runner", 0o755);
    home
}

/// Returns the runner's command as the user of that installation runs it.
fn as_nobody(home: &Home, arguments: &[&str]) -> Command {
    let arguments = [&["-c", "runner/runner.cfg"][..], arguments].concat();
    let mut command = home.command_of(home.path("mig-runner").to_str().unwrap(), &arguments);
    command.uid(NOBODY).gid(NOBODY);
    command
}

#[test]
fn jobs_folder_of_root_is_used_once_root_has_created_the_lock_file_as_root() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let home = home_of_nobody();
    let runners = home.path("runner/runners");
    chown(&runners, Some(0), Some(0)).unwrap();
    home.chmod("runner/runners", 0o755);
    // Whoever can open the folder can lock it.
    let _hostile =
        Command::new("flock").arg(&runners).args(["sleep", "60"]).spawn().map(KillOnDrop);
    let lock = runners.canonicalize().unwrap().join(".lock");
    let remedy = format!("install -m 600 -o {NOBODY} /dev/null {}", lock.display());
    let said = CommandOutput::of(&mut as_nobody(&home, &["check", "--offline"]));
    assert!(said.exit == 77 && said.out.contains(&remedy), "{said:?}");
    let said = CommandOutput::of(&mut as_nobody(&home, &["run"]));
    assert!(said.exit == 77 && said.err.contains(&remedy), "{said:?}");
    assert!(Command::new("sh").args(["-c", &remedy]).status().unwrap().success());
    let mut runner = as_nobody(&home, &["run"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(runner.stdout.take().unwrap()).lines().map(Result::unwrap);
    let _runner = KillOnDrop(runner);
    assert!(lines.any(|line| line.contains("ready")));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test moves a file as the operator does")]
fn unreadable_record_of_root_hides_no_other_run_as_root() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let home = home_of_nobody();
    let id = CommandOutput::of(&mut as_nobody(&home, &["trigger", "setuid"]));
    let id = id.out.split_whitespace().next().unwrap().to_owned();
    let file = home.path(&format!("runner/spool/action/new/{id}.json"));
    let unreadable = "setuid.20260101T000000Z";
    let place = |folder: &str, id: &str| home.path(&format!("runner/spool/{folder}/{id}.json"));
    std::fs::copy(&file, place("command/done", unreadable)).unwrap();
    home.chmod(&format!("runner/spool/command/done/{unreadable}.json"), 0o600);
    std::fs::rename(&file, place("action/invalid", &id)).unwrap();

    let status = CommandOutput::of(&mut as_nobody(&home, &["status"]));
    let text = status.out.split_whitespace().collect::<Vec<_>>().join(" ");
    let named =
        format!("1 finished run cannot be read: command/done/{unreadable}.json: it belongs");
    assert!(status.exit == 1 && text.contains(&named), "{status:?}");
    assert!(text.contains("1 dead letter in action/invalid"), "{status:?}");

    let retried = CommandOutput::of(&mut as_nobody(&home, &["retry", "--all"]));
    assert!(
        retried.exit == 77 && retried.out.contains(&format!("action/new  {id}")),
        "{retried:?}"
    );
    assert!(retried.err.contains(&format!("{unreadable} was skipped: cannot read")), "{retried:?}");
    assert!(file.exists());
}

#[test]
fn files_of_root_are_reported_with_chown_command_as_root() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let home = home_of_nobody();
    let check = || CommandOutput::of(&mut as_nobody(&home, &["check", "--offline"]));
    let action = home.read("runner/runners/setuid/action.json");
    home.write("runner/spool/action/new/urgent.json", &action);
    let path = home.path("runner/spool/action/new/urgent.json").canonicalize().unwrap();
    let remedy = format!("run `chown {NOBODY} {}`", path.display());
    let said = check();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.exit != 0 && words(&said.out).contains(&remedy), "{said:?}");

    let mut runner = as_nobody(&home, &["run"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(runner.stdout.take().unwrap()).lines().map(Result::unwrap);
    let _runner = KillOnDrop(runner);
    let warning = lines.find(|line| line.contains("urgent.json")).unwrap();
    assert!(warning.contains("WARNING ignoring unreadable entry"), "{warning}");
    assert!(warning.contains(&remedy), "{warning}");
    let done = Command::new("chown").arg(NOBODY.to_string()).arg(&path).status().unwrap();
    assert!(done.success());
    // The run is not treated as a disk failure.
    let next = lines.find(|line| line.contains("picked up action file")).unwrap();
    assert!(next.contains("urgent.json"), "{next}");

    // Configurations, jobs and plugins of root are reported in the same way.
    for (name, mode) in
        [("runner/runners/setuid/entity.cfg", 0o600), ("runner/plugins/report.sh", 0o700)]
    {
        chown(home.path(name), Some(0), Some(0)).unwrap();
        home.chmod(name, mode);
        let path = home.path(name).canonicalize().unwrap();
        let said = check();
        assert!(said.exit != 0, "{said:?}");
        let remedy = format!("`chown {NOBODY} {}`", path.display());
        assert!(words(&said.out).contains(&remedy), "{said:?}");
        chown(home.path(name), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    chown(home.path("runner/runner.cfg"), Some(0), Some(0)).unwrap();
    let said = check();
    // The command line may name any file, so that no command that changes it is advised.
    let reason = format!("it belongs to user 0, and user {NOBODY} may not read it");
    assert!(said.err.contains(&reason) && !said.err.contains("chown"), "{said:?}");
    let said = CommandOutput::of(&mut as_nobody(&home, &["action", "/etc/shadow"]));
    assert!(said.err.contains(&reason) && !said.err.contains("chown"), "{said:?}");
}

#[test]
fn no_command_is_advised_for_files_that_are_not_the_runners() {
    let home = Home::installed();
    let config = home.read("runner/runner.cfg");
    // A folder that is shared by all users.
    let spool = config.replace("[runner]", "[runner]\nspool = /tmp");
    home.write("shared.cfg", &spool);
    let said = home.run(&["-c", "shared.cfg", "check", "--offline"]);
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("/tmp is shared by all users"), "{said:?}");
    assert!(!words.contains("chmod go-w /tmp`"), "{said:?}");
    // A file that contains more than a passphrase.
    let passphrase = config.replace("[client]", "[client]\npassphrasefile = /etc/passwd");
    home.write("passphrase.cfg", &passphrase);
    let said = home.run(&["-c", "passphrase.cfg", "check", "--offline"]);
    assert!(said.out.contains("other users can read /etc/passwd"), "{said:?}");
    assert!(!said.out.contains("chmod"), "{said:?}");
}

#[test]
fn check_judges_the_client_configuration_of_the_caller_as_root() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    const CALLER: u32 = 65533;
    let home = home_of_nobody();
    let (runner, caller) = (home.path("g"), home.path("caller/g"));
    let client = home.read(".migrc");
    let own = client.replace(runner.to_str().unwrap(), caller.to_str().unwrap());
    home.write("caller/.migrc", &own);
    for (program, arguments) in [
        ("cp", ["-a", runner.to_str().unwrap(), caller.to_str().unwrap()]),
        ("chown", ["-R", "65533:65533", home.path("caller").to_str().unwrap()]),
        ("chmod", ["-R", "a+rX", home.path("runner").to_str().unwrap()]),
    ] {
        assert!(Command::new(program).args(arguments).status().unwrap().success());
    }
    // The folder above both homes belongs to neither user.
    chown(home.path(""), Some(0), Some(0)).unwrap();
    home.chmod("", 0o755);
    home.chmod("caller/.migrc", 0o600);
    let mut command = as_nobody(&home, &["check", "--offline"]);
    command.uid(CALLER).gid(CALLER).env("HOME", home.path("caller"));
    let said = CommandOutput::of(&mut command);
    let mut end = Command::new("gpgconf");
    end.uid(CALLER).gid(CALLER).arg("--homedir").arg(&caller).args(["--kill", "all"]);
    assert!(end.status().unwrap().success());
    // The caller judges its own files, and the owner's files are those of the owner.
    assert!(!said.out.contains("could change it"), "{said:?}");
    assert!(said.out.contains("can sign"), "{said:?}");
}
