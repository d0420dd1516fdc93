//! Interprets the response to a POST.
//!
//! An action must reach the fleet at most once. So the question is never whether the API *seems* to
//! have refused the action, only whether it *certainly* did not insert it. That is certain in three
//! cases: no byte of the request was sent; the status is one that the API returns before it
//! processes the action; or the API returns a message that it gives only before inserting. In all
//! other cases the outcome is unknown, and the run is searched for by its signatures.
//!
//! **Invariant.** [`judge`] is pure. A message that the API can give both before and after
//! inserting is not in [`BEFORE_INSERTING`].

use super::answer::{Answer, ApiAction, action, unusable};
use super::error::{ApiError, Call, RefusalMessage};
use super::wanted::Wanted;
use super::{Next, Posted};
use crate::action::Signature;
use crate::names::ActionId;

/// A pattern for a message of the API.
#[derive(Debug, Clone, Copy)]
enum Pattern {
    Is(&'static str),
    /// The beginning of a message whose end varies.
    StartsWith(&'static str),
}

/// Beginning of the message with which our own platform answers a request that it did not judge and
/// of which it stored nothing: for lack of a resource (503), because its body arrived too slowly
/// (408), or because it may come from a web page (403).
pub(crate) const UNJUDGED: &str = "the request was not judged: ";

/// The messages that the API gives, with status 500, before it has inserted anything, and the next
/// step for each. The first match counts.
///
/// Complaints about a signature without `VerifySignatures() -> ` in front come from storing the
/// signatures, when the action is already inserted.
const BEFORE_INSERTING: [(Pattern, Next); 28] = [
    // Our own platform temporarily lacked a resource.
    (Pattern::StartsWith(UNJUDGED), Next::BackOff),
    // The form.
    (Pattern::StartsWith("invalid URL escape "), Next::Invalid),
    (Pattern::Is("http: POST too large"), Next::Invalid),
    // The JSON.
    (Pattern::Is("unexpected end of JSON input"), Next::Invalid),
    (Pattern::StartsWith("invalid character "), Next::Invalid),
    (Pattern::StartsWith("json: cannot unmarshal "), Next::Invalid),
    (Pattern::StartsWith("parsing time "), Next::Invalid),
    // The action. "wring" is the API's own spelling.
    (Pattern::Is("action name is empty"), Next::Invalid),
    (Pattern::Is("action target is empty"), Next::Invalid),
    (Pattern::Is("wring syntax version, expected 2"), Next::Invalid),
    (Pattern::Is("action expireafter is set before action validfrom"), Next::Invalid),
    (Pattern::Is("action expireafter is in the past"), Next::DateAnew),
    (Pattern::Is("action operations is empty"), Next::Invalid),
    (Pattern::Is("action pgpsignatures is empty"), Next::Invalid),
    // The action, refused by our own platform only.
    (Pattern::StartsWith("the key \""), Next::Invalid),
    (Pattern::StartsWith("action name must not contain "), Next::Invalid),
    (Pattern::StartsWith("action target must not contain "), Next::Invalid),
    (Pattern::StartsWith("action has "), Next::Invalid),
    (Pattern::StartsWith("the action has more than "), Next::Invalid),
    (Pattern::StartsWith("VerifySignatures() -> signature is longer than "), Next::Invalid),
    // The signatures. The API learns a new investigator's key only after up to five minutes.
    (Pattern::Is("VerifySignatures() -> openpgp: signature made by unknown entity"), Next::BackOff),
    (
        Pattern::Is("VerifySignatures() -> openpgp: invalid signature: RSA verification failure"),
        Next::SignAnew,
    ),
    // Texts after `VerifySignatures() -> ` that are not listed here do not judge the signature.
    (Pattern::StartsWith("VerifySignatures() -> openpgp: "), Next::Invalid),
    (Pattern::StartsWith("VerifySignatures() -> illegal base64 data "), Next::Invalid),
    (Pattern::Is("VerifySignatures() -> EOF"), Next::Invalid),
    (Pattern::Is("VerifySignatures() -> unexpected EOF"), Next::Invalid),
    // The insertion itself, which the database rejected as a whole.
    (Pattern::StartsWith("Failed to store action: 'pq: value too long for type "), Next::Invalid),
    (Pattern::StartsWith("Failed to store action: 'pq: invalid byte sequence for "), Next::Invalid),
];

/// Determines the outcome of a POST from its response or error.
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
    match certain_refusal(&cause) {
        Some(next) => Posted::Refused { cause, next },
        None => Posted::Unknown { cause },
    }
}

/// Returns the next step after a refusal if the refusal is certain.
fn certain_refusal(refusal: &ApiError) -> Option<Next> {
    let ApiError::Status { status, message, .. } = refusal else { return None };
    match (status, message) {
        (400 | 413 | 422, _) => Some(Next::Invalid),
        (401 | 404 | 405, _) => Some(Next::BackOffAll),
        // All requests of this client are refused in the same way.
        (403, RefusalMessage::Api(message)) if message.starts_with(UNJUDGED) => {
            Some(Next::BackOffAll)
        }
        (408, RefusalMessage::Api(message)) if message.starts_with(UNJUDGED) => Some(Next::BackOff),
        (500..=599, RefusalMessage::Api(message)) => before_inserting(message),
        _ => None,
    }
}

fn before_inserting(message: &str) -> Option<Next> {
    let matches = |pattern: &Pattern| match pattern {
        Pattern::Is(text) => message == *text,
        Pattern::StartsWith(text) => message.starts_with(text),
    };
    BEFORE_INSERTING.iter().find(|(pattern, _)| matches(pattern)).map(|(_, next)| *next)
}

/// Interprets a 202, which counts only with an id and one of our signatures.
fn accepted(call: &Call, answer: Answer, signatures: &[Signature]) -> Posted {
    let (mut posted, head) = (None, answer.head());
    let walked = answer.walk(call, Wanted::Named(|_| true), &mut |value| {
        if posted.is_none()
            && let Ok(seen) = action(value.text)
            && is_ours(&seen, signatures)
        {
            posted = Some((ActionId(seen.id), value.to_raw()?));
        }
        Ok(())
    });
    match (walked, posted) {
        (Ok(()), Some((id, action))) => Posted::Accepted { id, action },
        (Ok(()), None) => {
            let what = "it contains no action with an id and one of our signatures";
            Posted::Unknown { cause: unusable(call, 202, what, head) }
        }
        (Err(cause), _) => Posted::Unknown { cause },
    }
}

/// Returns whether an action has an id and one of the signatures.
pub(super) fn is_ours(seen: &ApiAction, signatures: &[Signature]) -> bool {
    let theirs = seen.pgpsignatures.as_deref().unwrap_or_default();
    seen.id > 0 && signatures.iter().any(|ours| theirs.iter().any(|line| line == ours.as_str()))
}

#[cfg(test)]
pub(crate) mod testing {
    use reqwest::Url;

    use super::*;

    /// Returns the next step after a refusal; the error if the outcome is unknown.
    pub(crate) fn judged(status: u16, body: &str) -> Result<Next, ApiError> {
        let call = Call::new("POST", &Url::parse("http://h/").unwrap());
        let answer = Answer::of(status, Ok(body.into()));
        match judge(&call, Ok(answer), &[]) {
            Posted::Refused { next, .. } => Ok(next),
            Posted::Unknown { cause } => Err(cause),
            Posted::Accepted { id, .. } => panic!("accepted {id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::Url;

    use super::*;
    use crate::api::Scope;

    fn judged(status: u16, body: &str) -> Result<Next, Scope> {
        testing::judged(status, body).map_err(|error| error.scope())
    }

    fn message(text: &str) -> String {
        let text = serde_json::to_string(text).unwrap();
        format!(r#"{{"collection":{{"template":{{}},"error":{{"code":"1","message":{text}}}}}}}"#)
    }

    #[test]
    fn messages_before_inserting_are_certain_refusals() {
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
    fn messages_possible_after_inserting_are_uncertain() {
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
    fn request_that_was_not_judged_is_certainly_not_stored() {
        let text = message("the request was not judged: host \"mig\" is unknown");
        assert_eq!(judged(403, &text), Ok(Next::BackOffAll));
        assert_eq!(judged(408, &text), Ok(Next::BackOff));
        assert_eq!(judged(503, &text), Ok(Next::BackOff));
        for status in [403, 408] {
            assert_eq!(judged(status, &message("no")), Err(Scope::Api), "{status}");
            assert_eq!(judged(status, "the request was not judged: "), Err(Scope::Api), "{status}");
        }
        let call = Call::new("POST", &Url::parse("http://h/").unwrap());
        let cause = Answer::of(403, Ok(text.into())).refusal(&call).to_string();
        assert!(
            cause.ends_with("answered 403: the request was not judged: host \"mig\" is unknown")
        );
    }

    #[test]
    fn messages_of_other_servers_are_uncertain() {
        let text = "action name is empty";
        for body in [text.to_owned(), format!(r#"{{"error":{text:?}}}"#), message(text) + "x"] {
            assert_eq!(judged(500, &body), Err(Scope::Api), "{body}");
        }
        assert_eq!(judged(200, &message(text)), Err(Scope::Api));
    }

    #[test]
    fn decisive_status_needs_no_body() {
        let call = Call::new("POST", &Url::parse("http://h/").unwrap());
        let cut = |status| {
            let body = Err(unusable(&call, status, "cut", String::new()));
            judge(&call, Ok(Answer::of(status, body)), &[])
        };
        assert!(matches!(cut(422), Posted::Refused { next: Next::Invalid, .. }));
        assert!(matches!(cut(401), Posted::Refused { next: Next::BackOffAll, .. }));
        assert!(matches!(cut(500), Posted::Unknown { .. }));
        assert!(matches!(cut(202), Posted::Unknown { .. }));
    }
}
