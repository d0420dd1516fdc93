//! A trial session: its processes, the run that is followed, and the cleanup.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::error::TrialError;
use super::folder::{JOB, TrialFolder};
use super::report;
use super::runner::Runner;
use crate::action::Summary;
use crate::cli::failure::{Failure, SystemError};
use crate::cli::output;
use crate::cli::platform::run;
use crate::cli::platform::standalone::Standalone;
use crate::cli::runner::follow::{Follower, Progress, RunEnd, print_event};
use crate::cli::runner::installation::Installation;
use crate::cli::runner::spool_access::SpoolAccess;
use crate::cli::runner::{outcome, trigger};
use crate::clock::{Clock, SystemClock};
use crate::config::logging::LogTarget;
use crate::data::Permissions;
use crate::invocation::Program;
use crate::logging::Log;
use crate::names::{JobName, RunId};
use crate::pgp::{self, NewKey};
use crate::platform::config::StandaloneConfig;
use crate::spool::Record;

/// The address of the platform; the system chooses a free port.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Time limit for the start of the runner.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Time limit for each move of the run: the action's period and a margin.
const MOVE_TIMEOUT: Duration = Duration::from_secs(200);
/// Interval of the checks for signals and the end of the runner.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);
/// Number of lines of the runner's log that are shown after a failure.
const LOG_LINES: usize = 10;
/// Size limit of the runner's log, in bytes.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;

const LEGEND: &str = "
A run is one small file. Its folder shows what happens next:
  action/    new: to be sent         inflight: running on the agents   done
  command/   ready: to be fetched    inflight: being fetched
             returned: results go to the plugin                        done

";

/// The signals that end a trial.
#[derive(Debug)]
pub(super) struct Interrupts {
    signals: Signals,
    first: Option<i32>,
}

impl Interrupts {
    /// Catches the signals from now on. Signals after the first one are ignored: the cleanup has
    /// its own time limits.
    pub(super) fn catch() -> Result<Interrupts, SystemError> {
        match Signals::new([SIGINT, SIGTERM, SIGHUP]) {
            Ok(signals) => Ok(Interrupts { signals, first: None }),
            Err(source) => Err(SystemError { doing: "wait for signals", source }),
        }
    }

    /// Returns the first signal that has arrived.
    fn signal(&mut self) -> Option<i32> {
        self.first = self.first.or_else(|| self.signals.pending().next());
        self.first
    }
}

#[derive(Debug)]
pub(super) struct Session {
    folder: TrialFolder,
    interrupts: Interrupts,
    /// The executable of this program.
    standalone: PathBuf,
    /// The executable of the runner.
    runner_program: PathBuf,
    platform: Option<Standalone>,
    runner: Option<Runner>,
}

impl Session {
    pub(super) fn new(
        folder: TrialFolder,
        interrupts: Interrupts,
        standalone: PathBuf,
        runner_program: PathBuf,
    ) -> Session {
        Session { folder, interrupts, standalone, runner_program, platform: None, runner: None }
    }

    /// Starts the platform and the runner, and waits for the end of one run.
    pub(super) fn run(&mut self) -> Result<(), Failure> {
        print_event(format!("folder    {}", self.folder.root().display()))?;
        self.start_platform()?;
        self.start_runner()?;
        let installation = Installation::load(&self.folder.path("runner.cfg"))?;
        let now = SystemClock.now();
        let job = JOB.parse::<JobName>().map_err(TrialError::JobName)?;
        let job = installation.job(&job, now)?;
        let spool = SpoolAccess::for_writing(&installation, &["trigger", JOB])?;
        output::raw(LEGEND)?;
        let follow = |id: &RunId| Follower::new(&spool, id);
        let (record, follower) = trigger::create_run(&job, &installation, &spool, now, follow)?;
        let record = self.follow(follower, &record)?;
        self.show_report(&record)
    }

    /// Creates a key, and starts a platform with its owner as an investigator.
    fn start_platform(&mut self) -> Result<(), Failure> {
        let home = self.folder.path("gnupg");
        let key = NewKey {
            owner: "mig-runner try <try@localhost>",
            algorithm: "rsa2048",
            passphrase: None,
        };
        let fingerprint = pgp::generate(&home, key).map_err(TrialError::Key)?;
        let armored = pgp::export(&home, &fingerprint).map_err(TrialError::Key)?;
        print_event(format!("key       {}", fingerprint.as_str()))?;
        let text = TrialFolder::platform_config(LISTEN);
        let file = self.folder.path("standalone.cfg");
        let config = StandaloneConfig::parse(text.as_bytes(), &file)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let target = LogTarget::File { path: self.folder.path("platform.log"), bytes_max: None };
        let log =
            Log::start(&run::logging_config(target), "mig-standalone", None, Arc::clone(&clock))?;
        let platform = Standalone::start(&config, self.standalone.clone(), clock, &log.root)?;
        let (address, url) = (platform.address(), platform.url());
        let data = platform.data();
        data.add_investigator("try", &armored, Permissions::RUNNER, &SystemClock)?;
        self.platform = Some(platform);
        print_event(format!("platform  {url}"))?;
        // With the port that the system chose, so that a kept platform can be started again.
        self.folder.write_configurations(address, &url, fingerprint.as_str())?;
        self.check()
    }

    /// Starts the runner, and waits until it has created its lock.
    fn start_runner(&mut self) -> Result<(), Failure> {
        let (config, log) = (self.folder.path("runner.cfg"), self.folder.path("runner.log"));
        self.runner = Some(Runner::start(&self.runner_program, &config, &log)?);
        let (lock, started) = (self.folder.path("spool/.lock"), Instant::now());
        while self.folder.disk().find(&lock)?.is_none() {
            if started.elapsed() > START_TIMEOUT {
                let what = "the start of the runner".to_owned();
                return Err(TrialError::Timeout { what, timeout: START_TIMEOUT }.into());
            }
            self.check()?;
        }
        print_event(format!("runner    {}", self.runner_program.display()))
    }

    /// Waits a moment; fails if a signal has arrived or the runner has ended.
    fn check(&mut self) -> Result<(), Failure> {
        let ended = match &self.runner {
            Some(runner) => runner.wait(Duration::from_millis(20))?,
            None => None,
        };
        if let Some(signal) = self.interrupts.signal() {
            return Err(self.interrupted(signal));
        }
        match ended {
            Some(status) => Err(TrialError::RunnerEnded { status }.into()),
            None => Ok(()),
        }
    }

    fn interrupted(&self, signal: i32) -> Failure {
        let kept = self.folder.is_kept().then(|| self.folder.root().to_owned());
        TrialError::Interrupted { signal, kept }.into()
    }

    /// Prints the moves of the run, and returns its record when it has finished.
    fn follow(&mut self, mut follower: Follower<'_>, record: &Record) -> Result<Record, Failure> {
        let mut last_move = Instant::now();
        loop {
            let reason = match follower.step(CHECK_INTERVAL)? {
                Progress::Ended(RunEnd::Finished(record)) => return Ok(*record),
                Progress::Ended(RunEnd::DeadLetter(reason)) => reason,
                Progress::Ended(RunEnd::Removed) => "its file was removed".to_owned(),
                Progress::Moved | Progress::Unchanged if last_move.elapsed() > MOVE_TIMEOUT => {
                    let what = format!("the next move of {}", record.id);
                    return Err(TrialError::Timeout { what, timeout: MOVE_TIMEOUT }.into());
                }
                progress => {
                    if matches!(progress, Progress::Moved) {
                        last_move = Instant::now();
                    }
                    self.check()?;
                    continue;
                }
            };
            return Err(TrialError::RunFailed { reason }.into());
        }
    }

    /// Prints the plugin's report; fails if the agent's answer or the delivery is incomplete.
    fn show_report(&self, record: &Record) -> Result<(), Failure> {
        output::raw("\nThe plugin report.sh received the results and wrote this report:\n\n")?;
        let report = Path::new("reports").join(format!("{}.txt", record.id));
        report::show(self.folder.disk(), &self.folder.root().join(report))?;
        let is_complete =
            |summary: &Summary| summary.answered == summary.sent && summary.failed == 0;
        let has_answer = record.summary.as_ref().is_some_and(is_complete);
        if !has_answer || outcome::has_given_up(record) {
            let reason = record.reason.clone().or_else(|| record.error.clone());
            let reason = reason.unwrap_or_else(|| "the agent did not answer completely".to_owned());
            return Err(TrialError::RunFailed { reason }.into());
        }
        Ok(())
    }

    /// Adds the end of the runner's log to a failure. If a signal has arrived, returns that as the
    /// cause.
    pub(super) fn explain(&mut self, failure: Failure) -> Failure {
        if failure.signal().is_some() {
            return failure;
        }
        if let Some(signal) = self.interrupts.signal() {
            return self.interrupted(signal);
        }
        let mut hints = Vec::new();
        let log = self.folder.disk().read(&self.folder.path("runner.log"), LOG_BYTES_MAX);
        if let Ok(bytes) = log {
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<&str> = text.lines().collect();
            hints.push("the runner's log ends with:".to_owned());
            let skipped = lines.len().saturating_sub(LOG_LINES);
            hints.extend(lines.into_iter().skip(skipped).map(str::to_owned));
        }
        if self.folder.is_kept() {
            hints.push(format!("the files are in {}", self.folder.root().display()));
        }
        failure.with_hints(hints)
    }

    /// Stops all processes, and removes the folder unless it is kept. If one step fails, the others
    /// are still tried.
    pub(super) fn clean_up(&mut self) -> Result<(), Failure> {
        let runner = self.runner.take().map_or(Ok(()), Runner::stop);
        let platform = self.platform.take().map_or(Ok(()), Standalone::stop);
        let agents = ["gnupg", "platform/data/gnupg"].map(|home| {
            let home = self.folder.path(home);
            let failed = |source| TrialError::Process { doing: "end GnuPG's agent", source };
            if home.is_dir() { pgp::end_gpg_agent(&home).map_err(failed) } else { Ok(()) }
        });
        let removed = self.folder.remove();
        runner?;
        platform?;
        agents.into_iter().collect::<Result<Vec<()>, _>>()?;
        removed
    }

    /// Prints the next steps, and the contents of a kept folder.
    pub(super) fn conclude(&self) -> Result<(), Failure> {
        if !self.folder.is_kept() {
            output::raw(
                "
This is what happens at each slot of a job: its action is signed, posted and run
by the agents; the results are fetched and passed to the plugins. All processes
have ended, and the folder was removed.

",
            )?;
            let keep = Program::Runner.command(&["try", "--keep", "DIR"]);
            output::answer(format!("To keep the files:               {keep}"))?;
            let init = Program::Runner.command(&["init", "DIR"]);
            return output::answer(format!("To create a runner's directory:  {init}"));
        }
        let folder = self.folder.root().display();
        output::answer("")?;
        output::answer(format!("All processes have ended. Their files are in {folder}:"))?;
        output::raw(
            "
  spool/           the state of each run, one file in one folder
  runners/setuid/  the job, and a link to its results
  plugins/         programs that receive the results; report.sh writes to reports/
  runner.log       the log of the runner
  platform/        the spool and the database of the platform

To run the job again, type each of these commands into a terminal of its own:

",
        )?;
        let (runner, platform) =
            (self.folder.path("runner.cfg"), self.folder.path("standalone.cfg"));
        let (runner, platform) = (runner.to_string_lossy(), platform.to_string_lossy());
        output::answer(Program::Standalone.command(&["-c", &platform, "run"]))?;
        output::answer(Program::Runner.command(&["-c", &runner, "run"]))?;
        output::answer(Program::Runner.command(&["-c", &runner, "trigger", "--wait", JOB]))
    }
}
