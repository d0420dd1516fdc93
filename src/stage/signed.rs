//! A signed action: its validity, its text, and what follows from signing it.

use std::time::Duration;

use jiff::Timestamp;

use super::{Move, Pause, TaskKind, Verdict};
use crate::action::{CheckError, SignError};
use crate::chain::Chain;
use crate::clock::{after, before};
use crate::go::json::ParseError;
use crate::spool::{Fate, Record, Transition};

/// Time from the start of an action's validity to its signing, for agents whose clocks are behind.
pub(crate) const VALID_SINCE: Duration = Duration::from_secs(60);

/// The validity of an action, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

impl Period {
    /// Returns the period of an action that is signed at `now` and valid for `expiry` from then on.
    pub(crate) fn starting(now: Timestamp, expiry: Duration) -> Period {
        let (from, until) = (before(now, VALID_SINCE), after(now, expiry));
        Period { from: whole_seconds(from), until: whole_seconds(until) }
    }
}

/// A signed action, ready to be posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedAction {
    /// The exact JSON text.
    pub(crate) posted: String,
    pub(crate) signatures: Vec<String>,
    pub(crate) valid_from: Timestamp,
    pub(crate) expire_after: Timestamp,
}

/// Why an action was not signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SigningError {
    #[error("the action cannot be read")]
    Parse(#[source] ParseError),
    /// The platform would not accept the action.
    #[error("the action cannot be sent")]
    Check(#[source] CheckError),
    #[error("cannot sign the action")]
    Key(#[source] SignError),
    /// The platform refuses a signature that the runner cannot replace.
    #[error(
        "the platform cannot verify a signature that this runner did not make, so those who signed the action \
         must sign it again: {0}"
    )]
    Presigned(String),
}

/// Truncates a time to whole seconds, so that searches by time are exact.
pub(crate) fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// Decides what follows from signing: the request is made durable, and is posted after that.
pub(crate) fn signed(signed: Result<SignedAction, SigningError>) -> Verdict {
    match signed {
        Ok(signed) => {
            let note = move |record: &mut Record| {
                for signature in &signed.signatures {
                    if !record.request.signatures.contains(signature) {
                        record.request.signatures.push(signature.clone());
                    }
                }
                record.request.posted = Some(signed.posted.clone());
                record.request.valid_from = Some(signed.valid_from);
                record.request.expire_after = Some(signed.expire_after);
                record.request.fate = Fate::Unknown;
            };
            Verdict::moved(Move::changing(Transition::Signed, note).then(TaskKind::Post))
        }
        Err(
            error @ (SigningError::Parse(_) | SigningError::Check(_) | SigningError::Presigned(_)),
        ) => Verdict::moved(Move::refused(Transition::Refused, Chain(&error).to_string())),
        Err(error @ SigningError::Key(_)) => {
            let text = Chain(&error).to_string();
            let noted =
                Move::changing(Transition::Noted, move |record| record.error = Some(text.clone()));
            Verdict::noted(noted, Pause::Api(None))
        }
    }
}
