//! The plugins of the template and the examples in the manual, run as the runner runs them.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests write and read the files of plugins")]

mod bulk;
mod http;
mod jsonl;
mod mozdef;
mod pages;
mod rig;
