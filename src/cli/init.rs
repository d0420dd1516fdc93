//! `init`: a runner's directory from the template, and what to do next.

use std::path::PathBuf;

use super::failure::Failure;
use super::{output, template};
use crate::exit::Exit;
use crate::invocation::Program;

/// Lay out a runner's directory, with sample jobs and plugins
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-runner init /var/lib/mig-runner")]
pub(crate) struct Init {
    /// A folder that is new or empty
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Init {
    /// Lays the directory out.
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let folder = template::lay_out(&self.folder)?;
        let config = folder.join("runner.cfg");
        let config = config.to_string_lossy();
        let jobs = folder.join("runners");
        for line in [
            format!("{} is ready. Next:", folder.display()),
            "  1. Say where the MIG API is and which key signs, in $HOME/.migrc (mode 0600):"
                .to_owned(),
            "       [api]".to_owned(),
            "           url = \"https://mig.example.net/api/v1/\"".to_owned(),
            "       [gpg]".to_owned(),
            "           home = \"/home/you/.gnupg\"".to_owned(),
            "           keyid = \"the fingerprint that gpg --list-secret-keys shows\"".to_owned(),
            format!("  2. Look at the sample jobs in {}: each is paused.", jobs.display()),
            "     Remove the line `paused` from an entity.cfg to let that job run.".to_owned(),
            format!("  3. {}", Program::Runner.command(&["-c", &config, "check"])),
            format!("  4. {}", Program::Runner.command(&["-c", &config, "run"])),
        ] {
            output::answer(line)?;
        }
        Ok(Exit::Done)
    }
}
