//! A trial under way: what runs, what is waited for, and how it all ends.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::place::{JOB, Place};
use super::runner::Runner;
use super::{Interrupts, TrialError, report};
use crate::action::Summary;
use crate::cli::failure::Failure;
use crate::cli::follow::{Ending, Follower, Step, tell};
use crate::cli::hand::Hand;
use crate::cli::installation::Installation;
use crate::cli::platform::run;
use crate::cli::{outcome, output, trigger};
use crate::clock::{Clock, SystemClock};
use crate::config::logging::LogTarget;
use crate::data::Permissions;
use crate::invocation::Program;
use crate::logging::Log;
use crate::names::{JobName, RunId};
use crate::pgp::{self, NewKey};
use crate::platform::Platform;
use crate::platform::config::StandaloneConfig;
use crate::spool::Record;

/// Where the platform listens: the system chooses a port that is free.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// How long the runner may take to begin.
const BEGIN_SPAN: Duration = Duration::from_secs(30);
/// How long the run may stay where it is: the action's expiry, and a while.
const STAY_SPAN: Duration = Duration::from_secs(200);
/// How often it is looked whether the trial is to end.
const LOOK_SPAN: Duration = Duration::from_millis(200);
/// How many lines of the runner's log are shown if something fails.
const LOG_LINES: usize = 10;
/// The most that is read of the runner's log.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What the moves mean.
const LEGEND: &str = "
A run is one small file. The folder that it is in says what is to be done next:
  action/    new: send it        inflight: wait for the agents     done: no more
  command/   ready: fetch        inflight: go on fetching
             returned: hand the results to the plugin              done: no more

";

/// A trial under way.
#[derive(Debug)]
pub(super) struct Site {
    place: Place,
    interrupts: Interrupts,
    standalone: PathBuf,
    program: PathBuf,
    platform: Option<Platform>,
    runner: Option<Runner>,
}

impl Site {
    /// Returns a trial of which nothing runs yet.
    pub(super) fn new(
        place: Place,
        interrupts: Interrupts,
        standalone: PathBuf,
        program: PathBuf,
    ) -> Site {
        Site { place, interrupts, standalone, program, platform: None, runner: None }
    }

    /// Starts everything, and brings one run through it.
    pub(super) fn attempt(&mut self) -> Result<(), Failure> {
        tell(format!("folder    {}", self.place.folder().display()))?;
        self.start_platform()?;
        self.start_runner()?;
        let installation = Installation::load(&self.place.path("runner.cfg"))?;
        let now = SystemClock.now();
        let job = installation.job(&JOB.parse::<JobName>()?, now)?;
        let hand = Hand::open(&installation, &["trigger", JOB])?;
        output::raw(LEGEND)?;
        let follow = |id: &RunId| Follower::new(&hand, id);
        let (record, follower) = trigger::put(&job, &installation, &hand, now, follow)?;
        let record = self.follow(follower, &record)?;
        self.show(&record)
    }

    /// Makes a key, and starts a platform that knows it.
    fn start_platform(&mut self) -> Result<(), Failure> {
        let home = self.place.path("gnupg");
        let key = NewKey {
            owner: "mig-runner try <try@localhost>",
            algorithm: "rsa2048",
            passphrase: None,
        };
        let fingerprint = pgp::generate(&home, key).map_err(TrialError::Key)?;
        let armored = pgp::export(&home, &fingerprint).map_err(TrialError::Key)?;
        tell(format!("key       {}", fingerprint.as_str()))?;
        let text = Place::platform_config(LISTEN);
        let file = self.place.path("standalone.cfg");
        let config = StandaloneConfig::parse(text.as_bytes(), &file)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let target = LogTarget::File { path: self.place.path("platform.log"), bytes_max: None };
        let log = Log::start(&run::logging(target), "mig-standalone", None, Arc::clone(&clock))?;
        let platform = Platform::start(&config, self.standalone.clone(), clock, &log.root)?;
        let (address, url) = (platform.address(), platform.url());
        let data = platform.data();
        data.add_investigator("try", &armored, Permissions::RUNNER, &SystemClock)?;
        self.platform = Some(platform);
        tell(format!("platform  {url}"))?;
        // With the port that was free: a kept platform can be started again.
        self.place.write_configuration(address, &url, fingerprint.as_str())?;
        self.look()
    }

    /// Starts the runner, and waits until the spool is its own.
    fn start_runner(&mut self) -> Result<(), Failure> {
        let (config, log) = (self.place.path("runner.cfg"), self.place.path("runner.log"));
        self.runner = Some(Runner::start(&self.program, &config, &log)?);
        let (mark, begun) = (self.place.path("spool/.lock"), Instant::now());
        while self.place.disk().find(&mark)?.is_none() {
            if begun.elapsed() > BEGIN_SPAN {
                let what = "the runner's spool".to_owned();
                return Err(TrialError::Late { what, span: BEGIN_SPAN }.into());
            }
            self.look()?;
        }
        tell(format!("runner    {}", self.program.display()))
    }

    /// Waits a moment; fails if somebody wants the trial to end, or the runner has ended by itself.
    fn look(&mut self) -> Result<(), Failure> {
        let ended = match &self.runner {
            Some(runner) => runner.ended(Duration::from_millis(20))?,
            None => None,
        };
        if let Some(signal) = self.interrupts.signal() {
            return Err(self.interrupted(signal));
        }
        match ended {
            Some(status) => Err(TrialError::Ended { status }.into()),
            None => Ok(()),
        }
    }

    fn interrupted(&self, signal: i32) -> Failure {
        let kept = self.place.is_kept().then(|| self.place.folder().to_owned());
        TrialError::Interrupted { signal, kept }.into()
    }

    /// Shows the run's moves; returns its record when it has gone through.
    fn follow(&mut self, mut follower: Follower<'_>, record: &Record) -> Result<Record, Failure> {
        let mut since = Instant::now();
        loop {
            let reason = match follower.step(LOOK_SPAN)? {
                Step::Ended(Ending::Finished(record)) => return Ok(*record),
                Step::Ended(Ending::Invalid(reason)) => reason,
                Step::Ended(Ending::Removed) => "somebody removed it".to_owned(),
                Step::Moved | Step::Still if since.elapsed() > STAY_SPAN => {
                    let what = format!("the next move of {}", record.id);
                    return Err(TrialError::Late { what, span: STAY_SPAN }.into());
                }
                step => {
                    if matches!(step, Step::Moved) {
                        since = Instant::now();
                    }
                    self.look()?;
                    continue;
                }
            };
            return Err(TrialError::Failed { reason }.into());
        }
    }

    /// Shows what came of the run: the plugin's report, and the counts.
    fn show(&self, record: &Record) -> Result<(), Failure> {
        output::raw("\nThe plugin report.sh took the results and wrote this report:\n\n")?;
        let report = Path::new("reports").join(format!("{}.txt", record.id));
        report::show(self.place.disk(), &self.place.folder().join(report))?;
        let is_whole = |summary: &Summary| summary.answered == summary.sent && summary.failed == 0;
        let has_answer = record.summary.as_ref().is_some_and(is_whole);
        if !has_answer || outcome::needs_person(record) {
            let reason = record.reason.clone().or_else(|| record.error.clone());
            let reason = reason.unwrap_or_else(|| "the agent did not answer as asked".to_owned());
            return Err(TrialError::Failed { reason }.into());
        }
        Ok(())
    }

    /// Adds to a failure what helps to understand it; a signal that came first is the reason for all.
    pub(super) fn explain(&mut self, failure: Failure) -> Failure {
        if failure.signal().is_some() {
            return failure;
        }
        if let Some(signal) = self.interrupts.signal() {
            return self.interrupted(signal);
        }
        let mut hints = failure.hints();
        let log = self.place.disk().read(&self.place.path("runner.log"), LOG_BYTES_MAX);
        if let Ok(bytes) = log {
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<&str> = text.lines().collect();
            hints.push("the runner's log ends with:".to_owned());
            let skipped = lines.len().saturating_sub(LOG_LINES);
            hints.extend(lines.into_iter().skip(skipped).map(str::to_owned));
        }
        if self.place.is_kept() {
            hints.push(format!("what there is stays in {}", self.place.folder().display()));
        }
        Failure::Explained { source: Box::new(failure), hints }
    }

    /// Ends all that was started and removes what is not to be kept; one that fails stops no other.
    pub(super) fn clear(&mut self) -> Result<(), Failure> {
        let runner = self.runner.take().map_or(Ok(()), Runner::stop);
        let platform = self.platform.take().map_or(Ok(()), Platform::stop);
        let agents = ["gnupg", "platform/data/gnupg"].map(|home| {
            let home = self.place.path(home);
            let failed = |source| TrialError::Process { doing: "end GnuPG's agent", source };
            if home.is_dir() { pgp::end_gpg_agent(&home).map_err(failed) } else { Ok(()) }
        });
        let removed = self.place.remove();
        runner?;
        platform?;
        agents.into_iter().collect::<Result<Vec<()>, _>>()?;
        removed
    }

    /// Says where things are now, and how to go on.
    pub(super) fn conclude(&self) -> Result<(), Failure> {
        if !self.place.is_kept() {
            output::raw(
                "
That was a scheduled job's whole way: signed, posted, run by an agent, fetched,
handed to a plugin. All of it has ended, and its folder is removed.

",
            )?;
            let keep = Program::Runner.command(&["try", "--keep", "DIR"]);
            output::answer(format!("To keep it and look around:         {keep}"))?;
            let init = Program::Runner.command(&["init", "DIR"]);
            return output::answer(format!("To begin an installation of yours:  {init}"));
        }
        let folder = self.place.folder().display();
        output::answer("")?;
        output::answer(format!("All processes have ended. What they made is in {folder}:"))?;
        output::raw(
            "
  spool/           each run is a file: see it with tree, steer it with mv
  runners/setuid/  the job, and the results of its runs
  plugins/         what gets the results; report.sh writes to reports/
  runner.log       what the runner had to say
  platform/        the platform's own spool and database

Start the platform and the runner, each in a terminal, and run the job again:

",
        )?;
        let (runner, platform) = (self.place.path("runner.cfg"), self.place.path("standalone.cfg"));
        let (runner, platform) = (runner.to_string_lossy(), platform.to_string_lossy());
        output::answer(Program::Standalone.command(&["-c", &platform, "run"]))?;
        output::answer(Program::Runner.command(&["-c", &runner, "run"]))?;
        output::answer(Program::Runner.command(&["-c", &runner, "trigger", "--wait", JOB]))
    }
}
