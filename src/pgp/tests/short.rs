//! Signatures with numbers that GnuPG writes shorter than the key: our own, and those of other
//! keys.

use super::*;
use crate::action::UnknownKey;
use crate::pgp::testing::import;
use crate::pgp::testing::short::{CLOCK, SHORT, is_short};

/// Maximum number of texts to sign until one of them has a short number, which happens once in 256.
const TEXTS_MAX: usize = 8000;

/// Returns a home with a key, whose GnuPG uses the time of the recorded signatures.
fn home(key: &[u8]) -> Home {
    let home = Home::new();
    std::fs::write(home.path().join("gpg.conf"), CLOCK).unwrap();
    import(home.path(), key);
    home
}

#[test]
fn recorded_signatures_are_short_until_they_are_padded() {
    for short in SHORT {
        let home = home(short.public);
        let (text, line) = short.token();
        for (text, line) in [(text, line.to_owned()), (short.signed_text(), short.signature())] {
            let verify = |line: &str, numbers| verify(home.path(), text.as_bytes(), line, numbers);
            let said = verify(&line, RsaNumbers::FullLength).unwrap_err().to_string();
            assert_eq!(said, "openpgp: invalid signature: RSA verification failure");
            let key = verify(&line, RsaNumbers::AnyLength).unwrap();
            // As in the original, the signed data is checked first.
            let said =
                super::verify(home.path(), b"other", &line, RsaNumbers::FullLength).unwrap_err();
            assert_eq!(said.to_string(), "openpgp: invalid signature: hash tag doesn't match");
            let padded = short.padded(&line);
            assert_eq!(verify(padded.as_str(), RsaNumbers::FullLength).unwrap(), key);

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
            let said = String::from_utf8(run_tool(home.path(), "gpg", &args).stdout).unwrap();
            assert!(said.contains("GOODSIG"), "{said}");
        }
    }
}

#[test]
fn own_signatures_are_never_short() {
    for short in SHORT {
        let home = home(short.secret);
        let (recorded, line) = short.token();
        let key = verify(home.path(), recorded.as_bytes(), line, RsaNumbers::AnyLength).unwrap();
        let keyring = GpgSigner::open(home.path(), key.as_str(), None).unwrap();
        // If GnuPG still writes the same packets, the signature of the recorded text is unchanged.
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
        let signature = signature.as_str();
        let by = verify(home.path(), text.as_bytes(), signature, RsaNumbers::FullLength).unwrap();
        assert_eq!(by, key);
    }
}

#[test]
fn signature_by_a_subkey_is_padded_to_its_length() {
    let home = home(SHORT[0].secret);
    let listed = run_tool(home.path(), "gpg", &["--with-colons", "--list-keys"]).stdout;
    let listed = String::from_utf8(listed).unwrap();
    let line = listed.lines().find(|line| line.starts_with("fpr:")).unwrap();
    let key = line.split(':').nth(9).unwrap();
    // The subkey is shorter than the primary key.
    let add = ["--batch", "--passphrase", "", "--quick-add-key", key, "rsa1024", "sign", "never"];
    run_tool(home.path(), "gpg", &add);
    let keyring = GpgSigner::open(home.path(), key, None).unwrap();
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
    verify(home.path(), text.as_bytes(), signature.as_str(), RsaNumbers::FullLength).unwrap();
}

#[test]
fn signature_by_another_key_is_padded_if_its_length_is_known_or_guessed() {
    let own = home(SHORT[0].secret);
    let key = quick_key(own.path(), &[], "rsa1024", "sign", "never");
    let keyring = GpgSigner::open(own.path(), key.as_str(), None).unwrap();
    let padded = |line: &str, unknown| keyring.padded(line, unknown).unwrap();
    let [known, unknown] = SHORT.each_ref().map(|short| (short.signature(), short));
    for how in [UnknownKey::Keep, UnknownKey::Guess] {
        let whole = known.1.padded(&known.0);
        assert_eq!(padded(&known.0, how), Some(whole.clone()), "{how:?}");
        assert_eq!(padded(whole.as_str(), how), None, "{how:?}");
        for none in ["", "AAAA", "!!=AAAA", "AAAA=AAAA"] {
            assert_eq!(padded(none, how), None, "{none}");
        }
    }
    assert_eq!(padded(&unknown.0, UnknownKey::Keep), None);
    let whole = unknown.1.padded(&unknown.0);
    assert_eq!(padded(&unknown.0, UnknownKey::Guess), Some(whole.clone()));
    assert_eq!(padded(whole.as_str(), UnknownKey::Guess), None);
    // The key is imported while the runner is running.
    import(own.path(), unknown.1.public);
    assert_eq!(padded(&unknown.0, UnknownKey::Keep), Some(whole));
}
