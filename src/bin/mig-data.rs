//! `mig-data`: administers the data of a MIG platform.

use std::process::ExitCode;

fn main() -> ExitCode {
    mig_runner::mig_data()
}
