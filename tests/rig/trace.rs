//! Runs a runner under strace, which kills it at a system call or makes the call fail.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use super::Rig;
use super::process::Process;

/// The remedy if strace does not work.
const REMEDY: &str = "these tests run the runner under strace: install it with `.ci/packages test`, and allow \
                      ptrace (in a container --cap-add=SYS_PTRACE, elsewhere `sysctl kernel.yama.ptrace_scope=1`)";

/// Panics if strace does not work here, because the proof depends on it.
pub(crate) fn require_strace() {
    let tried = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    match tried {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!("{}: {REMEDY}", String::from_utf8_lossy(&output.stderr).trim()),
        Err(error) => panic!("strace: {error}: {REMEDY}"),
    }
}

/// The number of calls, by the name of the system call.
pub(crate) type Counts = BTreeMap<String, u64>;

impl Rig {
    /// Starts a runner under strace with these options. GnuPG and plugins are not traced.
    pub(crate) fn traced(&self, options: &[&str]) -> Process {
        let runner = self.mig_runner("runner.cfg", &[]);
        let mut strace = Command::new("strace");
        strace.args(["-f", "-b", "execve", "-q", "-o"]).arg(self.path("trace")).args(options);
        strace.arg(runner.get_program()).args(runner.get_args());
        for (name, value) in runner.get_envs() {
            match value {
                Some(value) => strace.env(name, value),
                None => strace.env_remove(name),
            };
        }
        Process::start(strace, &self.path("logs"), "traced")
    }

    /// Tampers with one system call of one running thread.
    pub(crate) fn trace_thread(&self, thread: &str, call: &str, tamper: &str) -> Process {
        let mut strace = Command::new("strace");
        strace.args(["-p", thread, "-o", "/dev/null"]);
        strace.args(["-e", &format!("trace=?{call}"), "-e", &format!("inject=?{call}:{tamper}")]);
        Process::start(strace, &self.path("logs"), "tracer")
    }

    /// Returns the number of each call by the thread of the last traced runner that made most of them.
    #[expect(clippy::disallowed_methods, reason = "tests read the written trace")]
    pub(crate) fn counts(&self) -> Counts {
        let text = fs::read_to_string(self.path("trace")).unwrap();
        let mut threads: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for line in text.lines() {
            let Some((thread, rest)) = line.split_once(' ') else { continue };
            let Some((call, _)) = rest.trim_start().split_once('(') else { continue };
            *threads.entry((thread, call)).or_default() += 1;
        }
        let mut counts = Counts::new();
        for ((_, call), count) in threads {
            let most = counts.entry(call.to_owned()).or_default();
            *most = count.max(*most);
        }
        counts
    }
}
