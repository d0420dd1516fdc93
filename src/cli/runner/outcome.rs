//! The outcome of a run, in words.

use crate::action::Summary;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::exit::Exit;
use crate::spool::{DeliveryState, Record};

/// Shows the outcome of a run that has ended, except for its results.
pub(super) fn show(record: &Record) -> Result<Exit, Failure> {
    if let Some(newer) = &record.superseded {
        output::answer(format!("{} was not sent: superseded by {newer}", record.id))?;
        return Ok(Exit::Done);
    }
    if !record.has_results() {
        let action = record.action_id.map_or_else(|| "?".to_owned(), |id| id.to_string());
        output::answer(format!(
            "action {action} was sent; its results are not fetched (sendonly)"
        ))?;
        return Ok(Exit::Done);
    }
    for delivery in &record.plugins {
        output::answer(format!("plugin {}: {}", delivery.plugin, delivery_word(delivery.state)))?;
    }
    for text in [&record.reason, &record.error].into_iter().flatten() {
        output::message(text);
    }
    Ok(if has_given_up(record) { Exit::Attention } else { Exit::Done })
}

/// Returns whether the runner gave up fetching the results or delivering them to a plugin.
pub(crate) fn has_given_up(record: &Record) -> bool {
    let unfetched = record.collected.is_some() && record.has_results() && record.summary.is_none();
    unfetched || record.plugins.iter().any(|delivery| delivery.state == DeliveryState::GivenUp)
}

/// Returns the counts of the results. Those of failures appear only if they are not zero.
pub(super) fn counts(summary: &Summary) -> String {
    let Summary { sent, answered, found, failed, expired, not_final, missing, too_large } = summary;
    let mut text = format!("sent {sent}, answered {answered}, found {found}");
    for (name, count) in [
        ("failed", failed),
        ("expired", expired),
        ("not final", not_final),
        ("missing", missing),
        ("too large", too_large),
    ] {
        if *count > 0 {
            text.push_str(&format!(", {name} {count}"));
        }
    }
    text
}

pub(super) fn delivery_word(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Owed => "owed",
        DeliveryState::Delivered => "delivered",
        DeliveryState::GivenUp => "given up",
        DeliveryState::Skipped => "skipped",
    }
}
