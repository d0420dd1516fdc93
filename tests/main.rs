//! Integration tests.

/// Runs, from a job's folder to its plugins, through everything that can happen on the way.
#[cfg(feature = "standalone")]
mod flow;
/// The source keeps to its own rules: who imports whom, which crate is used where.
mod layers;
/// What the other tests stand on: a key, a platform and a runner in a folder of their own.
#[cfg(feature = "standalone")]
mod rig;
/// Answers that do not say whether the platform has the action: it has it once.
#[cfg(feature = "standalone")]
mod uncertain;
