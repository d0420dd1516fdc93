//! Verification of an action's signatures, for agents.
//!
//! An agent runs nothing that no investigator has signed. Which keys belong to investigators is
//! known elsewhere (for the agent of the one-host platform, in the platform's database), so the
//! agent is given a verifier.

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
    /// A signature does not count.
    #[error(transparent)]
    Refused(Box<dyn Error + Send + Sync>),
    /// A signature could not be checked now, and may be valid.
    #[error(transparent)]
    Unavailable(Box<dyn Error + Send + Sync>),
}
