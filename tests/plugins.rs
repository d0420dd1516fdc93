//! The plugins of the template and the manual's examples, run as the runner runs them.

#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "tests read what plugins wrote, and lay out what they read"
)]

mod bench;
mod bulk;
mod http;
mod jsonl;
mod mozdef;
mod pages;
