//! `mig-standalone module NAME`: reads one message from stdin, writes one result to stdout.
//!
//! The agent runs this in a child process. Operators can run it too.

use std::io::{self, Read, Write};

use super::modules::message::{self, MessageError};
use super::modules::{self, ModuleContext, ModuleError};

/// Maximum size of a message, in bytes.
const MESSAGE_BYTES_MAX: u64 = 64 << 20;

/// Why a module returned no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("cannot read the message on stdin")]
    Read(#[source] io::Error),
    #[error("the message is longer than {MESSAGE_BYTES_MAX} bytes")]
    Long,
    #[error("invalid message on stdin")]
    Message(#[from] MessageError),
    #[error(transparent)]
    Module(#[from] ModuleError),
    #[error("cannot write the result")]
    Write(#[source] io::Error),
}

/// Runs the module `name` with the message in `input` and writes its result to `output`.
pub(crate) fn run(
    name: &str,
    input: impl Read,
    mut output: impl Write,
    context: ModuleContext<'_>,
) -> Result<(), RunError> {
    if !modules::is_available(name) {
        return Err(ModuleError::Unknown(name.to_owned()).into());
    }
    let mut line = Vec::new();
    let mut input = input.take(MESSAGE_BYTES_MAX + 1);
    input.read_to_end(&mut line).map_err(RunError::Read)?;
    if u64::try_from(line.len()).is_ok_and(|size| size > MESSAGE_BYTES_MAX) {
        return Err(RunError::Long);
    }
    let result = modules::run(name, &message::read(&line)?, context)?;
    let written = serde_json::to_writer(&mut output, &result).map_err(io::Error::from);
    written.and_then(|()| output.write_all(b"\n")).map_err(RunError::Write)
}
