//! Tests with the real GnuPG, in temporary homes.

#![expect(clippy::disallowed_methods, reason = "tests edit the files of GnuPG homes")]

mod configuration;
mod damage;
#[cfg(feature = "platform")]
mod forged;
mod held;
mod short;

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::gpg_agent::end_gpg_agent;
use super::signer::find;
use super::testing::{Home, secret, verify};
use super::*;
use crate::action::{SignError, SignVerdict, Signer};
use crate::chain::Chain;

/// More time than any operation in these tests takes.
const AMPLE: Duration = Duration::from_secs(60);
const TEXT: &[u8] = b"name=n;target=t;operations=[];";

/// Runs a program of GnuPG on a home.
fn run_tool(home: &Path, program: &str, args: &[&str]) -> Output {
    let output = Command::new(program).arg("--homedir").arg(home).args(args).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Generates a key with `gpg`, of a kind that [`generate`] does not create.
fn quick_key(
    home: &Path,
    before: &[&str],
    algorithm: &str,
    usage: &str,
    expiry: &str,
) -> Fingerprint {
    let options = ["--batch", "--quiet", "--passphrase", "", "--status-fd", "1"];
    // The usage is part of the user id, because GnuPG requires a different one for each key.
    let command = ["--quick-gen-key", &format!("{algorithm} {usage}"), algorithm, usage, expiry];
    let output = run_tool(home, "gpg", &[before, &options, &command].concat());
    let status = String::from_utf8(output.stdout).unwrap();
    let fingerprint = status.lines().find(|line| line.contains("KEY_CREATED")).unwrap();
    Fingerprint::new(fingerprint.rsplit(' ').next().unwrap())
}

fn find_error(home: &Path, id: &str) -> String {
    find(home, id, AMPLE).unwrap_err().to_string()
}

fn text(error: &SignError) -> String {
    Chain(error).to_string()
}

#[test]
fn signature_verifies_here_and_with_gpg() {
    let home = Home::new();
    let key = home.key("rsa2048", None);
    // These options, which users may have set, add headers to the armor.
    std::fs::write(home.path().join("gpg.conf"), "emit-version\ncomment a: b = c\n").unwrap();
    let keyring = GpgSigner::open(home.path(), &key.as_str().to_lowercase(), None).unwrap();
    assert_eq!(
        (keyring.fingerprint(), keyring.key().owner.as_str()),
        (key.as_str(), "Test <test@localhost>")
    );
    let signature = keyring.sign(TEXT).unwrap();

    let other = Home::new();
    let verifier = Verifier::new(other.path());
    let known = KeyText::read(&export(home.path(), &key).unwrap()).unwrap();
    assert_eq!(known.fingerprint(), Some(&key));
    assert_eq!(known.parts(), keyring.key().parts);
    verifier.import(&known).unwrap();
    let parsed = OneLineSignature::parse(signature.as_str()).unwrap();
    verifier.verify(&known, TEXT, &parsed, RsaNumbers::FullLength).unwrap();

    let files = [other.path().join("sig"), other.path().join("data")];
    std::fs::write(&files[0], armor::from_line(signature.as_str()).unwrap()).unwrap();
    std::fs::write(&files[1], TEXT).unwrap();
    let paths = files.each_ref().map(|file| file.to_str().unwrap());
    run_tool(&verifier.home(&known), "gpg", &["--verify", paths[0], paths[1]]);
}

#[test]
fn verification_errors_have_the_texts_of_the_original() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    let line = GpgSigner::open(home.path(), key.as_str(), None).unwrap().sign(TEXT).unwrap();
    let line = line.as_str();
    let empty = Home::new();
    let (own, without_keys) = (home.path(), empty.path());
    let error = |home: &Path, data: &[u8], line: &str| {
        verify(home, data, line, RsaNumbers::FullLength).unwrap_err().to_string()
    };
    assert_eq!(error(own, b"other", line), "openpgp: invalid signature: hash tag doesn't match");
    assert_eq!(error(without_keys, TEXT, line), "openpgp: signature made by unknown entity");
    assert_eq!(error(own, TEXT, ""), "EOF");
    assert_eq!(error(own, TEXT, "AAAA"), "EOF");
    assert_eq!(error(own, TEXT, "!!!notbase64!!!=AAAA"), "illegal base64 data at input byte 0");
    let no_packet = "openpgp: invalid data: tag byte does not have MSB set";
    assert_eq!(error(own, TEXT, "AAAA=BBBB"), no_packet);
    assert_eq!(error(own, TEXT, "wsBcBA===AAAA"), no_packet);
}

#[test]
fn wrong_or_missing_passphrase_makes_the_key_unusable() {
    let home = Home::new();
    let key = home.key("rsa1024", Some("open sesame"));
    let sign = |passphrase: Option<&str>| {
        // A new agent does not remember the passphrase from the generation of the key.
        end_gpg_agent(home.path()).unwrap();
        GpgSigner::open(home.path(), key.as_str(), passphrase.map(secret)).unwrap().sign(TEXT)
    };
    let wrong = sign(Some("close")).unwrap_err();
    assert_eq!(wrong.verdict(), SignVerdict::KeyUnusable);
    assert!(text(&wrong).ends_with(": the passphrase is wrong"), "{}", text(&wrong));
    let none = sign(None).unwrap_err();
    assert_eq!(none.verdict(), SignVerdict::KeyUnusable);
    assert!(text(&none).contains("the key needs a passphrase"), "{}", text(&none));
    assert!(
        text(&none).contains(key.as_str()) && text(&none).contains(home.path().to_str().unwrap())
    );
    sign(Some("open sesame")).unwrap();
}

#[test]
fn unusable_home_is_rejected_with_the_reason() {
    let home = Home::new();
    let (id, path) =
        ("0123456789ABCDEF0123456789ABCDEF01234567", home.path().display().to_string());
    assert_eq!(
        find_error(home.path(), "0x0123 4567 89ab cdef 0123 4567 89ab cdef 0123 4567"),
        format!(
            "no secret key {id} in the GnuPG home {path}: gpg --homedir {path} -K lists its secret keys"
        )
    );
    std::fs::write(home.path().join("secring.gpg"), "").unwrap();
    std::fs::write(home.path().join("file"), "").unwrap();
    std::fs::remove_file(home.path().join(".gpg-v21-migrated")).unwrap_or_default();
    let missing = home.path().join("missing");
    let error = find(&missing, id, AMPLE).unwrap_err();
    let no_folder = format!(
        "cannot look up the key {id} in the GnuPG home {path}/missing: No such file or directory (os error 2)"
    );
    assert_eq!(Chain(&error).to_string(), no_folder);
    assert!(
        find_error(&home.path().join("file"), id).ends_with("/file: [gpg] home must be a folder")
    );
    for bad in ["", "x", "runner@localhost", "0123"] {
        assert!(find_error(home.path(), bad).contains("is not a key id"), "{bad}");
    }
}

#[test]
fn home_with_a_long_path_is_rejected_with_the_reason() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    end_gpg_agent(home.path()).unwrap();
    let long = home.path().join("h".repeat(gnupg::HOME_BYTES_MAX));
    std::os::unix::fs::symlink(home.path(), &long).unwrap();
    let said = match GpgSigner::open(&long, key.as_str(), None) {
        Err(error) => error.to_string(),
        Ok(keyring) => text(&keyring.sign(TEXT).unwrap_err()),
    };
    assert!(said.contains("too long for the agent's socket"), "{said}");
}

#[test]
fn unusable_key_is_rejected_with_the_reason() {
    let home = Home::new();
    let path = home.path();
    let past = ["--faked-system-time", "20200101T000000"];
    for (key, reason) in [
        (quick_key(path, &past, "rsa1024", "sign", "1d"), "is expired"),
        (quick_key(path, &[], "rsa1024", "encr", "never"), "cannot sign"),
        (
            quick_key(path, &[], "ed25519", "sign", "never"),
            "is of type ed25519, which the platform cannot verify",
        ),
    ] {
        let text = find_error(path, key.as_str());
        assert!(text.contains(reason) && text.contains(key.as_str()), "{text}");
    }
    let revoked = home.key("rsa1024", None);
    let certificate = path.join(format!("openpgp-revocs.d/{revoked}.rev"));
    let text = std::fs::read_to_string(&certificate).unwrap().replace(":-----BEGIN", "-----BEGIN");
    std::fs::write(&certificate, text).unwrap();
    run_tool(path, "gpg", &["--batch", "--quiet", "--import", certificate.to_str().unwrap()]);
    assert!(find_error(path, revoked.as_str()).contains("is revoked"));
}

#[test]
fn subkey_signs_for_its_key() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    let add = [
        "--batch",
        "--passphrase",
        "",
        "--quick-add-key",
        key.as_str(),
        "rsa1024",
        "sign",
        "never",
    ];
    run_tool(home.path(), "gpg", &add);
    let keyring = GpgSigner::open(home.path(), key.as_str(), None).unwrap();
    assert_eq!(keyring.key().parts.len(), 2);
    let signature = keyring.sign(TEXT).unwrap();
    let by = verify(home.path(), TEXT, signature.as_str(), RsaNumbers::FullLength).unwrap();
    assert_eq!(by, key);
}

#[test]
fn ended_agent_is_started_again() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    let keyring = GpgSigner::open(home.path(), key.as_str(), None).unwrap();
    for _ in 0..3 {
        keyring.sign(TEXT).unwrap();
        end_gpg_agent(home.path()).unwrap();
    }
    keyring.sign(TEXT).unwrap();
}

#[test]
fn several_threads_can_sign_at_once() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    let keyring = GpgSigner::open(home.path(), key.as_str(), None).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| keyring.sign(TEXT).unwrap());
        }
    });
}

#[test]
fn hanging_agent_blocks_no_caller() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    let pid = run_tool(home.path(), "gpg-connect-agent", &["getinfo pid", "/bye"]).stdout;
    let pid = String::from_utf8(pid).unwrap();
    let pid = pid.lines().next().unwrap().strip_prefix("D ").unwrap().parse().unwrap();
    let signal = |signal| kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();

    let keyring = GpgSigner::open(home.path(), key.as_str(), None).unwrap();
    keyring.sign(TEXT).unwrap();
    let keyring = keyring.with_timeout(Duration::from_millis(100));
    // The agent sends itself SIGCONT to wake its threads, so it may have continued at once.
    let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    while !state().contains(") T ") {
        signal(Signal::STOP);
        std::thread::yield_now();
    }
    let errors: Vec<SignError> = (0..8).map(|_| keyring.sign(TEXT).unwrap_err()).collect();
    let found = find(home.path(), key.as_str(), Duration::from_millis(100));
    signal(Signal::CONT);
    assert!(matches!(found, Err(KeyError::Hung { .. })), "{found:?}");
    assert!(errors.iter().all(|error| error.verdict() == SignVerdict::RetryLater));
    assert!(text(&errors[0]).contains("no answer from gpg-agent"), "{}", text(&errors[0]));
    // The agent continues.
    let keyring = keyring.with_timeout(Duration::from_secs(20));
    let end = Instant::now() + Duration::from_secs(20);
    while keyring.sign(TEXT).is_err() {
        assert!(Instant::now() < end, "signing does not recover");
        std::thread::yield_now();
    }
}

#[test]
fn digest_unsupported_by_the_platform_is_rejected() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    let sign = |digest: &str| {
        std::fs::write(home.path().join("gpg.conf"), format!("digest-algo {digest}\n")).unwrap();
        GpgSigner::open(home.path(), key.as_str(), None).unwrap().sign(TEXT)
    };
    sign("SHA256").unwrap();
    let error = sign("RIPEMD160").unwrap_err();
    assert_eq!(error.verdict(), SignVerdict::KeyUnusable);
    assert!(text(&error).contains("the digest RIPEMD160"), "{}", text(&error));
}

#[test]
fn agent_that_forbids_loopback_is_reported_with_the_remedy() {
    let home = Home::new();
    let key = home.key("rsa1024", Some("open sesame"));
    end_gpg_agent(home.path()).unwrap();
    std::fs::write(home.path().join("gpg-agent.conf"), "no-allow-loopback-pinentry\n").unwrap();
    let keyring = GpgSigner::open(home.path(), key.as_str(), Some(secret("open sesame"))).unwrap();
    let error = keyring.sign(TEXT).unwrap_err();
    assert!(text(&error).contains("no-allow-loopback-pinentry"), "{}", text(&error));
}
