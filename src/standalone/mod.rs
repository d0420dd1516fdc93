//! The one-host platform.

mod modules;
mod target;
