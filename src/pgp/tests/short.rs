//! Numbers that GnuPG writes shorter than the key: what becomes of ours and of those of other people.

use super::*;
use crate::action::Unknown;
use crate::pgp::testing::import;
use crate::pgp::testing::short::{CLOCK, SHORT, is_short};

/// How many texts are signed at most until one has a short number, of which there is one in 256.
const TEXTS_MAX: usize = 8000;

/// Returns a home whose GnuPG lives at the time of the recorded signatures, with a key.
fn home(key: &[u8]) -> Home {
    let home = Home::new();
    std::fs::write(home.path().join("gpg.conf"), CLOCK).unwrap();
    import(home.path(), key);
    home
}

#[test]
fn the_recorded_signatures_are_short_until_they_are_padded() {
    for short in SHORT {
        let home = home(short.public);
        let verifier = Verifier::new(home.path());
        let (text, line) = short.token();
        for (text, line) in [(text, line.to_owned()), (short.signed_text(), short.signature())] {
            let verify = |line: &str, numbers| verifier.verify(text.as_bytes(), line, numbers);
            let said = verify(&line, Numbers::Whole).unwrap_err().to_string();
            assert_eq!(said, "openpgp: invalid signature: RSA verification failure");
            let key = verify(&line, Numbers::Any).unwrap();
            // What is signed decides first, as in the original.
            let said = verifier.verify(b"other", &line, Numbers::Whole).unwrap_err().to_string();
            assert_eq!(said, "openpgp: invalid signature: hash tag doesn't match");
            let padded = short.padded(&line);
            assert_eq!(verify(padded.as_str(), Numbers::Whole).unwrap(), key);

            let content = |line: &str| armor::from_line(line).unwrap();
            let (before, after) = (content(&line), content(padded.as_str()));
            assert_eq!(after.len(), before.len() + 1);
            assert_eq!(
                before[before.len() - short.bytes + 1..],
                after[after.len() - short.bytes + 1..]
            );
            let files = ["sig", "data"].map(|name| home.path().join(name));
            std::fs::write(&files[0], after).unwrap();
            std::fs::write(&files[1], &text).unwrap();
            let paths = files.each_ref().map(|file| file.to_str().unwrap());
            let args = ["--status-fd", "1", "--verify", paths[0], paths[1]];
            let said = String::from_utf8(tool(home.path(), "gpg", &args).stdout).unwrap();
            assert!(said.contains("GOODSIG"), "{said}");
        }
    }
}

#[test]
fn a_signature_of_ours_is_never_short() {
    for short in SHORT {
        let home = home(short.secret);
        let key = Verifier::new(home.path())
            .verify(short.token().0.as_bytes(), short.token().1, Numbers::Any)
            .unwrap();
        let keyring = Keyring::open(home.path(), key.as_str(), None).unwrap();
        // The recorded text is signed as it was if GnuPG writes the same packet as then.
        let (recorded, line) = short.token();
        let texts = (0..TEXTS_MAX).map(|number| format!("text {number}"));
        let padded = std::iter::once(recorded.clone()).chain(texts).find_map(|text| {
            let signature = keyring.sign(text.as_bytes()).unwrap();
            assert!(!is_short(signature.as_str()), "{text:?}");
            let content = armor::from_line(signature.as_str()).unwrap();
            let is_padded = content[content.len() - short.bytes] == 0;
            is_padded.then_some((text, signature))
        });
        let (text, signature) = padded.expect("a signature that had to be padded");
        if text == recorded {
            assert_eq!(signature, short.padded(line));
        }
        let verifier = Verifier::new(home.path());
        assert_eq!(
            verifier.verify(text.as_bytes(), signature.as_str(), Numbers::Whole).unwrap(),
            key
        );
    }
}

#[test]
fn a_subkeys_signature_is_padded_to_the_length_of_the_subkey() {
    let home = home(SHORT[0].secret);
    let listed = tool(home.path(), "gpg", &["--with-colons", "--list-keys"]).stdout;
    let listed = String::from_utf8(listed).unwrap();
    let line = listed.lines().find(|line| line.starts_with("fpr:")).unwrap();
    let key = line.split(':').nth(9).unwrap();
    // The subkey is shorter than the primary key.
    let add = ["--batch", "--passphrase", "", "--quick-add-key", key, "rsa1024", "sign", "never"];
    tool(home.path(), "gpg", &add);
    let keyring = Keyring::open(home.path(), key, None).unwrap();
    let signature = (0..TEXTS_MAX).find_map(|number| {
        let signature = keyring.sign(format!("{number}").as_bytes()).unwrap();
        let content = armor::from_line(signature.as_str()).unwrap();
        assert!(!is_short(signature.as_str()), "{number}");
        let bits = content[content.len() - 130..].first_chunk().unwrap();
        assert_eq!(u16::from_be_bytes(*bits).div_ceil(8), 128, "{number}");
        (content[content.len() - 128] == 0).then_some((number, signature))
    });
    let (number, signature) = signature.expect("a signature that had to be padded");
    let text = format!("{number}");
    let verifier = Verifier::new(home.path());
    verifier.verify(text.as_bytes(), signature.as_str(), Numbers::Whole).unwrap();
}

#[test]
fn the_signature_of_another_key_is_padded_if_the_key_is_known_or_guessed() {
    let own = home(SHORT[0].secret);
    let key = quick_key(own.path(), &[], "rsa1024", "sign", "never");
    let keyring = Keyring::open(own.path(), key.as_str(), None).unwrap();
    let padded = |line: &str, unknown| keyring.padded(line, unknown).unwrap();
    let [known, unknown] = SHORT.each_ref().map(|short| (short.signature(), short));
    for how in [Unknown::Keep, Unknown::Guess] {
        let whole = known.1.padded(&known.0);
        assert_eq!(padded(&known.0, how), Some(whole.clone()), "{how:?}");
        assert_eq!(padded(whole.as_str(), how), None, "{how:?}");
        for none in ["", "AAAA", "!!=AAAA", "AAAA=AAAA"] {
            assert_eq!(padded(none, how), None, "{none}");
        }
    }
    assert_eq!(padded(&unknown.0, Unknown::Keep), None);
    let whole = unknown.1.padded(&unknown.0);
    assert_eq!(padded(&unknown.0, Unknown::Guess), Some(whole.clone()));
    assert_eq!(padded(whole.as_str(), Unknown::Guess), None);
    // The key arrives in the keyring of the running runner.
    import(own.path(), unknown.1.public);
    assert_eq!(padded(&unknown.0, Unknown::Keep), Some(whole));
}
