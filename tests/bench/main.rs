//! Measures the speed of the runner: `cargo bench`. Machines differ, so most figures are ratios.
//!
//! The real program is measured against a platform on loopback that only accepts actions, serves
//! results and counts requests. Where many actions are posted at once, it takes as long for each as
//! the real API does. A ratio compares it with the minimum that the same work needs, on
//! the same disk and with the same server, measured alternately. A figure is the median of five
//! measurements unless its row says otherwise. Arguments are the names of the rows to measure.
//!
//! `MIG_ORIGINAL=PROGRAM cargo bench --bench speed -- original` measures this runner beside the
//! original, whose program is not part of this project: both in turn, with the same installation and
//! the same platform. The ratio of two figures of one run is shown, nothing else. Without the
//! variable, these rows are skipped.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a measurement that fails ends the program"
)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the program prints a table")]

#[cfg(feature = "data")]
mod agents;
mod backlog;
mod burst;
/// A PostgreSQL server that ends with the program.
#[cfg(feature = "data")]
#[path = "../../src/data/testing/cluster.rs"]
#[expect(clippy::unwrap_used, dead_code, reason = "the tests use more of it")]
mod cluster;
mod dispatch;
mod fetching;
mod home;
mod original;
mod rivals;
mod server;
mod transitions;

use home::{Key, PASSPHRASE, Removal};
use server::Server;

/// Number of measurements of each figure.
const TIMES: usize = 5;

/// What all measurements use.
#[derive(Debug)]
pub(crate) struct Bench {
    /// The signing key, which has a passphrase.
    key: Key,
    server: Server,
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    what: String,
    figure: f64,
    unit: &'static str,
    /// The aim.
    limit: f64,
    /// Whether a larger figure is better.
    is_rate: bool,
    /// Other figures of the same measurement.
    more: String,
}

impl Row {
    /// Returns a row whose figure should not exceed `limit`.
    pub(crate) fn at_most(what: &str, figure: f64, unit: &'static str, limit: f64) -> Row {
        let what = what.to_owned();
        Row { what, figure, unit, limit, is_rate: false, more: String::new() }
    }

    /// Returns a row whose figure should reach `limit`.
    pub(crate) fn at_least(what: &str, figure: f64, unit: &'static str, limit: f64) -> Row {
        Row { is_rate: true, ..Row::at_most(what, figure, unit, limit) }
    }

    fn print(&self) {
        let Row { what, figure, unit, limit, is_rate, more } = self;
        let (sign, is_met) =
            if *is_rate { ('≥', figure >= limit) } else { ('≤', figure <= limit) };
        let (figure, limit) = (format!("{figure:.2} {unit}"), format!("{sign} {limit} {unit}"));
        let verdict = if is_met { "" } else { "  MISSED" };
        println!("{what:<64} {figure:>14} {limit:>14}{verdict}  {more}");
    }

    /// Adds other figures of the same measurement.
    pub(crate) fn with(self, more: String) -> Row {
        Row { more, ..self }
    }
}

pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Returns the percentile `hundredths` of the figures.
pub(crate) fn percentile(mut figures: Vec<f64>, hundredths: usize) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[(figures.len() * hundredths / 100).min(figures.len() - 1)]
}

/// Starts a process directly: the benchmark of the database does not use GnuPG's library.
#[cfg(feature = "data")]
fn start_process(command: &mut std::process::Command) -> std::io::Result<std::process::Child> {
    command.spawn()
}

/// A measurement, which returns one or more rows.
type Measure = fn(&Bench) -> Vec<Row>;

/// All measurements, with the names that select them.
const MEASURES: &[(&str, Measure)] = &[
    ("fetch", fetching::fetch),
    ("usual", fetching::usual),
    ("none", backlog::no_results),
    ("inflight", backlog::in_flight),
    ("idle", backlog::idle),
    ("due", burst::burst),
    ("moved", dispatch::moved_in),
    ("one", dispatch::one),
    ("early", dispatch::early),
    ("rivals", rivals::rivals),
    ("transitions", transitions::transitions),
    ("original", original::original),
    #[cfg(feature = "data")]
    ("agents", agents::agents),
];

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let _removal = Removal;
    let bench = Bench { key: Key::new(PASSPHRASE), server: Server::start() };
    println!("{:<64} {:>14} {:>14}", "what", "figure", "aim");
    for (name, measure) in MEASURES {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == name) {
            continue;
        }
        for row in measure(&bench) {
            row.print();
        }
    }
}
