//! Real plugin processes that behave well or badly.

#![expect(clippy::disallowed_methods, reason = "tests read and write files directly")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use rustix::process::{Pid, Signal, kill_process};

use super::*;
use crate::chain::Chain;
use crate::plugin::Plugins;

/// Longer than any plugin here takes, even on a busy machine.
const AMPLE: Duration = Duration::from_secs(60);

/// A plugin that ended within this time was not killed.
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

    /// Writes a file that no process holds open for writing, as an executable must be: a plugin
    /// that another test starts at the wrong moment would inherit such a descriptor.
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

    /// Creates a named pipe: opening one end waits for the other end.
    fn pipe(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    fn run(&self, timeout: Duration) -> PluginExit {
        let plugins = Plugins::new(self.folder.path().join("plugins"));
        let name = "report".parse().unwrap();
        let executable = plugins.find(&name).unwrap();
        let delivery = PluginCall {
            job: &"a job".parse().unwrap(),
            plugin: &name,
            run: &"a job.20261122T120010Z".parse().unwrap(),
            action: ActionId(42),
            attempt: 3,
            results: &self.folder.path().join("results.json"),
        };
        run(&executable, &delivery, &PluginLimits { timeout, output_bytes_max: 64 }, &self.stop)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }
}

fn run_script(script: &str) -> PluginExit {
    Rig::new(script).run(AMPLE)
}

/// Returns whether a process still runs; a zombie does not.
fn is_running(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

/// Waits for the end of a process that was killed: a signal takes effect only some time later.
fn ends(pid: &str) -> bool {
    let begun = Instant::now();
    while is_running(pid) && begun.elapsed() < AMPLE {
        std::thread::yield_now();
    }
    !is_running(pid)
}

#[test]
fn document_is_stdin_itself() {
    let ended = run_script("#!/bin/sh\ncat\n");
    assert!(matches!(ended.outcome, PluginOutcome::Delivered), "{ended:?}");
    assert_eq!(ended.output, "{\"commands\":[]}");
    let rig = Rig::new("#!/bin/sh\nreadlink /proc/self/fd/0\n");
    assert_eq!(rig.run(AMPLE).output, rig.path("results.json").to_str().unwrap());
}

#[test]
fn document_cannot_be_written() {
    let ended = run_script("#!/bin/sh\necho x >&0\n");
    assert!(matches!(ended.outcome, PluginOutcome::Failed { .. }), "{ended:?}");
}

#[test]
fn exit_status_decides_the_outcome() {
    let ended = run_script("#!/bin/sh\nexit 75\n");
    assert!(matches!(ended.outcome, PluginOutcome::TryLater), "{ended:?}");
    let ended = run_script("#!/bin/sh\necho out; echo err >&2; exit 3\n");
    assert!(
        matches!(ended.outcome, PluginOutcome::Failed { why: RunError::Status(3) }),
        "{ended:?}"
    );
    assert_eq!(ended.output, "out\nerr");
    let ended = run_script("#!/bin/sh\nkill -SEGV $$\n");
    assert!(
        matches!(ended.outcome, PluginOutcome::Failed { why: RunError::Signal(11) }),
        "{ended:?}"
    );
}

#[test]
fn environment_has_only_the_variables_of_the_delivery() {
    let rig = Rig::new("#!/usr/bin/env -S sh -c 'env | sort > ../env; pwd > ../pwd'\n");
    let ended = rig.run(AMPLE);
    assert!(matches!(ended.outcome, PluginOutcome::Delivered), "{ended:?}");
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
fn endless_output_does_not_block_and_only_its_end_is_kept() {
    let ended = run_script("#!/bin/sh\nyes | head -c 3000000\necho; echo the end\n");
    assert!(matches!(ended.outcome, PluginOutcome::Delivered), "{ended:?}");
    assert!(ended.output.starts_with('…') && ended.output.ends_with("y\n\nthe end"), "{ended:?}");
    assert!(ended.output.len() < 70);
    let ended = Rig::new("#!/bin/sh\nexec yes\n").run(Duration::from_millis(300));
    assert!(matches!(ended.outcome, PluginOutcome::TimedOut), "{ended:?}");
}

#[test]
fn time_limit_ends_the_whole_group() {
    let script = "#!/bin/sh\nsleep 600 &\necho $!\nsleep 600 & echo $!\nwait\n";
    let ended = Rig::new(script).run(Duration::from_millis(500));
    assert!(matches!(ended.outcome, PluginOutcome::TimedOut), "{ended:?}");
    assert!(ended.output.lines().all(ends), "{ended:?}");
    assert_eq!(ended.output.lines().count(), 2);
}

#[test]
fn plugin_that_ignores_sigterm_is_killed() {
    let script = "#!/bin/sh\ntrap 'echo no' TERM\nwhile :; do sleep 600 & wait; done\n";
    let ended = Rig::new(script).run(Duration::from_millis(500));
    assert!(matches!(ended.outcome, PluginOutcome::TimedOut), "{ended:?}");
    assert_eq!(ended.output, "no");
    assert!(ended.took > PATIENCE && ended.took < AMPLE, "{ended:?}");
}

#[test]
fn plugin_that_exits_with_0_after_sigterm_has_not_delivered() {
    let ended = Rig::new("#!/bin/sh\ntrap 'exit 0' TERM\nsleep 600 & wait\n")
        .run(Duration::from_millis(500));
    assert!(matches!(ended.outcome, PluginOutcome::TimedOut), "{ended:?}");
}

#[test]
fn stop_ends_a_running_plugin_and_prevents_a_new_one() {
    let rig = Rig::new("#!/bin/sh\n: > ../began\nexec sleep 600\n");
    let (stop, began) = (rig.stop.clone(), rig.pipe("began"));
    let stopper = std::thread::spawn(move || {
        fs::read(began).unwrap();
        stop.request();
    });
    let ended = rig.run(AMPLE);
    stopper.join().unwrap();
    assert!(matches!(ended.outcome, PluginOutcome::Stopped), "{ended:?}");
    assert!(ended.took < AMPLE, "{ended:?}");
    let rig = Rig { stop: rig.stop, ..Rig::new("#!/bin/sh\n: > ../began\n") };
    assert!(matches!(rig.run(AMPLE).outcome, PluginOutcome::Stopped));
    assert!(!rig.path("began").exists());
}

#[test]
fn children_that_hold_the_output_open_cause_no_delay() {
    let ended = run_script("#!/bin/sh\nsleep 600 &\necho $!\n");
    assert!(matches!(ended.outcome, PluginOutcome::Delivered), "{ended:?}");
    assert!(ended.took < AMPLE, "{ended:?}");
    assert!(ends(&ended.output), "the rest of the group is killed");
}

#[test]
fn output_of_a_child_just_after_the_end_is_kept() {
    let script = "#!/bin/sh\n(until grep -q ') Z' /proc/$$/stat; do :; done; echo late) &\n";
    let ended = run_script(script);
    assert!(matches!(ended.outcome, PluginOutcome::Delivered), "{ended:?}");
    assert_eq!(ended.output, "late");
}

#[test]
fn process_that_left_the_group_continues_and_causes_no_delay() {
    let script = "#!/bin/sh\nsetsid sh -c 'echo $$ > ../pid; exec sleep 600' &\ncat ../pid\n";
    let rig = Rig::new(script);
    rig.pipe("pid");
    let ended = rig.run(AMPLE);
    assert!(matches!(ended.outcome, PluginOutcome::Delivered), "{ended:?}");
    assert!(is_running(&ended.output));
    let pid = Pid::from_raw(ended.output.trim().parse().unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
}

#[test]
fn processes_outside_the_group_end_with_a_plugin_that_is_ended() {
    // In its own session; as an orphan in its own session; in its own group, as `timeout` creates
    // it.
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
            let stopper = std::thread::spawn(move || {
                fs::read(began).unwrap();
                stop.request();
            });
            let ended = rig.run(AMPLE);
            assert!(matches!(ended.outcome, PluginOutcome::Stopped), "{ended:?}");
            stopper.join().unwrap();
        } else {
            let ended = rig.run(PATIENCE);
            assert!(matches!(ended.outcome, PluginOutcome::TimedOut), "{ended:?}");
        }
        for name in ["1", "2", "3"] {
            let pid = fs::read_to_string(rig.path(name)).unwrap();
            assert!(ends(pid.trim()), "{name}: {pid} still runs");
        }
    }
}

#[test]
fn plugin_that_closes_its_streams_or_reads_nothing_may_deliver() {
    let rig = Rig::new("#!/bin/sh\nexec 0<&- 1>&- 2>&-\nexit 0\n");
    rig.put("results.json", &vec![b'x'; 4 << 20], 0o600);
    assert!(matches!(rig.run(AMPLE).outcome, PluginOutcome::Delivered));
    rig.put("plugins/report", b"#!/bin/sh\nexec 1>&- 2>&-\nsleep 0.2\nexit 75\n", 0o700);
    let ended = rig.run(AMPLE);
    assert!(
        matches!(ended.outcome, PluginOutcome::TryLater),
        "its end counts, not that of its output"
    );
}

#[test]
fn failure_to_start_or_to_open_results_is_reported() {
    let ended = run_script("#!/no/such/interpreter\n");
    let PluginOutcome::Failed { why } = ended.outcome else { panic!("{ended:?}") };
    let error = Chain(&why).to_string();
    assert!(error.contains("plugins/report: No such file"), "{error}");
    let rig = Rig::new("#!/bin/sh\n");
    fs::remove_file(rig.path("results.json")).unwrap();
    let ended = rig.run(AMPLE);
    let PluginOutcome::Failed { why } = ended.outcome else { panic!("{ended:?}") };
    assert!(why.to_string().starts_with("cannot open results /"), "{why}");
    rig.pipe("results.json");
    assert!(matches!(
        rig.run(AMPLE).outcome,
        PluginOutcome::Failed { why: RunError::Results { .. } }
    ));
}

#[test]
fn time_limit_beyond_the_clock_is_unlimited() {
    let ended = Rig::new("#!/bin/sh\nexit 0\n").run(Duration::MAX);
    assert!(matches!(ended.outcome, PluginOutcome::Delivered), "{ended:?}");
}

#[test]
fn python_plugin_gets_utf8() {
    if !Path::new("/usr/bin/python3").exists() {
        return;
    }
    let script = "#!/usr/bin/python3\nimport json, sys\n\
                  print(len(json.load(sys.stdin)['commands']), sys.stdout.encoding)\n";
    let ended = run_script(script);
    assert!(matches!(ended.outcome, PluginOutcome::Delivered), "{ended:?}");
    assert_eq!(ended.output, "0 utf-8");
}
