//! Integration tests.

/// The source keeps to its own rules: who imports whom, which crate is used where.
mod layers;
/// The plugins of the template, and the examples of the manual.
mod plugins;
