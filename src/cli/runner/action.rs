//! `action`: the text that is signed, or the JSON that is posted, for an action file.
//!
//! It helps to find out why a signature does not verify: the signed text is, byte for byte, the
//! one that agents reconstruct.

use std::path::PathBuf;
use std::sync::Arc;

use super::installation::{self, Installation, InstallationError};
use super::key;
use crate::action::{Action as Document, SignError, SignVerdict, Signer, UnknownKey};
use crate::chain::Chain;
use crate::cli::failure::{Explain, Failure};
use crate::cli::input::{InputError, InputFile};
use crate::cli::output;
use crate::exit::Exit;
use crate::go::json::ParseError;

/// Size limit of an action file, in bytes: several times what the API accepts.
const ACTION_BYTES_MAX: u64 = 64 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
#[error("{} is not a valid action", path.display())]
struct InvalidAction {
    path: PathBuf,
    source: ParseError,
}

impl Explain for InvalidAction {
    fn exit(&self) -> Exit {
        Exit::Data
    }
}

impl Explain for SignError {
    fn exit(&self) -> Exit {
        match self.verdict() {
            SignVerdict::RetryLater => Exit::System,
            SignVerdict::KeyUnusable => Exit::Config,
        }
    }
}

/// Print the text that is signed for an action file
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-runner action runners/setuid/action.json | sha256sum")]
pub(super) struct Action {
    /// The action file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print the JSON that would be posted instead of the signed text
    #[arg(long)]
    json: bool,
    /// Sign it with the configured key
    #[arg(long, requires = "json")]
    sign: bool,
}

impl Action {
    /// Prints the action; `load` reads the configuration if the key is needed.
    pub(super) fn run(
        &self,
        load: impl FnOnce() -> Result<Installation, Failure>,
    ) -> Result<Exit, Failure> {
        let text = InputFile::read(&self.file, ACTION_BYTES_MAX).map_err(InputError::Argument)?;
        let mut action = Document::parse(&text.bytes)
            .map_err(|source| InvalidAction { path: self.file.clone(), source })?;
        if self.sign {
            let signer = signer(load)?;
            action.sign_with(signer.as_ref())?;
            // Signatures that the file already had may lack padding. Those of unknown keys are left
            // alone: a wrong guess would invalidate them.
            action.pad_with(signer.as_ref(), UnknownKey::Keep)?;
        }
        if let Err(error) = action.check() {
            output::message(format!("the platform would reject this action: {}", Chain(&error)));
        }
        if self.json {
            output::raw(&format!("{}\n", action.to_json()))?;
        } else {
            // No line feed: it would be part of the signed text.
            output::raw(&action.signed_text())?;
        }
        Ok(Exit::Done)
    }
}

/// Returns the configured key. Without a configuration, returns the key of the client configuration
/// in the user's home.
fn signer(
    load: impl FnOnce() -> Result<Installation, Failure>,
) -> Result<Arc<dyn Signer>, Failure> {
    let is_unconfigured = |failure: &Failure| {
        matches!(failure.downcast_ref(), Some(InstallationError::Unconfigured { .. }))
    };
    let installation = match load() {
        Err(failure) if is_unconfigured(&failure) => None,
        loaded => Some(loaded?),
    };
    let settings = installation.as_ref().map(|installation| &installation.config.client);
    let (client, path) = installation::client(settings)?;
    Ok(Arc::new(key::open(settings, &client, &path)?))
}
