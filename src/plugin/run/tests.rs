//! Plugins of every temper, as real processes.

#![expect(clippy::disallowed_methods, reason = "tests look behind the disk's back")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use rustix::process::{Pid, Signal, kill_process};

use super::*;
use crate::chain::Chain;
use crate::plugin::Plugins;

/// Longer than any plugin here should take, even on a busy machine.
const AMPLE: Duration = Duration::from_secs(60);

/// Who ends before that was not killed.
const PATIENCE: Duration = Duration::from_secs(3);

struct Rig {
    folder: tempfile::TempDir,
    stop: Stop,
}

impl Rig {
    fn new(script: &str) -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let plugins = folder.path().join("plugins");
        fs::create_dir(&plugins).unwrap();
        fs::set_permissions(&plugins, Permissions::from_mode(0o700)).unwrap();
        let rig = Rig { folder, stop: Stop::new() };
        rig.put("results.json", b"{\"commands\":[]}\n", 0o600);
        rig.put("plugins/report", script.as_bytes(), 0o700);
        rig
    }

    /// A file that no process holds open for writing, as an executable must be:
    /// a plugin that another test forks at the wrong moment inherits such a descriptor.
    fn put(&self, name: &str, bytes: &[u8], mode: u32) -> PathBuf {
        use std::io::Write;
        let path = self.folder.path().join(name);
        let copy = Command::new("sh")
            .args(["-c", "umask 077 && cat > \"$0\" && chmod \"$1\" \"$0\""])
            .arg(&path)
            .arg(format!("{mode:o}"))
            .stdin(std::process::Stdio::piped())
            .spawn();
        let mut copy = copy.unwrap();
        copy.stdin.take().unwrap().write_all(bytes).unwrap();
        assert!(copy.wait().unwrap().success());
        path
    }

    /// A named pipe: who opens one end waits for the other.
    fn pipe(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    fn run(&self, timeout: Duration) -> Ended {
        let plugins = Plugins::new(self.folder.path().join("plugins"));
        let name = "report".parse().unwrap();
        let executable = plugins.find(&name).unwrap();
        let delivery = Delivery {
            job: &"a job".parse().unwrap(),
            plugin: &name,
            run: &"a job.20261122T120010Z".parse().unwrap(),
            action: ActionId(42),
            attempt: 3,
            results: &self.folder.path().join("results.json"),
        };
        run(&executable, &delivery, &Limits { timeout, output_bytes_max: 64 }, &self.stop)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }
}

fn run_script(script: &str) -> Ended {
    Rig::new(script).run(AMPLE)
}

/// Tells whether a process still lives; what is dead and not reaped does not.
fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

/// Waits for the end of a process that was killed: the signal is sent, not yet obeyed.
fn dies(pid: &str) -> bool {
    let begun = Instant::now();
    while lives(pid) && begun.elapsed() < AMPLE {
        std::thread::yield_now();
    }
    !lives(pid)
}

#[test]
fn reads_the_document_itself_and_delivers() {
    let ended = run_script("#!/bin/sh\ncat\n");
    assert!(matches!(ended.outcome, Outcome::Delivered), "{ended:?}");
    assert_eq!(ended.output, "{\"commands\":[]}");
    let rig = Rig::new("#!/bin/sh\nreadlink /proc/self/fd/0\n");
    assert_eq!(rig.run(AMPLE).output, rig.path("results.json").to_str().unwrap());
}

#[test]
fn cannot_write_the_document() {
    let ended = run_script("#!/bin/sh\necho x >&0\n");
    assert!(matches!(ended.outcome, Outcome::Failed { .. }), "{ended:?}");
}

#[test]
fn an_exit_status_says_how_it_went() {
    let ended = run_script("#!/bin/sh\nexit 75\n");
    assert!(matches!(ended.outcome, Outcome::TryLater), "{ended:?}");
    let ended = run_script("#!/bin/sh\necho out; echo err >&2; exit 3\n");
    assert!(matches!(ended.outcome, Outcome::Failed { why: RunError::Status(3) }), "{ended:?}");
    assert_eq!(ended.output, "out\nerr");
    let ended = run_script("#!/bin/sh\nkill -SEGV $$\n");
    assert!(matches!(ended.outcome, Outcome::Failed { why: RunError::Signal(11) }), "{ended:?}");
}

#[test]
fn its_surroundings_are_the_delivery_and_nothing_else() {
    let rig = Rig::new("#!/usr/bin/env -S sh -c 'env | sort > ../env; pwd > ../pwd'\n");
    let ended = rig.run(AMPLE);
    assert!(matches!(ended.outcome, Outcome::Delivered), "{ended:?}");
    let read = |name| fs::read_to_string(rig.path(name)).unwrap();
    assert_eq!(read("pwd").trim_end(), rig.path("plugins").to_str().unwrap());
    let results = rig.folder.path().join("results.json");
    let expected = format!(
        "LANG=C.UTF-8\nMIG_ACTION_ID=42\nMIG_ATTEMPT=3\nMIG_JOB=a job\nMIG_PLUGIN=report\n\
         MIG_RESULTS={}\nMIG_RUN=a job.20261122T120010Z\nPATH={PATH}\nPWD={}\n",
        results.display(),
        rig.path("plugins").display()
    );
    let (env, begin) = (read("env"), format!("MIG_DELIVERY={}-", std::process::id()));
    let (marks, others): (Vec<_>, Vec<_>) =
        env.split_inclusive('\n').partition(|line| line.starts_with(&begin));
    assert_eq!(marks.len(), 1, "{env}");
    assert_eq!(others.concat(), expected, "PWD is set by the shell");
}

#[test]
fn an_endless_talker_is_not_blocked_and_only_its_end_is_kept() {
    let ended = run_script("#!/bin/sh\nyes | head -c 3000000\necho; echo the end\n");
    assert!(matches!(ended.outcome, Outcome::Delivered), "{ended:?}");
    assert!(ended.output.starts_with('…') && ended.output.ends_with("y\n\nthe end"), "{ended:?}");
    assert!(ended.output.len() < 70);
    let ended = Rig::new("#!/bin/sh\nexec yes\n").run(Duration::from_millis(300));
    assert!(matches!(ended.outcome, Outcome::TimedOut), "{ended:?}");
}

#[test]
fn the_time_limit_ends_the_whole_group() {
    let script = "#!/bin/sh\nsleep 600 &\necho $!\nsleep 600 & echo $!\nwait\n";
    let ended = Rig::new(script).run(Duration::from_millis(500));
    assert!(matches!(ended.outcome, Outcome::TimedOut), "{ended:?}");
    assert!(ended.output.lines().all(dies), "{ended:?}");
    assert_eq!(ended.output.lines().count(), 2);
}

#[test]
fn who_ignores_the_order_to_end_is_killed() {
    let script = "#!/bin/sh\ntrap 'echo no' TERM\nwhile :; do sleep 600 & wait; done\n";
    let ended = Rig::new(script).run(Duration::from_millis(500));
    assert!(matches!(ended.outcome, Outcome::TimedOut), "{ended:?}");
    assert_eq!(ended.output, "no");
    assert!(ended.took > PATIENCE && ended.took < AMPLE, "{ended:?}");
}

#[test]
fn who_says_0_when_told_to_end_has_not_delivered() {
    let ended = Rig::new("#!/bin/sh\ntrap 'exit 0' TERM\nsleep 600 & wait\n")
        .run(Duration::from_millis(500));
    assert!(matches!(ended.outcome, Outcome::TimedOut), "{ended:?}");
}

#[test]
fn a_stop_ends_a_plugin_that_runs_and_starts_none() {
    let rig = Rig::new("#!/bin/sh\n: > ../began\nexec sleep 600\n");
    let (stop, began) = (rig.stop.clone(), rig.pipe("began"));
    let asker = std::thread::spawn(move || {
        fs::read(began).unwrap();
        stop.ask();
    });
    let ended = rig.run(AMPLE);
    asker.join().unwrap();
    assert!(matches!(ended.outcome, Outcome::Stopped), "{ended:?}");
    assert!(ended.took < AMPLE, "{ended:?}");
    let rig = Rig { stop: rig.stop, ..Rig::new("#!/bin/sh\n: > ../began\n") };
    assert!(matches!(rig.run(AMPLE).outcome, Outcome::Stopped));
    assert!(!rig.path("began").exists());
}

#[test]
fn children_that_hold_the_output_hold_nobody_up() {
    let ended = run_script("#!/bin/sh\nsleep 600 &\necho $!\n");
    assert!(matches!(ended.outcome, Outcome::Delivered), "{ended:?}");
    assert!(ended.took < AMPLE, "{ended:?}");
    assert!(dies(&ended.output), "what is left of the group is ended");
}

#[test]
fn what_a_child_says_just_after_the_end_is_kept() {
    let script = "#!/bin/sh\n(until grep -q ') Z' /proc/$$/stat; do :; done; echo late) &\n";
    let ended = run_script(script);
    assert!(matches!(ended.outcome, Outcome::Delivered), "{ended:?}");
    assert_eq!(ended.output, "late");
}

#[test]
fn who_left_the_group_is_let_go_and_holds_nobody_up() {
    let script = "#!/bin/sh\nsetsid sh -c 'echo $$ > ../pid; exec sleep 600' &\ncat ../pid\n";
    let rig = Rig::new(script);
    rig.pipe("pid");
    let ended = rig.run(AMPLE);
    assert!(matches!(ended.outcome, Outcome::Delivered), "{ended:?}");
    assert!(lives(&ended.output));
    let pid = Pid::from_raw(ended.output.trim().parse().unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
}

#[test]
fn who_left_the_group_of_a_plugin_that_is_ended_is_ended_too() {
    // In a session of its own; an orphan in one; one in a group of its own, as `timeout` makes it.
    let script = "#!/bin/sh\n\
        setsid sh -c 'echo $$ > ../1; exec sleep 600' &\n\
        (setsid sh -c 'echo $$ > ../2; exec sleep 600' &)\n\
        timeout 600 sh -c 'echo $$ > ../3; exec sleep 600' &\n\
        trap 'exit 0' TERM\n\
        until test -s ../1 && test -s ../2 && test -s ../3; do sleep 0.01; done\n\
        test -p ../began && : > ../began\n\
        sleep 600 & wait\n";
    for is_stopped in [true, false] {
        let rig = Rig::new(script);
        if is_stopped {
            let (stop, began) = (rig.stop.clone(), rig.pipe("began"));
            let asker = std::thread::spawn(move || {
                fs::read(began).unwrap();
                stop.ask();
            });
            let ended = rig.run(AMPLE);
            assert!(matches!(ended.outcome, Outcome::Stopped), "{ended:?}");
            asker.join().unwrap();
        } else {
            let ended = rig.run(PATIENCE);
            assert!(matches!(ended.outcome, Outcome::TimedOut), "{ended:?}");
        }
        for name in ["1", "2", "3"] {
            let pid = fs::read_to_string(rig.path(name)).unwrap();
            assert!(dies(pid.trim()), "{name}: {pid} lives on");
        }
    }
}

#[test]
fn who_closes_early_or_reads_nothing_is_no_trouble() {
    let rig = Rig::new("#!/bin/sh\nexec 0<&- 1>&- 2>&-\nexit 0\n");
    rig.put("results.json", &vec![b'x'; 4 << 20], 0o600);
    assert!(matches!(rig.run(AMPLE).outcome, Outcome::Delivered));
    rig.put("plugins/report", b"#!/bin/sh\nexec 1>&- 2>&-\nsleep 0.2\nexit 75\n", 0o700);
    let ended = rig.run(AMPLE);
    assert!(matches!(ended.outcome, Outcome::TryLater), "its end counts, not its output's");
}

#[test]
fn what_cannot_be_run_or_read_is_said() {
    let ended = run_script("#!/no/such/interpreter\n");
    let Outcome::Failed { why } = ended.outcome else { panic!("{ended:?}") };
    let told = Chain(&why).to_string();
    assert!(told.contains("plugins/report: No such file"), "{told}");
    let rig = Rig::new("#!/bin/sh\n");
    fs::remove_file(rig.path("results.json")).unwrap();
    let ended = rig.run(AMPLE);
    let Outcome::Failed { why } = ended.outcome else { panic!("{ended:?}") };
    assert!(why.to_string().starts_with("cannot open results /"), "{why}");
    rig.pipe("results.json");
    assert!(matches!(rig.run(AMPLE).outcome, Outcome::Failed { why: RunError::Results { .. } }));
}

#[test]
fn a_limit_beyond_all_time_is_none() {
    let ended = Rig::new("#!/bin/sh\nexit 0\n").run(Duration::MAX);
    assert!(matches!(ended.outcome, Outcome::Delivered), "{ended:?}");
}

#[test]
fn a_plugin_in_python_is_as_good_as_any() {
    if !Path::new("/usr/bin/python3").exists() {
        return;
    }
    let script = "#!/usr/bin/python3\nimport json, sys\n\
                  print(len(json.load(sys.stdin)['commands']), sys.stdout.encoding)\n";
    let ended = run_script(script);
    assert!(matches!(ended.outcome, Outcome::Delivered), "{ended:?}");
    assert_eq!(ended.output, "0 utf-8");
}
