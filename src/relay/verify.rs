//! Verification of an action's signatures, for agents.
//!
//! An agent runs only actions that an investigator has signed. It does not know which keys belong
//! to investigators, so it receives a verifier from the program that starts it. The one-host
//! platform passes a verifier that reads the platform's database.

use std::error::Error;
use std::fmt::Debug;

use crate::action::Action;

/// Verifies the signatures of actions with the keys of investigators.
pub(crate) trait ActionVerifier: Debug + Send + Sync {
    /// Checks that every signature of an action is valid and made by an active investigator. An
    /// action without signatures passes.
    fn verify(&self, action: &Action) -> Result<(), VerificationError>;
}

/// Why an action was not verified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerificationError {
    /// A signature is invalid, or its owner is not an active investigator.
    #[error(transparent)]
    Refused(Box<dyn Error + Send + Sync>),
    /// A signature could not be checked now, and may be valid.
    #[error(transparent)]
    Unavailable(Box<dyn Error + Send + Sync>),
}
