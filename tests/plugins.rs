//! The plugins of the template and the manual's examples, run as the runner runs them.

#![cfg(test)]

mod bench;
mod http;
mod jsonl;
mod mozdef;
