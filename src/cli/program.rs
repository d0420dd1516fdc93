//! The start and the end that all programs share.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;

use super::failure::{Failure, SystemError};
use super::{env, output};
use crate::disk::trust;
use crate::exit::Exit;
use crate::invocation::{self, Program, Start};
use crate::pgp;
use crate::spawn::protect::protect_memory;

/// Runs `command`, which handles the command line of `program`; or serves the parent process, if it
/// has started this one as a worker.
pub(super) fn run(program: Program, command: impl FnOnce() -> ExitCode) -> ExitCode {
    if let Err(source) = protect_memory() {
        return end(
            Err(SystemError { doing: "protect the memory of this process", source }.into()),
        );
    }
    // Every file that is created, logs and documents included, is private to its owner.
    trust::set_private_umask();
    pgp::set_gnupg_environment(env::gnupg_environment());
    let first = std::env::args_os().nth(1);
    if let Some(served) = first.and_then(|first| serve_parent(&first)) {
        let failed = |source| SystemError { doing: "serve as a worker", source }.into();
        return end(served.map(|()| Exit::Done).map_err(failed));
    }
    begin(program);
    command()
}

/// Serves the parent if it has started this process for GnuPG. `first` is the first argument.
fn serve_parent(first: &OsStr) -> Option<io::Result<()>> {
    match first {
        first if first == pgp::WORKER_ARGUMENT => Some(pgp::serve_as_worker()),
        first if first == pgp::SIGNER_ARGUMENT => Some(pgp::serve_as_signer()),
        _ => None,
    }
}

/// Records how this process was started, for the commands that messages suggest.
fn begin(program: Program) {
    // If the path of this executable is unknown, messages name the other programs in the way in
    // which this one was called.
    let file = std::env::current_exe().ok();
    let typed = std::env::args_os().next();
    invocation::begin(program, &Start { typed, file, search: env::search_path() });
}

/// Makes the commands that messages suggest for `programs` name the configuration, unless it is the
/// default.
pub(super) fn set_config(programs: &[Program], config: &Path, default: &str) {
    if config != Path::new(default) {
        for program in programs {
            program.set_options(&["-c", &config.to_string_lossy()]);
        }
    }
}

/// Prints what failed, and returns the exit status. No `gpg` and no signer that this program has
/// started continues to run.
pub(super) fn end(done: Result<Exit, Failure>) -> ExitCode {
    pgp::end_signers();
    pgp::end_workers();
    let exit = done.unwrap_or_else(|failure| {
        for line in failure.lines() {
            output::message(line);
        }
        output::hint(&failure.hints());
        failure.exit()
    });
    exit.into()
}

/// Prints help or the version if the command line requests it; otherwise reports its errors.
pub(super) fn answer_without_command(error: &clap::Error) -> Result<Exit, Failure> {
    let text = error.render().to_string();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        output::raw(&text)?;
        return Ok(Exit::Done);
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        output::message("a command is missing");
        let choice = text.lines().skip_while(|line| !line.starts_with("Usage:"));
        let choice = choice.take_while(|line| *line != "Options:");
        output::hint(
            &choice.filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>(),
        );
        return Ok(Exit::Usage);
    }
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    output::message(lines.next().unwrap_or_default());
    output::hint(&lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>());
    Ok(Exit::Usage)
}

/// Returns hints for the first use of a program without a configuration; `thing` is what its `init`
/// creates.
pub(super) fn first_steps(program: Program, thing: &str) -> Vec<String> {
    let ways = [
        ("to see it work on this host:".to_owned(), program.command(&["try"])),
        (format!("to create a {thing} of your own:"), program.command(&["init", "DIR"])),
        ("to use a configuration elsewhere:".to_owned(), program.command(&["-c", "FILE"])),
    ];
    let width = ways.iter().map(|(purpose, _)| purpose.len()).max().unwrap_or_default();
    ways.iter().map(|(purpose, command)| format!("{purpose:width$}  {command}")).collect()
}

/// Returns the path of this process's executable.
pub(super) fn own_executable() -> Result<PathBuf, SystemError> {
    std::env::current_exe()
        .map_err(|source| SystemError { doing: "find this program's own file", source })
}
