//! `runner.cfg`: every setting of the daemon, its default and its bounds.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::duration::Keep;
use super::fault::ConfigError;
use super::logging::{self, LoggingConfig};
use super::reader::{Reader, Section};
use super::secret::Secret;

const DAY_SECONDS: u64 = 86_400;
/// Bounds of the time that one call or one plugin may take.
pub(super) const TIMEOUT_SPAN: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(DAY_SECONDS);
/// Bounds of the time after which something is given up, or waited for.
pub(super) const WAIT_SPAN: RangeInclusive<Duration> =
    Duration::ZERO..=Duration::from_secs(365 * DAY_SECONDS);
/// Bounds of the time that an unanswered POST may still take effect.
const SETTLE_SPAN: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(DAY_SECONDS);
/// Bounds of the age up to which something is kept.
pub(super) const AGE_SPAN: RangeInclusive<Duration> =
    Duration::ZERO..=Duration::from_secs(36_500 * DAY_SECONDS);

/// The settings of the daemon.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RunnerConfig {
    /// The runner's folder, as written: a relative one is relative to the working directory.
    pub(crate) directory: PathBuf,
    /// How long it is at most between two full scans.
    pub(crate) check_span: Duration,
    pub(crate) spool: PathBuf,
    /// Where log records go.
    pub(crate) logging: LoggingConfig,
    /// How the API is used.
    pub(crate) client: ClientSettings,
    /// How plugins are run.
    pub(crate) plugins: PluginSettings,
    /// How long what is finished is kept.
    pub(crate) retention: RetentionSettings,
    /// Where metrics are written, if anywhere.
    pub(crate) metrics: Option<PathBuf>,
}

/// `[client]`: how the API is used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientSettings {
    /// The client's configuration; `None` means `$HOME/.migrc`.
    pub(crate) path: Option<PathBuf>,
    /// Where the passphrase of the key is written, if here.
    pub(crate) passphrase: Option<PassphraseSource>,
    /// How long to wait after expiry before results are fetched; `None`: as soon as the platform says so.
    pub(crate) delay_results: Option<Duration>,
    /// Whether results are collected before expiry if all agents have answered.
    pub(crate) early_results: bool,
    /// How long a call may take.
    pub(crate) timeout: Duration,
    /// How long connecting may take.
    pub(crate) connect_timeout: Duration,
    /// How long an unanswered POST may still take effect.
    pub(crate) settle: Duration,
    /// How long a fetch is tried.
    pub(crate) giveup: Duration,
    /// How many results are asked for at once.
    pub(crate) page_size: u32,
    /// How many pages of a run are asked for at once.
    pub(crate) pages: u32,
    /// How many runs are posted or fetched at once.
    pub(crate) parallel: u32,
}

/// Where the passphrase of the key comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PassphraseSource {
    /// It is in the configuration.
    Here(Secret),
    /// It is the first line of this file.
    File(PathBuf),
}

/// `[plugins]`: how plugins are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PluginSettings {
    /// How long one may run.
    pub(crate) timeout: Duration,
    /// How many run at once.
    pub(crate) parallel: u32,
    /// How long a delivery is tried.
    pub(crate) giveup: Duration,
}

/// `[retention]`: how long what is finished is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetentionSettings {
    pub(crate) done: Keep,
    pub(crate) invalid: Keep,
    pub(crate) results: Keep,
}

impl RunnerConfig {
    /// Reads the text of `file`.
    pub(crate) fn parse(text: &[u8], file: &Path) -> Result<RunnerConfig, ConfigError> {
        let mut reader = Reader::new(text);
        let (directory, check_span, spool) = reader.section("runner", |runner| {
            let directory = runner.required("directory", "/var/lib/mig-runner");
            let seconds = runner.number("checkdirectory", 1..=DAY_SECONDS).unwrap_or(30);
            (directory, Duration::from_secs(seconds), runner.path("spool"))
        });
        let logging = reader.section("logging", logging::read);
        let client = reader.section("client", ClientSettings::read);
        let plugins = reader.section("plugins", PluginSettings::read);
        let retention = reader.section("retention", RetentionSettings::read);
        let metrics = reader.section("metrics", |metrics| metrics.path("textfile"));
        let config = directory.map(|directory| {
            let directory = PathBuf::from(directory.value);
            let spool = spool.unwrap_or_else(|| directory.join("spool"));
            RunnerConfig {
                directory,
                check_span,
                spool,
                logging,
                client,
                plugins,
                retention,
                metrics,
            }
        });
        reader.finish(file, config)
    }
}

impl ClientSettings {
    fn read(section: &mut Section<'_>) -> ClientSettings {
        let passphrase = section.secret("passphrase");
        let file = section.text("passphrasefile");
        let passphrase = match (passphrase, file) {
            (Some(_), Some(file)) => {
                let text = "passphrase and passphrasefile are both set: keep one of them";
                section.fault(file.line, text.to_owned());
                None
            }
            (Some(secret), None) => Some(PassphraseSource::Here(secret.value)),
            (None, file) => file.map(|file| PassphraseSource::File(file.value.into())),
        };
        let path = section.path("clientconfpath").filter(|path| path != Path::new("default"));
        ClientSettings {
            path,
            passphrase,
            delay_results: section.duration("delayresults", &WAIT_SPAN),
            early_results: section.flag("earlyresults").unwrap_or(false),
            timeout: section.duration("timeout", &TIMEOUT_SPAN).unwrap_or(seconds(60)),
            connect_timeout: section
                .duration("connecttimeout", &TIMEOUT_SPAN)
                .unwrap_or(seconds(10)),
            settle: section.duration("settle", &SETTLE_SPAN).unwrap_or(seconds(120)),
            giveup: section.duration("giveup", &WAIT_SPAN).unwrap_or(seconds(7 * DAY_SECONDS)),
            page_size: section.number("pagesize", 1..=10_000).unwrap_or(250),
            pages: section.number("pages", 1..=8).unwrap_or(2),
            parallel: section.number("parallel", 1..=64).unwrap_or(2),
        }
    }
}

impl PluginSettings {
    fn read(section: &mut Section<'_>) -> PluginSettings {
        PluginSettings {
            timeout: section.duration("timeout", &TIMEOUT_SPAN).unwrap_or(seconds(300)),
            parallel: section.number("parallel", 1..=256).unwrap_or(4),
            giveup: section.duration("giveup", &WAIT_SPAN).unwrap_or(seconds(5 * DAY_SECONDS)),
        }
    }
}

impl RetentionSettings {
    fn read(section: &mut Section<'_>) -> RetentionSettings {
        let days = |days| Keep::For(seconds(days * DAY_SECONDS));
        RetentionSettings {
            done: section.keep("done", &AGE_SPAN).unwrap_or(days(30)),
            invalid: section.keep("invalid", &AGE_SPAN).unwrap_or(days(90)),
            results: section.keep("results", &AGE_SPAN).unwrap_or(Keep::All),
        }
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests;
