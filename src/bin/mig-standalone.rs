//! `mig-standalone`: a MIG platform for one host.

use std::process::ExitCode;

fn main() -> ExitCode {
    mig_runner::mig_standalone()
}
