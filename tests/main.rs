//! Integration tests.

/// The source keeps to its own rules: who imports whom, which crate is used where.
mod layers;

/// The manual pages name what the program has, and nothing else.
mod man;
