//! Integration tests.

/// The source keeps to its own rules: who imports whom, which crate is used where.
mod layers;

/// A whole MIG on this host, as a newcomer starts it.
#[cfg(feature = "standalone")]
mod trial;
