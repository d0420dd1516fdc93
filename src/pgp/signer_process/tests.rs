//! Signers of the unit tests' own executable, with the real GnuPG.

use super::*;

/// Serves the tests of this process as a signer; see [`ARGUMENTS`].
#[test]
fn serve_as_a_signer() {
    // Among the other tests, stdin is not the socket of a parent.
    if let Err(error) = serve() {
        println!("{error}");
    }
}
