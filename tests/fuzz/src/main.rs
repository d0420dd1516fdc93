//! Runs a fuzz target, which the first argument names, under AFL++.

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    let Some(target) = mig_runner::fuzz_target(&name) else {
        panic!("there is no fuzz target {name:?}: src/fuzzing.rs lists them");
    };
    afl::fuzz!(|bytes: &[u8]| target(bytes));
}
