//! Runs MIG actions on a schedule.
fn main() {}
