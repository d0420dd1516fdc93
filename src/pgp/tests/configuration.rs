//! Faults of GnuPG's configuration are reported with their remedy.

use super::*;
use crate::action::Signature;
use crate::pgp::configuration::ConfigurationError;
use crate::pgp::testing::damage::gpg;
use crate::pgp::verify::verify_in;

/// Opens the key and signs with this gpg.conf. An error is returned as its text, with whether it is
/// transient.
fn sign(home: &Home, key: &Fingerprint, config: &str) -> Result<Signature, (String, bool)> {
    end_gpg_agent(home.path()).unwrap();
    std::fs::write(home.path().join("gpg.conf"), format!("{config}\n")).unwrap();
    let keyring = GpgSigner::open(home.path(), key.as_str(), None)
        .map_err(|error| (Chain(&error).to_string(), error.is_transient()))?;
    keyring.sign(TEXT).map_err(|error| (text(&error), error.verdict() == SignVerdict::RetryLater))
}

#[test]
fn fault_of_gpg_conf_is_reported_with_the_remedy() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    let other = quick_key(home.path(), &[], "rsa1024", "sign", "never");
    let file = home.path().join("gpg.conf").display().to_string();
    let options = [
        ("digest-algo FOO", "selected digest algorithm is invalid"),
        ("cipher-algo FOO", "selected cipher algorithm is invalid"),
        ("personal-digest-preferences FOO", "invalid personal digest preferences"),
        ("trust-model foo", "unknown trust model 'foo'"),
        ("verify-options foo", "gpg.conf:1: invalid verify options"),
        ("charset foo", "'foo' is not a valid character set"),
    ];
    for (option, words) in options {
        let (said, is_transient) = sign(&home, &key, option).unwrap_err();
        for part in ["GnuPG rejects an option of its configuration", words, file.as_str()] {
            assert!(said.contains(part), "{option}: {said}");
        }
        assert!(!said.contains("no secret key") && !is_transient, "{option}: {said}");
    }
    let forbidden = "GnuPG's compliance mode forbids the signature: remove compliance";
    for (config, expected, is_transient) in [
        (
            "local-user nobody".to_owned(),
            "the key \"nobody\" as well, but cannot: remove local-user nobody from",
            false,
        ),
        (
            format!("local-user {other}"),
            "which is not the configured one: remove local-user",
            false,
        ),
        ("no-autostart".to_owned(), "cannot start gpg-agent", true),
        ("agent-program /nonexistent".to_owned(), "cannot start gpg-agent", true),
        ("digest-algo MD5".to_owned(), "GnuPG used the digest MD5", false),
        ("compliance de-vs".to_owned(), forbidden, false),
    ] {
        let (said, found) = sign(&home, &key, &config).unwrap_err();
        assert!(said.contains(expected), "{config}: {said}");
        assert_eq!(found, is_transient, "{config}: {said}");
        assert!(!said.contains("no secret key"), "{config}: {said}");
        assert!(!said.contains("no-allow-loopback-pinentry"), "{config}: {said}");
    }
    std::fs::write(home.path().join("gpg.conf"), "").unwrap();
}

#[test]
fn key_that_gnupg_rejects_for_its_digest_is_reported_with_the_remedy() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    let signed = sign(&home, &key, "weak-digest SHA512");
    // GnuPG 2.2 calls the key invalid, because its self-signature has this digest. GnuPG 2.4 does
    // not, and signs.
    let listed = gpg(home.path(), &["--with-colons", "--list-secret-keys"], b"");
    match String::from_utf8(listed).unwrap().contains("sec:i:") {
        false => drop(signed.unwrap()),
        true => {
            let (said, is_transient) = signed.unwrap_err();
            assert!(said.contains("weak-digest in the home's gpg.conf"), "{said}");
            assert!(!said.contains("no secret key") && !is_transient, "{said}");
        }
    }
}

#[test]
fn fault_that_appears_while_a_key_is_in_use_is_reported() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    let keyring = GpgSigner::open(home.path(), key.as_str(), None).unwrap();
    keyring.sign(TEXT).unwrap();
    for (config, expected) in [
        ("digest-algo FOO", "selected digest algorithm is invalid"),
        ("local-user nobody", "remove local-user nobody"),
    ] {
        std::fs::write(home.path().join("gpg.conf"), format!("{config}\n")).unwrap();
        for _ in 0..2 {
            let error = keyring.sign(TEXT).unwrap_err();
            assert!(text(&error).contains(expected), "{}", text(&error));
        }
    }
    std::fs::write(home.path().join("gpg.conf"), "").unwrap();
    keyring.sign(TEXT).unwrap();
}

#[test]
fn folder_in_place_of_a_configuration_file_is_reported() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    let keyring = GpgSigner::open(home.path(), key.as_str(), None).unwrap();
    let line = keyring.sign(TEXT).unwrap();
    let known = KeyText::read(&export(home.path(), &key).unwrap()).unwrap();
    for name in ["gpg.conf", "gpg-agent.conf", "common.conf"] {
        let path = home.path().join(name);
        std::fs::create_dir(&path).unwrap();
        let expected =
            format!("GnuPG cannot read {}, which is not a file: remove it", path.display());
        let error = GpgSigner::open(home.path(), key.as_str(), None).unwrap_err();
        assert!(Chain(&error).to_string().ends_with(&expected), "{}", Chain(&error));
        let error = keyring.sign(TEXT).unwrap_err();
        assert!(text(&error).ends_with(&expected), "{}", text(&error));
        let parsed = OneLineSignature::parse(line.as_str()).unwrap();
        let error = verify_in(home.path(), &known, TEXT, &parsed, RsaNumbers::FullLength);
        let error = error.unwrap_err();
        assert!(Chain(&error).to_string().ends_with(&expected), "{}", Chain(&error));
        std::fs::remove_dir(&path).unwrap();
    }
}

#[test]
fn signature_is_not_called_bad_because_of_the_configuration() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    let armored = export(home.path(), &key).unwrap();
    let line = GpgSigner::open(home.path(), key.as_str(), None).unwrap().sign(TEXT).unwrap();
    let platform = Home::new();
    let verifier = Verifier::new(platform.path());
    let known = KeyText::read(&armored).unwrap();
    verifier.import(&known).unwrap();
    let signature = OneLineSignature::parse(line.as_str()).unwrap();
    let verify = || verifier.verify(&known, TEXT, &signature, RsaNumbers::FullLength);
    let file = verifier.home(&known).join("gpg.conf");
    let config = std::fs::read(&file).unwrap();
    std::fs::write(&file, "digest-algo FOO\n").unwrap();
    let error = verify().unwrap_err();
    assert!(
        matches!(error, VerifyError::Configuration(ConfigurationError::Option { .. })),
        "{}",
        Chain(&error)
    );
    assert!(!error.is_verdict());
    std::fs::write(&file, config).unwrap();
    verify().unwrap();
}
