//! `init`: creates a runner's directory from the template, and prints the next steps.

use std::path::PathBuf;

use super::template;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::exit::Exit;
use crate::invocation::Program;

/// Create a runner's directory with sample jobs and plugins
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-runner init /var/lib/mig-runner")]
pub(super) struct Init {
    /// A new or empty folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Init {
    pub(super) fn run(&self) -> Result<Exit, Failure> {
        let folder = template::create(&self.folder)?;
        let config = folder.join("runner.cfg");
        let config = config.to_string_lossy();
        let jobs = folder.join("runners");
        for line in [
            format!("Created {}. Next steps:", folder.display()),
            "  1. Write the URL of the MIG API and your key to $HOME/.migrc (mode 0600):"
                .to_owned(),
            "       [api]".to_owned(),
            "           url = \"https://mig.example.net/api/v1/\"".to_owned(),
            "       [gpg]".to_owned(),
            "           home = \"/home/you/.gnupg\"".to_owned(),
            "           keyid = \"the fingerprint that gpg --list-secret-keys shows\"".to_owned(),
            format!("  2. Review the sample jobs in {}. All are paused:", jobs.display()),
            "     to enable a job, remove the line `paused` from its entity.cfg.".to_owned(),
            format!("  3. {}", Program::Runner.command(&["-c", &config, "check"])),
            format!("  4. {}", Program::Runner.command(&["-c", &config, "run"])),
        ] {
            output::answer(line)?;
        }
        Ok(Exit::Done)
    }
}
