//! Faults of GnuPG's configuration: each is reported as what it is, with what to do about it.

use super::*;
use crate::pgp::setup::SetupFault;

/// Returns the messages for a home with this gpg.conf when the key is looked for or signs.
fn said(home: &Home, key: &Fingerprint, config: &str) -> (String, bool) {
    stop_agent(home.path()).unwrap();
    std::fs::write(home.path().join("gpg.conf"), format!("{config}\n")).unwrap();
    match Keyring::open(home.path(), key.as_str(), None) {
        Err(error) => {
            let is_passing = error.is_passing();
            (Chain(&error).to_string(), is_passing)
        }
        Ok(keyring) => {
            let error = keyring.sign(TEXT).unwrap_err();
            (told(&error), error.verdict() == SignVerdict::RetryLater)
        }
    }
}

#[test]
fn a_fault_of_gpg_conf_is_named_with_its_remedy() {
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
        let (said, is_passing) = said(&home, &key, option);
        for part in ["GnuPG refuses an option of its configuration", words, file.as_str()] {
            assert!(said.contains(part), "{option}: {said}");
        }
        assert!(!said.contains("no secret key") && !is_passing, "{option}: {said}");
    }
    let forbidden = "GnuPG forbids it in its compliance mode: remove compliance";
    for (config, expected, is_passing) in [
        (
            "local-user nobody".to_owned(),
            "the key \"nobody\" as well, and cannot: remove local-user nobody from",
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
        ("weak-digest SHA512".to_owned(), "weak-digest in the home's gpg.conf", false),
        ("compliance de-vs".to_owned(), forbidden, false),
    ] {
        let (said, passing) = said(&home, &key, &config);
        assert!(said.contains(expected), "{config}: {said}");
        assert_eq!(passing, is_passing, "{config}: {said}");
        assert!(!said.contains("no secret key"), "{config}: {said}");
        assert!(!said.contains("no-allow-loopback-pinentry"), "{config}: {said}");
    }
    std::fs::write(home.path().join("gpg.conf"), "").unwrap();
}

#[test]
fn a_configuration_that_breaks_while_a_key_is_in_use_is_named() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    let keyring = Keyring::open(home.path(), key.as_str(), None).unwrap();
    keyring.sign(TEXT).unwrap();
    for (config, expected) in [
        ("digest-algo FOO", "selected digest algorithm is invalid"),
        ("local-user nobody", "remove local-user nobody"),
    ] {
        std::fs::write(home.path().join("gpg.conf"), format!("{config}\n")).unwrap();
        for _ in 0..2 {
            let error = keyring.sign(TEXT).unwrap_err();
            assert!(told(&error).contains(expected), "{}", told(&error));
        }
    }
    std::fs::write(home.path().join("gpg.conf"), "").unwrap();
    keyring.sign(TEXT).unwrap();
}

#[test]
fn a_folder_in_the_place_of_a_configuration_is_not_read_for_ever() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    let keyring = Keyring::open(home.path(), key.as_str(), None).unwrap();
    let verifier = Verifier::new(home.path());
    let line = keyring.sign(TEXT).unwrap();
    for name in ["gpg.conf", "gpg-agent.conf", "common.conf"] {
        let path = home.path().join(name);
        std::fs::create_dir(&path).unwrap();
        let expected =
            format!("GnuPG cannot read {}, which is not a file: remove it", path.display());
        let error = Keyring::open(home.path(), key.as_str(), None).unwrap_err();
        assert!(Chain(&error).to_string().ends_with(&expected), "{}", Chain(&error));
        let error = keyring.sign(TEXT).unwrap_err();
        assert!(told(&error).ends_with(&expected), "{}", told(&error));
        let error = verifier.verify(TEXT, line.as_str(), Numbers::Whole).unwrap_err();
        assert!(Chain(&error).to_string().ends_with(&expected), "{}", Chain(&error));
        std::fs::remove_dir(&path).unwrap();
    }
}

#[test]
fn a_platform_with_a_broken_configuration_calls_no_signature_bad() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    let armored = export(home.path(), &key).unwrap();
    let line = Keyring::open(home.path(), key.as_str(), None).unwrap().sign(TEXT).unwrap();
    let platform = Home::new();
    let verifier = Verifier::new(platform.path());
    let file = platform.path().join("gpg.conf");
    std::fs::write(&file, "digest-algo FOO\n").unwrap();
    let error = verifier.import(&armored).unwrap_err();
    assert!(matches!(error, ImportError::Setup(SetupFault::Option { .. })), "{}", Chain(&error));
    std::fs::remove_file(&file).unwrap();
    verifier.import(&armored).unwrap();
    std::fs::write(&file, "digest-algo FOO\n").unwrap();
    let error = verifier.verify(TEXT, line.as_str(), Numbers::Whole).unwrap_err();
    assert!(
        matches!(error, crate::pgp::verify::VerifyError::Setup(SetupFault::Option { .. })),
        "{}",
        Chain(&error)
    );
    std::fs::remove_file(&file).unwrap();
    let error = verifier.verify(TEXT, "wsBcBA===AAAA", Numbers::Whole).unwrap_err();
    assert!(matches!(error, crate::pgp::verify::VerifyError::NoSignature), "{error}");
}
