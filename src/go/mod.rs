//! Behaviour of Go that the formats of the original depend on.

#[cfg(feature = "platform")]
pub(crate) mod regexp;
