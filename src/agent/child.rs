//! Runs a module as a child process, with limits on its time, memory and output.
//!
//! The message is a file in memory that is the child's stdin, so a module that reads slowly or not
//! at all blocks no writer. The output is read as it arrives, up to a limit. The worker's thread
//! waits in `poll` for the first of: output, the child's end, the time limit, a stop.
//!
//! The agent enforces the time limit. The kernel enforces the same limit on processor time, so that
//! a module stops even if the agent is killed. It also limits memory, and writes no core file,
//! which would contain what the module read from the host's files.
//!
//! **Invariants.** The child has its own session, and so its own process group. When [`run`] returns,
//! no process of the group is left, nor any process that left the group while the child ran. The
//! child's environment contains `PATH` and no other variable.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, getrlimit, kill_process_group, pidfd_open, prlimit,
};

use super::WORKERS;
use crate::spawn::deadline::Deadline;
use crate::spawn::leftovers::Leftovers;
use crate::spawn::session::start_in_session;
use crate::wake::Stop;

/// Maximum number of bytes in one read of the output.
const READ_BYTES_MAX: usize = 64 << 10;
/// Limit on the address spaces of all processes of the modules that run at the same time, in bytes.
/// They hold patterns, results and libraries.
const MODULES_MEMORY_BYTES_MAX: u64 = 2 << 30;
/// The `PATH` of a module, where it finds the host's programs.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How a module's run ended.
#[derive(Debug)]
pub(crate) enum ChildEnd {
    Exited {
        status: ExitStatus,
        /// Everything that the module wrote to stdout.
        output: Vec<u8>,
    },
    /// The module crashed or could not allocate memory.
    Aborted,
    /// The kernel killed the module, as it does when memory or processor time is used up.
    Killed,
    /// The module reached its time limit and was killed.
    TimedOut,
    /// The module wrote more than it may and was killed.
    OutputTooLong,
    /// The agent is stopping, and the module was killed.
    Stopped,
}

/// What ended a wait.
#[derive(Debug, PartialEq, Eq)]
enum WaitEnd {
    Readable,
    Stop,
    Deadline,
}

/// What ended the reading of a module's output.
enum ReadEnd {
    Exited(Vec<u8>),
    OutputTooLong,
    Stop,
    Deadline,
}

/// The limits of a module's run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunLimits {
    pub(crate) timeout: Duration,
    /// Maximum size of the output, in bytes.
    pub(crate) output_bytes_max: u64,
    /// Maximum size of the address space of each process, in bytes.
    pub(crate) memory_bytes_max: u64,
}

/// Returns the limit on the address space of each process of a module, of which `processes` run at
/// the same time. The kernel cannot limit what they use together.
pub(super) fn memory_bytes_max(processes: u64) -> u64 {
    MODULES_MEMORY_BYTES_MAX / WORKERS / processes
}

/// Runs `program module NAME` with `message` on its stdin, within `limits`.
pub(crate) fn run(
    program: &Path,
    name: &str,
    message: &[u8],
    limits: RunLimits,
    stop: &Stop,
) -> io::Result<ChildEnd> {
    let deadline = Deadline::after(limits.timeout);
    let stop_pipe = stop.pipe()?;
    if stop.is_requested() {
        return Ok(ChildEnd::Stopped);
    }
    let mut child = start(program, name, message)?;
    let group = Pid::from_child(&child);
    let ended = set_limits(group, limits).and_then(|()| {
        read_output(&mut child, group, stop_pipe.as_fd(), deadline, limits.output_bytes_max)
    });
    // The child is not reaped yet, so no other process group can have its number. Killing fails
    // only if no process is left.
    let mut leftovers = Leftovers::default();
    leftovers.find(group, None);
    kill_process_group(group, Signal::KILL).ok();
    leftovers.kill(group, None);
    let status = child.wait()?;
    Ok(match ended? {
        ReadEnd::Exited(output) => exited(status, output),
        ReadEnd::OutputTooLong => ChildEnd::OutputTooLong,
        ReadEnd::Stop => ChildEnd::Stopped,
        ReadEnd::Deadline => ChildEnd::TimedOut,
    })
}

/// Classifies the end of a module that the agent did not kill.
fn exited(status: ExitStatus, output: Vec<u8>) -> ChildEnd {
    match status.signal() {
        Some(signal) if signal == Signal::ABORT.as_raw() => ChildEnd::Aborted,
        Some(signal) if signal == Signal::KILL.as_raw() || signal == Signal::XCPU.as_raw() => {
            ChildEnd::Killed
        }
        _ => ChildEnd::Exited { status, output },
    }
}

fn start(program: &Path, name: &str, message: &[u8]) -> io::Result<Child> {
    let mut stdin = File::from(memfd_create("parameters", MemfdFlags::CLOEXEC)?);
    stdin.write_all(message)?;
    stdin.rewind()?;
    let mut command = Command::new(program);
    command
        .args(["module", name])
        .env_clear()
        .env("PATH", PATH)
        .current_dir("/")
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    start_in_session(command)
}

/// Limits the processor time and memory of the process `pid`, and of each process that it starts
/// from now on.
fn set_limits(pid: Pid, limits: RunLimits) -> io::Result<()> {
    // The kernel counts whole seconds. One more lets the agent's own limit take effect first.
    let seconds = limits.timeout.as_secs().saturating_add(1);
    let memory = limits.memory_bytes_max;
    let limits = [(Resource::As, memory), (Resource::Core, 0), (Resource::Cpu, seconds)];
    for (resource, limit) in limits {
        // A stricter limit that is already in force stays.
        let limit = getrlimit(resource).maximum.map_or(limit, |max| max.min(limit));
        prlimit(Some(pid), resource, Rlimit { current: Some(limit), maximum: Some(limit) })?;
    }
    Ok(())
}

/// Reads the child's output until the child exits, a limit is reached or the agent stops.
fn read_output(
    child: &mut Child,
    group: Pid,
    stop: BorrowedFd<'_>,
    deadline: Deadline,
    output_bytes_max: u64,
) -> io::Result<ReadEnd> {
    // Opened before the output is read: if no descriptor is available, this fails before the module
    // has done its work.
    let handle = pidfd_open(group, PidfdFlags::empty())?;
    let mut output = Vec::new();
    let mut buffer = vec![0; READ_BYTES_MAX];
    if let Some(stdout) = &mut child.stdout {
        loop {
            match wait(stdout.as_fd(), stop, deadline)? {
                WaitEnd::Readable => {}
                WaitEnd::Stop => return Ok(ReadEnd::Stop),
                WaitEnd::Deadline => return Ok(ReadEnd::Deadline),
            }
            let size = stdout.read(&mut buffer)?;
            if size == 0 {
                break;
            }
            output.extend_from_slice(buffer.get(..size).unwrap_or_default());
            if u64::try_from(output.len()).is_ok_and(|bytes| bytes > output_bytes_max) {
                return Ok(ReadEnd::OutputTooLong);
            }
        }
    }
    // A module may close its output and continue to run.
    Ok(match wait(handle.as_fd(), stop, deadline)? {
        WaitEnd::Readable => ReadEnd::Exited(output),
        WaitEnd::Stop => ReadEnd::Stop,
        WaitEnd::Deadline => ReadEnd::Deadline,
    })
}

/// Waits until `source` can be read, the agent stops or the time limit is reached.
fn wait(source: BorrowedFd<'_>, stop: BorrowedFd<'_>, deadline: Deadline) -> io::Result<WaitEnd> {
    // A module that writes without end is always readable, and must still meet its time limit.
    if deadline.has_passed() {
        return Ok(WaitEnd::Deadline);
    }
    Ok(match deadline.first_readable(&[stop, source])? {
        Some(0) => WaitEnd::Stop,
        Some(_) => WaitEnd::Readable,
        None => WaitEnd::Deadline,
    })
}

#[cfg(test)]
pub(crate) mod testing {
    //! Scripts that stand in for modules.

    use std::io::Write;
    use std::path::Path;
    use std::process::{Command, Stdio};

    /// Writes an executable file that runs `script`.
    pub(crate) fn write_program(path: &Path, script: &str) {
        // Another process writes it: a file that is open for writing in this process, or in a
        // child that another test is just starting, cannot be executed.
        let mut writer = Command::new("sh")
            .args(["-c", "cat > \"$0\" && chmod 700 \"$0\""])
            .arg(path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        write!(writer.stdin.take().unwrap(), "#!/bin/sh\n{script}\n").unwrap();
        assert!(writer.wait().unwrap().success());
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn limits(timeout: Duration) -> RunLimits {
        RunLimits { timeout, output_bytes_max: 1 << 20, memory_bytes_max: memory_bytes_max(2) }
    }

    /// Runs `script` as the agent runs a module.
    fn run(script: &str, timeout: Duration, stop: &Stop) -> ChildEnd {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        testing::write_program(&program, script);
        super::run(&program, "file", b"hello\n", limits(timeout), stop).unwrap()
    }

    fn output(ended: ChildEnd) -> (i32, String) {
        let ChildEnd::Exited { status, output } = ended else { panic!("{ended:?}") };
        (status.code().unwrap(), String::from_utf8(output).unwrap())
    }

    #[test]
    fn module_gets_its_name_its_message_and_only_path() {
        let script =
            "echo \"$1 $2 $(cat) $(env | grep -v -e ^PWD -e ^_ -e ^SHLVL | wc -l)\"; exit 3";
        assert_eq!(
            output(run(script, LONG, &Stop::new())),
            (3, "module file hello 1\n".to_owned())
        );
    }

    #[test]
    fn module_that_ignores_its_message_succeeds() {
        assert_eq!(output(run("exit 0", LONG, &Stop::new())), (0, String::new()));
    }

    /// Checks that a process that was killed is gone, or will be soon.
    fn assert_ends_soon(pid: Pid) {
        match pidfd_open(pid, PidfdFlags::empty()) {
            Err(error) => assert_eq!(error, Errno::SRCH),
            Ok(handle) => assert!(
                Deadline::after(Duration::from_secs(30)).readable(&handle).unwrap(),
                "{pid:?} is still running"
            ),
        }
    }

    /// Runs a script as a module that reaches its time limit, and checks that the process whose id
    /// the script writes to a file is killed too. `script` takes the path of that file.
    fn assert_killed_at_time_limit(script: impl FnOnce(&str) -> String) {
        let pid_file = tempfile::NamedTempFile::new().unwrap();
        let script = script(pid_file.path().to_str().unwrap());
        let ended = run(&script, Duration::from_secs(2), &Stop::new());
        assert!(matches!(ended, ChildEnd::TimedOut), "{ended:?}");
        let mut pid = String::new();
        pid_file.reopen().unwrap().read_to_string(&mut pid).unwrap();
        assert_ends_soon(Pid::from_raw(pid.trim().parse().unwrap()).unwrap());
    }

    #[test]
    fn module_is_killed_at_its_time_limit_with_its_children() {
        assert_killed_at_time_limit(|pid_file| format!("sleep 100 & echo $! > {pid_file}; wait"));
    }

    #[test]
    fn module_is_killed_with_processes_that_left_its_group() {
        assert_killed_at_time_limit(|pid_file| {
            format!("setsid sh -c 'echo $$ > {pid_file}; exec sleep 600'")
        });
    }

    #[test]
    fn module_that_closes_its_output_is_killed_at_its_time_limit() {
        let ended = run("exec >&-; sleep 100", Duration::from_millis(300), &Stop::new());
        assert!(matches!(ended, ChildEnd::TimedOut), "{ended:?}");
    }

    #[test]
    fn memory_and_core_size_of_a_module_are_limited() {
        // The script may start before its limits are set, so it waits for the last of them.
        let script = "until [ \"$(ulimit -t)\" = 61 ]; do :; done; \
            echo $(ulimit -v) $(sh -c 'ulimit -v') $(ulimit -c)";
        let kibibytes = 256 << 10;
        let expected = format!("{kibibytes} {kibibytes} 0\n");
        assert_eq!(output(run(script, LONG, &Stop::new())), (0, expected));
    }

    #[test]
    fn crash_and_kill_differ_from_failure() {
        assert!(matches!(run("kill -ABRT $$", LONG, &Stop::new()), ChildEnd::Aborted));
        assert!(matches!(run("kill -KILL $$", LONG, &Stop::new()), ChildEnd::Killed));
        assert!(matches!(run("kill -TERM $$", LONG, &Stop::new()), ChildEnd::Exited { .. }));
    }

    #[test]
    fn endless_loop_is_ended_by_the_kernel() {
        let script =
            "until [ \"$(ulimit -t)\" = 61 ]; do :; done; ulimit -t 1; while :; do :; done";
        assert!(matches!(run(script, LONG, &Stop::new()), ChildEnd::Killed));
    }

    #[test]
    fn stop_kills_the_module() {
        let stop = Stop::new();
        stop.request();
        assert!(matches!(run("sleep 100", LONG, &stop), ChildEnd::Stopped));
        // The program is not started at all.
        let nothing = Path::new("/nonexistent");
        assert!(matches!(
            super::run(nothing, "file", b"", limits(LONG), &stop),
            Ok(ChildEnd::Stopped)
        ));
    }

    #[test]
    fn endless_output_is_cut_off() {
        assert!(matches!(run("exec cat /dev/zero", LONG, &Stop::new()), ChildEnd::OutputTooLong));
    }
}
