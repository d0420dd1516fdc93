//! What an answer to a POST means: the one place that decides it.
//!
//! An action may reach the fleet once at the most, so the question is never
//! whether the API *seems* to have refused, only whether it is *certain* that
//! it did not insert the action. It is certain in three cases: no byte of the
//! request was sent; the status is one that is given before the action is
//! looked at; or the API says with a 500 what it says before inserting. All
//! else is unknown, and the run is looked for by its signatures.
//!
//! **Invariant.** [`judge`] is pure. A message that the API can give both before
//! and after it inserts is not in [`BEFORE_INSERTING`].

use super::answer::{Action, Answer, action, wrong};
use super::error::{ApiError, Call, Said};
use super::{Next, Posted};
use crate::action::Signature;
use crate::names::ActionId;

/// How a message of the API is recognised.
#[derive(Debug, Clone, Copy)]
enum Message {
    Is(&'static str),
    /// It begins so; what follows names the detail.
    Begins(&'static str),
}

/// How our own platform begins its answer (503) to a request that it could not judge and of which it has
/// kept nothing.
pub(crate) const UNJUDGED: &str = "the request was not judged: ";

/// What the API says, with status 500, before it has inserted anything, and what
/// to do then. The first that fits counts.
///
/// The same complaints about a signature without `VerifySignatures() -> ` in
/// front come from storing the signatures, when the action is already there.
const BEFORE_INSERTING: [(Message, Next); 22] = [
    // Our own platform lacked something for a moment.
    (Message::Begins(UNJUDGED), Next::BackOff),
    // The form.
    (Message::Begins("invalid URL escape "), Next::Invalid),
    (Message::Is("http: POST too large"), Next::Invalid),
    // The JSON.
    (Message::Is("unexpected end of JSON input"), Next::Invalid),
    (Message::Begins("invalid character "), Next::Invalid),
    (Message::Begins("json: cannot unmarshal "), Next::Invalid),
    (Message::Begins("parsing time "), Next::Invalid),
    // The action. The fourth word is the API's own spelling.
    (Message::Is("action name is empty"), Next::Invalid),
    (Message::Is("action target is empty"), Next::Invalid),
    (Message::Is("wring syntax version, expected 2"), Next::Invalid),
    (Message::Is("action expireafter is set before action validfrom"), Next::Invalid),
    (Message::Is("action expireafter is in the past"), Next::DateAnew),
    (Message::Is("action operations is empty"), Next::Invalid),
    (Message::Is("action pgpsignatures is empty"), Next::Invalid),
    // The signatures. The API knows a new investigator's key only after five minutes.
    (Message::Is("VerifySignatures() -> openpgp: signature made by unknown entity"), Next::BackOff),
    (
        Message::Is("VerifySignatures() -> openpgp: invalid signature: RSA verification failure"),
        Next::SignAnew,
    ),
    // Any other text after this is not a verdict on a signature: the signature was not judged.
    (Message::Begins("VerifySignatures() -> openpgp: "), Next::Invalid),
    (Message::Begins("VerifySignatures() -> illegal base64 data "), Next::Invalid),
    (Message::Is("VerifySignatures() -> EOF"), Next::Invalid),
    (Message::Is("VerifySignatures() -> unexpected EOF"), Next::Invalid),
    // The insertion itself: the database took none of it.
    (Message::Begins("Failed to store action: 'pq: value too long for type "), Next::Invalid),
    (Message::Begins("Failed to store action: 'pq: invalid byte sequence for "), Next::Invalid),
];

/// Decides what became of a POST: from the answer, or from why there is none.
pub(super) fn judge(
    call: &Call,
    outcome: Result<Answer, ApiError>,
    signatures: &[Signature],
) -> Posted {
    let answer = match outcome {
        Ok(answer) if answer.status == 202 => return accepted(call, answer, signatures),
        Ok(answer) => answer,
        Err(cause @ ApiError::FormTooLong { .. }) => {
            return Posted::Refused { cause, next: Next::Invalid };
        }
        Err(cause) if cause.is_unsent() => {
            return Posted::Refused { cause, next: Next::BackOffAll };
        }
        Err(cause) => return Posted::Unknown { cause },
    };
    let cause = answer.refusal(call);
    match certain(&cause) {
        Some(next) => Posted::Refused { cause, next },
        None => Posted::Unknown { cause },
    }
}

/// Returns what to do after a refusal that is certain; `None` if it is not.
fn certain(refusal: &ApiError) -> Option<Next> {
    let ApiError::Status { status, said, .. } = refusal else { return None };
    match (status, said) {
        (400 | 413 | 422, _) => Some(Next::Invalid),
        (401 | 404 | 405, _) => Some(Next::BackOffAll),
        (500..=599, Said::Api(message)) => before_inserting(message),
        _ => None,
    }
}

fn before_inserting(said: &str) -> Option<Next> {
    let fits = |message: &Message| match message {
        Message::Is(text) => said == *text,
        Message::Begins(text) => said.starts_with(text),
    };
    BEFORE_INSERTING.iter().find(|(message, _)| fits(message)).map(|(_, next)| *next)
}

/// Decides about a 202: it counts only with an id and one of our signatures.
fn accepted(call: &Call, answer: Answer, signatures: &[Signature]) -> Posted {
    let (mut posted, head) = (None, answer.head());
    let walked = answer.walk(call, |_| true, &mut |value| {
        if posted.is_none()
            && let Ok(seen) = action(value)
            && is_ours(&seen, signatures)
        {
            posted = Some((ActionId(seen.id), value.to_owned()));
        }
        Ok(())
    });
    match (walked, posted) {
        (Ok(()), Some((id, action))) => Posted::Accepted { id, action },
        (Ok(()), None) => {
            let what = "no action with an id and our signature is in it";
            Posted::Unknown { cause: wrong(call, 202, what, head) }
        }
        (Err(cause), _) => Posted::Unknown { cause },
    }
}

/// Tells whether an action has an id and bears one of the signatures.
pub(super) fn is_ours(seen: &Action, signatures: &[Signature]) -> bool {
    let theirs = seen.pgpsignatures.as_deref().unwrap_or_default();
    seen.id > 0 && signatures.iter().any(|ours| theirs.iter().any(|line| line == ours.as_str()))
}

#[cfg(test)]
mod tests {
    use reqwest::Url;

    use super::*;
    use crate::api::Scope;

    fn judged(status: u16, body: &str) -> Result<Next, Scope> {
        let call = Call::new("POST", &Url::parse("http://h/").unwrap());
        let answer = Answer { status, retry_after: None, body: Ok(body.into()) };
        match judge(&call, Ok(answer), &[]) {
            Posted::Refused { next, .. } => Ok(next),
            Posted::Unknown { cause } => Err(cause.scope()),
            Posted::Accepted { id, .. } => panic!("accepted {id}"),
        }
    }

    fn message(text: &str) -> String {
        let text = serde_json::to_string(text).unwrap();
        format!(r#"{{"collection":{{"template":{{}},"error":{{"code":"1","message":{text}}}}}}}"#)
    }

    #[test]
    fn what_is_said_before_inserting_is_certain() {
        for (text, next) in [
            ("action expireafter is in the past", Next::DateAnew),
            ("VerifySignatures() -> openpgp: signature made by unknown entity", Next::BackOff),
            (
                "VerifySignatures() -> openpgp: invalid signature: RSA verification failure",
                Next::SignAnew,
            ),
            ("VerifySignatures() -> EOF", Next::Invalid),
            ("http: POST too large", Next::Invalid),
            ("the request was not judged: cannot verify a signature: EMFILE", Next::BackOff),
            ("invalid character '<' looking for beginning of value", Next::Invalid),
        ] {
            assert_eq!(judged(500, &message(text)), Ok(next), "{text}");
        }
    }

    #[test]
    fn what_may_be_said_after_inserting_is_not() {
        for text in [
            "openpgp: signature made by unknown entity",
            "openpgp: invalid signature: RSA verification failure",
            "GetFingerprintFromSignature() -> openpgp: signature made by unknown entity",
            "Failed to store signature: 'pq: value too long for type character varying(4096)'",
            "Failed to store action: 'pq: the database system is shutting down'",
            "Failed to store action: 'read tcp 127.0.0.1:5432: connection reset by peer'",
            "Error while finding investigator: 'EOF'",
            "VerifySignatures() -> cannot verify a signature: Too many open files (gpg error 32833)",
            "VerifySignatures() -> Error while finding investigator: cannot run query investigators",
            "Failed to store action: 'cannot run query commit: database or disk is full'",
            "action expireafter is in the past, or is it",
            "an action name is empty",
            "runtime error: invalid memory address or nil pointer dereference",
        ] {
            assert_eq!(judged(500, &message(text)), Err(Scope::Request), "{text}");
        }
    }

    #[test]
    fn only_the_api_itself_is_believed() {
        let text = "action name is empty";
        for body in [text.to_owned(), format!(r#"{{"error":{text:?}}}"#), message(text) + "x"] {
            assert_eq!(judged(500, &body), Err(Scope::Api), "{body}");
        }
        assert_eq!(judged(200, &message(text)), Err(Scope::Api));
    }

    #[test]
    fn a_status_that_decides_needs_no_body() {
        let call = Call::new("POST", &Url::parse("http://h/").unwrap());
        let cut = |status| {
            let body = Err(wrong(&call, status, "cut", String::new()));
            judge(&call, Ok(Answer { status, retry_after: None, body }), &[])
        };
        assert!(matches!(cut(422), Posted::Refused { next: Next::Invalid, .. }));
        assert!(matches!(cut(401), Posted::Refused { next: Next::BackOffAll, .. }));
        assert!(matches!(cut(500), Posted::Unknown { .. }));
        assert!(matches!(cut(202), Posted::Unknown { .. }));
    }
}
