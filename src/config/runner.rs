//! `runner.cfg`: the settings of the daemon, their defaults and bounds.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::duration::Keep;
use super::fault::ConfigError;
use super::logging::{self, LoggingConfig};
use super::reader::{Reader, Section};
use super::secret::Secret;

const DAY_SECONDS: u64 = 86_400;
/// Bounds of the time limit of a call or a plugin.
pub(super) const TIMEOUT_SPAN: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(DAY_SECONDS);
/// Bounds of `giveup` and `delayresults`.
pub(super) const WAIT_SPAN: RangeInclusive<Duration> =
    Duration::ZERO..=Duration::from_secs(365 * DAY_SECONDS);
/// Bounds of `settle`.
const SETTLE_SPAN: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(DAY_SECONDS);
/// Bounds of an age in a retention setting.
pub(super) const AGE_SPAN: RangeInclusive<Duration> =
    Duration::ZERO..=Duration::from_secs(36_500 * DAY_SECONDS);

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RunnerConfig {
    /// The runner's folder, unresolved: a relative path is relative to the working directory.
    pub(crate) directory: PathBuf,
    /// Maximum time between two full scans.
    pub(crate) check_span: Duration,
    pub(crate) spool: PathBuf,
    pub(crate) logging: LoggingConfig,
    pub(crate) client: ClientSettings,
    pub(crate) plugins: PluginSettings,
    pub(crate) retention: RetentionSettings,
    /// The file for metrics.
    pub(crate) metrics: Option<PathBuf>,
}

/// `[client]`: use of the API.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientSettings {
    /// The path of `.migrc`; `None` means `$HOME/.migrc`.
    pub(crate) path: Option<PathBuf>,
    /// The passphrase of the key, if it is configured here.
    pub(crate) passphrase: Option<PassphraseSource>,
    /// Delay between expiry and fetching; `None` means when the platform reports completion.
    pub(crate) delay_results: Option<Duration>,
    /// Whether to collect results before expiry if all agents have answered.
    pub(crate) early_results: bool,
    /// Time limit of a call.
    pub(crate) timeout: Duration,
    /// Time limit of connecting.
    pub(crate) connect_timeout: Duration,
    /// Time during which an unanswered POST may still take effect.
    pub(crate) settle: Duration,
    /// Time after which failing fetches are given up.
    pub(crate) giveup: Duration,
    /// Number of results in a page.
    pub(crate) page_size: u32,
    /// Number of pages of a run that are requested concurrently.
    pub(crate) pages: u32,
    /// Number of runs that are posted, or fetched, concurrently.
    pub(crate) parallel: u32,
}

/// The source of the key's passphrase.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PassphraseSource {
    /// The passphrase itself.
    Inline(Secret),
    /// A file whose first line is the passphrase.
    File(PathBuf),
}

/// `[plugins]`: execution of plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PluginSettings {
    /// Time limit of a plugin.
    pub(crate) timeout: Duration,
    /// Number of plugins that run concurrently.
    pub(crate) parallel: u32,
    /// Time after which a failing delivery is given up.
    pub(crate) giveup: Duration,
}

/// `[retention]`: which finished runs, dead letters and results to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetentionSettings {
    pub(crate) done: Keep,
    pub(crate) invalid: Keep,
    pub(crate) results: Keep,
}

impl RunnerConfig {
    /// Parses the text of `file`.
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
            (Some(secret), None) => Some(PassphraseSource::Inline(secret.value)),
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
