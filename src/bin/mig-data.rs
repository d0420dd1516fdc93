//! MIG's data, for those who look after a platform.

use std::process::ExitCode;

fn main() -> ExitCode {
    mig_runner::mig_data()
}
