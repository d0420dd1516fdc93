//! The log messages about moves of runs and about plugins.

use std::borrow::Cow;

use slog::{Logger, error, info, warn};

use super::job_calendar::JobCalendar;
use crate::chain::escape;
use crate::names::{PluginName, RunId};
use crate::plugin::run::PluginExit;
use crate::spool::{DeliveryState, Fate, Record, Transition};

/// Size limit for the part of a plugin's output that is logged, in bytes: with its escapes and the
/// rest of the message it must fit into one syslog message.
const OUTPUT_BYTES_MAX: usize = 6 * 1024;

/// Logs a move that the operator should know about.
pub(super) fn log_move(
    log: &Logger,
    record: &Record,
    transition: Transition,
    calendar: &JobCalendar,
) {
    if transition == Transition::Fetched {
        log_results(log, record, calendar);
    } else {
        log_transition(log, record, transition);
    }
}

fn log_results(log: &Logger, record: &Record, calendar: &JobCalendar) {
    let Some(summary) = &record.summary else { return };
    info!(log, "results stored"; "run" => %record.id,
        "path" => record.document.as_deref().unwrap_or_default(),
        "sent" => summary.sent, "answered" => summary.answered, "found" => summary.found,
        "failed" => summary.failed, "expired" => summary.expired);
    if summary.sent == 0 {
        warn!(log, "action was not sent to any agent"; "run" => %record.id,
            "reason" => shown(record.error.as_deref()).as_ref());
    }
    for answer in &record.too_large {
        warn!(log, "answer too large; results of this agent not stored"; "run" => %record.id,
            "agent" => shown(Some(&answer.agent)).as_ref(), "bytes" => answer.bytes);
    }
    if summary.missing > 0 || summary.not_final > 0 || summary.too_large > 0 {
        warn!(log, "results incomplete"; "run" => %record.id,
            "missing" => summary.missing, "not_final" => summary.not_final,
            "too_large" => summary.too_large);
    }
    if record.job().is_some_and(|job| !calendar.has(job)) {
        info!(log, "results belong to a removed job"; "run" => %record.id);
    }
}

/// Logs a move, except for stored results.
pub(super) fn log_transition(log: &Logger, record: &Record, transition: Transition) {
    let error = shown(record.error.as_deref());
    match transition {
        Transition::Accepted => info!(log, "action accepted"; "run" => %record.id,
            "action" => record.action_id.map(|id| id.0)),
        Transition::Refused => warn!(log, "run rejected"; "run" => %record.id,
            "reason" => shown(record.reason.as_deref()).as_ref()),
        Transition::Superseded => info!(log, "run superseded; not posting its action";
            "run" => %record.id, "by" => record.superseded.as_ref().map(ToString::to_string)),
        Transition::Noted if record.error.is_none() && record.request.fate == Fate::Refused => {
            info!(log, "action not found on platform; posting it again"; "run" => %record.id);
        }
        Transition::Noted => warn!(log, "action not accepted yet"; "run" => %record.id,
            "fate" => record.request.fate.word(), "error" => error.as_ref()),
        Transition::FetchNoted => warn!(log, "results not fetched yet"; "run" => %record.id,
            "error" => error.as_ref()),
        Transition::FetchGivenUp => error!(log, "giving up on fetch"; "run" => %record.id,
            "error" => error.as_ref()),
        Transition::Delivered | Transition::Finished => {
            for delivery in &record.plugins {
                if delivery.state == DeliveryState::GivenUp {
                    error!(log, "giving up on delivery"; "run" => %record.id,
                        "plugin" => %delivery.plugin, "error" => error.as_ref());
                }
            }
        }
        Transition::Renewed
        | Transition::Signed
        | Transition::SentOnly
        | Transition::Collected
        | Transition::Marked
        | Transition::Misplaced
        | Transition::Begun
        | Transition::Fetched => {}
    }
}

/// Logs the end of a plugin, and the end of its output.
pub(super) fn log_plugin(log: &Logger, run: &RunId, plugin: &PluginName, ended: &PluginExit) {
    let took = u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX);
    info!(log, "plugin finished"; "run" => %run, "plugin" => plugin.as_str(),
        "outcome" => ended.outcome.word(), "took_ms" => took);
    if !ended.output.is_empty() {
        info!(log, "plugin output"; "run" => %run, "plugin" => plugin.as_str(),
            "lines" => ended.lines,
            "output" => end_of(&ended.output, OUTPUT_BYTES_MAX).as_ref());
    }
}

/// Returns an escaped text for the log, or `unknown` if there is none.
fn shown(text: Option<&str>) -> Cow<'_, str> {
    text.map_or(Cow::Borrowed("unknown"), escape)
}

/// Returns the end of a text, after `…` if it is not the whole text.
fn end_of(text: &str, limit: usize) -> Cow<'_, str> {
    let surplus = text.len().saturating_sub(limit);
    match (surplus..=text.len()).find_map(|cut| text.get(cut..)) {
        Some(end) if surplus > 0 => Cow::Owned(format!("…{end}")),
        _ => Cow::Borrowed(text),
    }
}
