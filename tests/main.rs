//! Integration tests.

/// The commands, as a person types them.
mod cli;
/// The source keeps to its own rules: who imports whom, which crate is used where.
mod layers;
/// A place to run the programs in.
mod rig;

/// The manual pages name what the program has, and nothing else.
mod man;
