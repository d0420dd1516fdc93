//! A MIG platform for one host.
fn main() {}
