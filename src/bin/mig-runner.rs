//! Runs MIG actions on a schedule.

fn main() -> std::process::ExitCode {
    mig_runner::mig_runner()
}
