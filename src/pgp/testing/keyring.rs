//! The home of an investigator's key, with options that a test chooses.

use super::super::{KeyText, Verifier};
use super::import;
use crate::testing::{make_private, write_private};

/// Creates the home of a key without checking the key. `config` is its gpg.conf.
pub(crate) fn import_for(verifier: &Verifier, armored: &[u8], config: &str) {
    let home = verifier.home(&KeyText::read(armored).unwrap());
    make_private(&home);
    write_private(&home.join("gpg.conf"), config);
    import(&home, armored);
}
