//! `action`: what would be signed or posted for an action file, as it stands.
//!
//! For whoever has to find out why a signature does not verify: the string is the
//! one that agents make themselves, byte for byte.

use std::path::PathBuf;
use std::sync::Arc;

use super::failure::Failure;
use super::installation::{self, Installation, Text};
use super::{key, output};
use crate::action::{Action as Document, Signer, Unknown};
use crate::chain::Chain;
use crate::exit::Exit;

/// The largest action that is read: several times what the API takes.
const ACTION_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Print the text that is signed for an action file, as it stands
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-runner action runners/setuid/action.json | sha256sum")]
pub(crate) struct Action {
    /// The action
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The JSON that would be posted instead of the signed text
    #[arg(long)]
    json: bool,
    /// Sign it, with the key of the configuration
    #[arg(long, requires = "json")]
    sign: bool,
}

impl Action {
    /// Prints it; `load` reads the configuration, for the key.
    ///
    /// # Errors
    /// The file is no action, or cannot be signed.
    pub(crate) fn run(
        &self,
        load: impl FnOnce() -> Result<Installation, Failure>,
    ) -> Result<Exit, Failure> {
        let text = Text::read(&self.file, ACTION_BYTES_MAX).map_err(Failure::Input)?;
        let mut action = Document::parse(&text.bytes)
            .map_err(|source| Failure::Action { path: self.file.clone(), source })?;
        if self.sign {
            let signer = signer(load)?;
            action.sign_with(signer.as_ref())?;
            // Those that the file has may be short. A wrong guess would spoil one.
            action.pad_with(signer.as_ref(), Unknown::Keep)?;
        }
        if let Err(error) = action.check() {
            output::message(format!("the platform would refuse it: {}", Chain(&error)));
        }
        if self.json {
            output::raw(&format!("{}\n", action.to_json()))?;
        } else {
            // No line feed: it would be part of what is signed.
            output::raw(&action.signed_text())?;
        }
        Ok(Exit::Done)
    }
}

/// Returns the key of the configuration; where there is none, that of the client's own.
fn signer(
    load: impl FnOnce() -> Result<Installation, Failure>,
) -> Result<Arc<dyn Signer>, Failure> {
    let installation = match load() {
        Err(Failure::Unconfigured { .. }) => None,
        loaded => Some(loaded?),
    };
    let settings = installation.as_ref().map(|installation| &installation.config.client);
    let (client, path) = installation::client(settings)?;
    Ok(Arc::new(key::open(settings, &client, &path)?))
}
