//! `mig-runner`: runs MIG actions on a schedule and passes their results to plugins.

use std::process::ExitCode;

fn main() -> ExitCode {
    mig_runner::mig_runner()
}
