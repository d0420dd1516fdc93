//! What came of a run, in a few lines.

use super::failure::Failure;
use super::output;
use crate::action::Summary;
use crate::exit::Exit;
use crate::spool::{DeliveryState, Record};

/// Shows what came of a run that has ended, beside its results.
pub(crate) fn show(record: &Record) -> Result<Exit, Failure> {
    if let Some(newer) = &record.superseded {
        output::answer(format!("{} was not sent: it was superseded by {newer}", record.id))?;
        return Ok(Exit::Done);
    }
    if !record.has_results() {
        output::answer(format!(
            "action {} was sent, its results are left to others",
            action(record)
        ))?;
        return Ok(Exit::Done);
    }
    for delivery in &record.plugins {
        output::answer(format!("plugin {}: {}", delivery.plugin, word(delivery.state)))?;
    }
    for text in [&record.reason, &record.error].into_iter().flatten() {
        output::message(text);
    }
    Ok(if needs_person(record) { Exit::Attention } else { Exit::Done })
}

/// Tells whether something was given up.
pub(crate) fn needs_person(record: &Record) -> bool {
    let unfetched = record.collected.is_some() && record.has_results() && record.summary.is_none();
    unfetched || record.plugins.iter().any(|delivery| delivery.state == DeliveryState::GivenUp)
}

/// Returns what the results came to, in words.
pub(crate) fn counts(summary: &Summary) -> String {
    let Summary { sent, answered, found, failed, expired, not_final, missing } = summary;
    let mut text = format!("sent {sent}, answered {answered}, found {found}");
    // What is as it should be needs no word.
    for (name, count) in
        [("failed", failed), ("expired", expired), ("not final", not_final), ("missing", missing)]
    {
        if *count > 0 {
            text.push_str(&format!(", {name} {count}"));
        }
    }
    text
}

/// Returns the word for the state of a delivery.
pub(crate) fn word(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Owed => "owed",
        DeliveryState::Delivered => "delivered",
        DeliveryState::GivenUp => "given up",
        DeliveryState::Skipped => "skipped",
    }
}

fn action(record: &Record) -> String {
    record.action_id.map_or_else(|| "?".to_owned(), |id| id.to_string())
}
