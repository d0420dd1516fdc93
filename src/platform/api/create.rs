//! `POST action/create/`: checks an action and its signatures, and stores it.
//!
//! **Invariant.** An accepted action is in the database with all its signatures. A refused action
//! leaves nothing in it. (The original may store an action and then report that it could not.)

use serde::Deserialize;
use serde_json::value::RawValue;

use super::request::Parameters;
use super::response::{Item, collection};
use super::{Api, ApiRequest, ApiResponse, Body, Refusal};
use crate::action::Action;
use crate::chain::Chain;
use crate::data::{
    ActionRow, ActionSignature, ActionStatus, DataError, Id, InvalidColumns, NEVER_FINISHED,
    NEVER_STARTED,
};
use crate::go::time::Time;
use crate::pgp::RsaNumbers;
use crate::platform::signers::check_number;
use crate::relay::{ACTION_BYTES_MAX, OPERATIONS_MAX, sent_bytes};

/// The content type of a form with an action.
const FORM: &str = "application/x-www-form-urlencoded";
/// The version of the action syntax.
const SYNTAX_VERSION: u16 = 2;
/// Maximum length of name and target, in characters.
const TEXT_CHARS_MAX: usize = 2048;
/// Maximum length of the JSON list of signatures, in characters.
const SIGNATURES_CHARS_MAX: usize = 4096;

impl Api {
    /// Stores the action in a request.
    pub(super) fn create(&self, request: &ApiRequest, body: &Body) -> Result<ApiResponse, Refusal> {
        let refuse = |message: String| Refusal::new(500, message);
        let (form, query) = (form(request, body).map_err(refuse)?, request.parameters());
        let text = form.first("action").or(query.first("action")).unwrap_or_default();
        let action =
            Action::parse(text.as_bytes()).map_err(|error| refuse(error.fault().to_string()))?;
        validate(&action, self.clock.now().into()).map_err(refuse)?;
        check_size(&action).map_err(refuse)?;
        let signed = self.signed(&action)?;
        let action = self.accepted(action);
        let row = row(&action, self.ids.next())?;
        storable(&row).map_err(refuse)?;
        self.store.insert_action(&row, &signed).map_err(|error| match error {
            DataError::Duplicate { query: "insert_signature" } => {
                let index = "signatures_actionid_investigatorid_idx";
                refuse(format!(
                    "Failed to store signature: 'pq: duplicate key value violates unique constraint \"{index}\"'"
                ))
            }
            // A commit that failed may still have taken effect.
            error => Refusal::new(
                if error.is_temporary() { 503 } else { 500 },
                format!("Failed to store action: '{}'", Chain(&error)),
            ),
        })?;
        slog::info!(self.log, "action accepted"; "action" => row.id.number(), "name" => &row.name);
        let value = RawValue::from_string(Action { id: row.id.float(), ..action }.to_json())?;
        let item = Item::new(self.link("action", row.id), format!("action ID {}", row.id), &value)?;
        Ok(collection(202, &format!("{}{}", self.base, request.uri()), &[item], None)?)
    }

    /// Returns the signatures of an action with their investigators, if all are valid.
    fn signed(&self, action: &Action) -> Result<Vec<ActionSignature>, Refusal> {
        let text = action.signed_text();
        let signatures = action.signatures.as_deref().unwrap_or_default();
        check_number(signatures).map_err(|error| Refusal::new(500, error.to_string()))?;
        let mut signed = Vec::new();
        for signature in signatures {
            // The original's agents refuse a short RSA number, so the action is refused here.
            let signer =
                self.signers.who_signed(text.as_bytes(), signature, RsaNumbers::FullLength);
            let investigator = signer.map_err(|error| match error.is_verdict() {
                true => Refusal::new(500, format!("VerifySignatures() -> {}", Chain(&error))),
                false => Refusal::unavailable(&error),
            })?;
            signed.push(ActionSignature {
                investigator: investigator.id,
                signature: signature.clone(),
            });
        }
        Ok(signed)
    }

    /// Returns an action in the state of one that was just accepted.
    fn accepted(&self, action: Action) -> Action {
        Action {
            investigators: None,
            status: ActionStatus::Pending.as_str().to_owned(),
            start_time: NEVER_STARTED.into(),
            finish_time: NEVER_FINISHED.into(),
            last_update_time: NEVER_STARTED.into(),
            counters: crate::action::Counters::default(),
            ..action
        }
    }
}

/// Parses the form in a request's body.
pub(super) fn form(request: &ApiRequest, body: &Body) -> Result<Parameters, String> {
    let Body::Whole(body) = body else {
        return Err("http: POST too large".to_owned());
    };
    let kind = request.header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let body = if kind.eq_ignore_ascii_case(FORM) { body.as_slice() } else { &[] };
    match Parameters::parse(&String::from_utf8_lossy(body)) {
        (_, Some(error)) => Err(error.to_string()),
        (form, None) => Ok(form),
    }
}

/// Checks an action; order and texts are the original's, as far as it checks the same.
fn validate(action: &Action, now: Time) -> Result<(), String> {
    let (begin, end) = (action.valid_from.timestamp(), action.expire_after.timestamp());
    let checks = [
        (action.name.is_empty(), "action name is empty"),
        (action.target.is_empty(), "action target is empty"),
        (action.syntax_version != SYNTAX_VERSION, "wring syntax version, expected 2"),
        (action.operations.is_none(), "action operations is empty"),
        (end < begin, "action expireafter is set before action validfrom"),
        (end < now.timestamp(), "action expireafter is in the past"),
        (action.signatures.as_ref().is_none_or(Vec::is_empty), "action pgpsignatures is empty"),
    ];
    if let Some((_, text)) = checks.into_iter().find(|(is_wrong, _)| *is_wrong) {
        return Err(text.to_owned());
    }
    // The original accepts such an action.
    match action.ambiguous_field() {
        Some((field, text)) => Err(format!("action {field} must not contain {text:?}")),
        None => Ok(()),
    }
}

/// Checks that agents can run an action, and that its commands can be read.
fn check_size(action: &Action) -> Result<(), String> {
    let operations = action.operations.as_ref().map_or(0, Vec::len);
    if operations > OPERATIONS_MAX {
        return Err(format!(
            "action has {operations} operations, more than {OPERATIONS_MAX}: split it"
        ));
    }
    let bytes = sent_bytes(&action.to_json());
    if bytes > ACTION_BYTES_MAX {
        return Err(format!(
            "action has {bytes} bytes as JSON, more than {ACTION_BYTES_MAX}: split it"
        ));
    }
    Ok(())
}

/// The parts of an action that the database stores as JSON.
#[derive(Deserialize)]
struct Parts {
    description: Box<RawValue>,
    threat: Box<RawValue>,
    operations: Box<RawValue>,
    pgpsignatures: Box<RawValue>,
}

fn row(action: &Action, id: Id) -> Result<ActionRow, Refusal> {
    let parts: Parts = serde_json::from_str(&action.to_json())?;
    Ok(ActionRow {
        id,
        name: action.name.clone(),
        target: action.target.clone(),
        description: parts.description.get().to_owned(),
        threat: parts.threat.get().to_owned(),
        operations: parts.operations.get().to_owned(),
        validfrom: action.valid_from.timestamp(),
        expireafter: action.expire_after.timestamp(),
        starttime: Some(NEVER_STARTED),
        finishtime: Some(NEVER_FINISHED),
        lastupdatetime: Some(NEVER_STARTED),
        status: action.status.clone(),
        syntaxversion: i64::from(action.syntax_version),
        pgpsignatures: parts.pgpsignatures.get().to_owned(),
        invalid: InvalidColumns::default(),
    })
}

/// Checks that every database can store an action: SQLite would accept values that PostgreSQL
/// refuses.
fn storable(row: &ActionRow) -> Result<(), String> {
    let failed = |text: String| Err(format!("Failed to store action: 'pq: {text}'"));
    let texts = [
        (&row.name, TEXT_CHARS_MAX),
        (&row.target, TEXT_CHARS_MAX),
        (&row.pgpsignatures, SIGNATURES_CHARS_MAX),
    ];
    for (text, chars_max) in texts {
        if text.contains('\0') {
            return failed("invalid byte sequence for encoding \"UTF8\": 0x00".to_owned());
        }
        if text.chars().count() > chars_max {
            return failed(format!("value too long for type character varying({chars_max})"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn action_whose_signature_fits_another_action_is_refused() {
        let text = br#"{"name":"n","target":"t","syntaxversion":2,"operations":[],
            "validfrom":"2026-11-22T00:00:00Z","expireafter":"2026-11-23T00:00:00Z",
            "pgpsignatures":["s"]}"#;
        let action = Action::parse(text).unwrap();
        let now: Time = "2026-11-22T00:00:00Z".parse().unwrap();
        assert_eq!(validate(&action, now), Ok(()));
        let split = Action { name: "n;target=all".to_owned(), ..action.clone() };
        let refused = "action name must not contain \";target=\"".to_owned();
        assert_eq!(validate(&split, now), Err(refused));
        for (target, key) in [("all;target=t", ";target="), ("t;validfrom=1", ";validfrom=")] {
            let split = Action { target: target.to_owned(), ..action.clone() };
            let refused = format!("action target must not contain {key:?}");
            assert_eq!(validate(&split, now), Err(refused));
        }
    }
}
