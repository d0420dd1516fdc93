//! Behaviour of Go that MIG's wire formats and signatures depend on.
//!
//! MIG's API, scheduler and agents are written in Go, and agents verify signatures over text that
//! their Go code generates. Wherever the exact bytes, accepted texts or error messages of Go
//! matter, this module reproduces them; Go 1.19 is the version that the platform is built with.
//!
//! **Invariants.** No I/O, and no knowledge of MIG.

pub(crate) mod duration;
pub(crate) mod json;
#[cfg(feature = "platform")]
pub(crate) mod regexp;
pub(crate) mod time;
