//! A module that runs as a child process, and what ends it.
//!
//! The message waits in memory that is the child's stdin, so that a module that
//! reads slowly or not at all holds nobody up; its output is read as it comes, up
//! to a limit. The thread waits in `poll` for the output, the end, the time limit or
//! a stop, whichever is first.
//!
//! **Invariants.** The child has a process group of its own, and nothing of the
//! group is left when this returns, nor of those that left it while the child ran. It gets a `PATH` and no other variable.

use std::fs::File;
use std::io::{self, PipeReader, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::limits;
use crate::spawn;
use crate::spawn::leftovers::Leftovers;
use crate::wake::Stop;

/// The most that a module may answer.
const OUTPUT_BYTES_MAX: usize = 64 << 20;
/// How much of it is read at once.
const READ_BYTES_MAX: usize = 64 << 10;
/// Where a module finds the host's programs.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How a module's run ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Exited {
        status: ExitStatus,
        /// All that it wrote to stdout.
        output: Vec<u8>,
    },
    /// It broke down, or could get no more memory.
    Aborted,
    /// The system killed it, as it does where memory or processor time is used up.
    Killed,
    /// It took too long and was killed.
    TimedOut,
    /// It answered more than [`OUTPUT_BYTES_MAX`] and was killed.
    TooLong,
    /// The platform stops, and it was killed.
    Stopped,
}

/// What a wait ended with.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Ready,
    Stop,
    Time,
}

/// Runs `program module NAME` with `message` on its stdin, for `timeout` at most.
pub(crate) fn run(
    program: &Path,
    name: &str,
    message: &[u8],
    timeout: Duration,
    stop: &Stop,
) -> io::Result<Ended> {
    let until = Instant::now().checked_add(timeout);
    let line = stop.pipe()?;
    if stop.asked() {
        return Ok(Ended::Stopped);
    }
    let mut child = start(program, name, message)?;
    let group = Pid::from_child(&child);
    let ended = limits::set(group, timeout).and_then(|()| follow(&mut child, group, &line, until));
    // The child is not reaped yet, so that nobody else can have got its group's number.
    // Where nobody is left to be killed, there is nothing to do.
    let mut leftovers = Leftovers::default();
    leftovers.find(group, None);
    kill_process_group(group, Signal::KILL).ok();
    leftovers.kill(group, None);
    let status = child.wait()?;
    Ok(match ended? {
        Followed::Ended(output) => ended_by_itself(status, output),
        Followed::TooLong => Ended::TooLong,
        Followed::Told(Event::Stop) => Ended::Stopped,
        Followed::Told(Event::Time | Event::Ready) => Ended::TimedOut,
    })
}

/// Says how a module ended that we did not end.
fn ended_by_itself(status: ExitStatus, output: Vec<u8>) -> Ended {
    match status.signal() {
        Some(signal) if signal == Signal::ABORT.as_raw() => Ended::Aborted,
        Some(signal) if signal == Signal::KILL.as_raw() || signal == Signal::XCPU.as_raw() => {
            Ended::Killed
        }
        _ => Ended::Exited { status, output },
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
        .process_group(0)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    spawn::start(&mut command)
}

enum Followed {
    Ended(Vec<u8>),
    TooLong,
    Told(Event),
}

/// Reads what the child writes until it has ended or must be.
fn follow(
    child: &mut Child,
    group: Pid,
    line: &PipeReader,
    until: Option<Instant>,
) -> io::Result<Followed> {
    // Opened before the module has done its work, which is lost if there is no descriptor left.
    let handle = pidfd_open(group, PidfdFlags::empty())?;
    let mut output = Vec::new();
    let mut buffer = vec![0; READ_BYTES_MAX];
    if let Some(stdout) = &mut child.stdout {
        loop {
            match wait(stdout.as_fd(), line, until)? {
                Event::Ready => {}
                told => return Ok(Followed::Told(told)),
            }
            let size = stdout.read(&mut buffer)?;
            if size == 0 {
                break;
            }
            output.extend_from_slice(buffer.get(..size).unwrap_or_default());
            if output.len() > OUTPUT_BYTES_MAX {
                return Ok(Followed::TooLong);
            }
        }
    }
    // It may have closed its output and go on.
    Ok(match wait(handle.as_fd(), line, until)? {
        Event::Ready => Followed::Ended(output),
        told => Followed::Told(told),
    })
}

/// Waits until `source` can be read, a stop is asked for or the time is over.
fn wait(source: BorrowedFd<'_>, line: &PipeReader, until: Option<Instant>) -> io::Result<Event> {
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Ok(Event::Time);
        }
        // What is too long for the system to count is as good as for ever.
        let span = left.and_then(|left| Timespec::try_from(left).ok());
        let mut polled =
            [PollFd::new(line, PollFlags::IN), PollFd::from_borrowed_fd(source, PollFlags::IN)];
        match poll(&mut polled, span.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [stop, source] = &polled;
        if !stop.revents().is_empty() {
            return Ok(Event::Stop);
        }
        if !source.revents().is_empty() {
            return Ok(Event::Ready);
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Programs that stand in for modules.

    use std::io::Write;
    use std::path::Path;
    use std::process::{Command, Stdio};

    /// Makes `path` a program that runs `script`.
    pub(crate) fn write_program(path: &Path, script: &str) {
        // By another process: a file that is open for writing in this one, or in a child
        // that another test is just starting, cannot be executed.
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
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Runs `script` as a module would be run.
    fn run(script: &str, timeout: Duration, stop: &Stop) -> Ended {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        testing::write_program(&program, script);
        super::run(&program, "file", b"hello\n", timeout, stop).unwrap()
    }

    fn output(ended: Ended) -> (i32, String) {
        let Ended::Exited { status, output } = ended else { panic!("{ended:?}") };
        (status.code().unwrap(), String::from_utf8(output).unwrap())
    }

    #[test]
    fn a_module_gets_its_name_its_message_and_a_bare_environment() {
        let script =
            "echo \"$1 $2 $(cat) $(env | grep -v -e ^PWD -e ^_ -e ^SHLVL | wc -l)\"; exit 3";
        assert_eq!(
            output(run(script, LONG, &Stop::new())),
            (3, "module file hello 1\n".to_owned())
        );
    }

    #[test]
    fn a_module_that_neither_reads_nor_stays_is_no_error() {
        assert_eq!(output(run("exit 0", LONG, &Stop::new())), (0, String::new()));
    }

    #[test]
    fn a_module_is_killed_at_its_limit_with_all_that_it_started() {
        let mark = tempfile::NamedTempFile::new().unwrap();
        let script = format!("sleep 100 & echo $! > {}; wait", mark.path().display());
        let ended = run(&script, Duration::from_secs(2), &Stop::new());
        assert!(matches!(ended, Ended::TimedOut), "{ended:?}");
        let mut pid = String::new();
        mark.reopen().unwrap().read_to_string(&mut pid).unwrap();
        let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        // It was killed; that it has gone is a matter of moments.
        match pidfd_open(pid, PidfdFlags::empty()) {
            Err(error) => assert_eq!(error, Errno::SRCH),
            Ok(handle) => {
                let span = Timespec { tv_sec: 30, tv_nsec: 0 };
                let ended = poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&span));
                assert_eq!(ended, Ok(1), "{pid:?} lives on");
            }
        }
    }

    #[test]
    fn a_module_is_killed_with_what_has_left_its_group() {
        let mark = tempfile::NamedTempFile::new().unwrap();
        let script = format!("setsid sh -c 'echo $$ > {}; exec sleep 600'", mark.path().display());
        let ended = run(&script, Duration::from_secs(2), &Stop::new());
        assert!(matches!(ended, Ended::TimedOut), "{ended:?}");
        let mut pid = String::new();
        mark.reopen().unwrap().read_to_string(&mut pid).unwrap();
        let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        if let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) {
            let span = Timespec { tv_sec: 30, tv_nsec: 0 };
            let ended = poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&span));
            assert_eq!(ended, Ok(1), "{pid:?} lives on");
        }
    }

    #[test]
    fn a_module_that_closes_its_output_and_goes_on_is_killed_too() {
        let ended = run("exec >&-; sleep 100", Duration::from_millis(300), &Stop::new());
        assert!(matches!(ended, Ended::TimedOut), "{ended:?}");
    }

    #[test]
    fn a_module_gets_so_much_memory_and_no_more() {
        // It may begin before its limits are set, so it waits for the last of them.
        let script = "until [ \"$(ulimit -t)\" = 61 ]; do :; done; echo $(ulimit -v) $(ulimit -c)";
        let told = format!("{} 0\n", limits::MEMORY_BYTES_MAX / 1024);
        assert_eq!(output(run(script, LONG, &Stop::new())), (0, told));
    }

    #[test]
    fn a_module_that_breaks_down_is_told_from_one_that_fails() {
        assert!(matches!(run("kill -ABRT $$", LONG, &Stop::new()), Ended::Aborted));
        assert!(matches!(run("kill -KILL $$", LONG, &Stop::new()), Ended::Killed));
        assert!(matches!(run("kill -TERM $$", LONG, &Stop::new()), Ended::Exited { .. }));
    }

    #[test]
    fn a_module_that_counts_for_ever_is_ended_by_the_system_where_nobody_else_is_left() {
        let script =
            "until [ \"$(ulimit -t)\" = 61 ]; do :; done; ulimit -t 1; while :; do :; done";
        assert!(matches!(run(script, LONG, &Stop::new()), Ended::Killed));
    }

    #[test]
    fn a_stop_ends_a_module() {
        let stop = Stop::new();
        stop.ask();
        assert!(matches!(run("sleep 100", LONG, &stop), Ended::Stopped));
        // It is not even started.
        let nothing = Path::new("/nonexistent");
        assert!(matches!(super::run(nothing, "file", b"", LONG, &stop), Ok(Ended::Stopped)));
    }

    #[test]
    fn an_endless_answer_is_cut_off() {
        assert!(matches!(run("exec cat /dev/zero", LONG, &Stop::new()), Ended::TooLong));
    }
}
