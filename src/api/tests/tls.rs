//! The client against a server with certificates of its own making.
//!
//! The system's `openssl` makes the certificates and is the server; where it is
//! not installed there is nothing to test with, and the test says so.
