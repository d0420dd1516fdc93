//! Keys that change, or that cannot be used.

use std::io::Write;
use std::process::Stdio;

use super::*;
use crate::pgp::testing::hang::HangingGpg;

#[test]
fn key_that_changes_is_opened_again() {
    let home = Home::new();
    let key = home.key("rsa1024", Some("open sesame"));
    let held = Held::new(home.path(), key.as_str(), Some("open sesame"));
    let edit = |args: &[&str], typed: &[u8]| drop(damage::gpg(home.path(), args, typed));
    held.sign();

    // The configuration.
    let config = home.path().join("gpg.conf");
    std::fs::write(&config, "digest-algo FOO\n").unwrap();
    assert!(held.error().contains("selected digest algorithm is invalid"));
    std::fs::write(&config, "compliance de-vs\n").unwrap();
    assert!(held.error().contains("GnuPG's compliance mode forbids the signature"));
    // The digest of GnuPG is of no importance.
    std::fs::write(&config, "digest-algo MD5\narmor\ncomment x\n").unwrap();
    verified(home.path(), TEXT, &held.sign());

    // Another expiry.
    let how = ["--batch", "--pinentry-mode", "loopback", "--passphrase", "open sesame"];
    let extend = ["--quick-set-expire", key.as_str(), "1y"];
    run_tool(home.path(), "gpg", &[&how[..], &extend].concat());
    held.said();
    held.sign();
    assert_eq!(held.said().len(), 1);

    // Disabled.
    edit(&["--edit-key", key.as_str()], b"disable\nsave\n");
    assert!(held.error().contains("is disabled"), "{}", held.error());
    edit(&["--edit-key", key.as_str()], b"enable\nsave\n");
    held.sign();

    // Revoked.
    let certificate = home.path().join(format!("openpgp-revocs.d/{key}.rev"));
    let text = std::fs::read_to_string(&certificate).unwrap();
    let (_, certificate) = text.split_once(":-----BEGIN").unwrap();
    edit(&["--batch", "--import"], format!("-----BEGIN{certificate}").as_bytes());
    assert!(held.error().contains("is revoked"), "{}", held.error());

    // Removed.
    let grip = keygrip(home.path(), key.as_str());
    std::fs::remove_file(home.path().join(format!("private-keys-v1.d/{grip}.key"))).unwrap();
    assert!(held.error().contains("no secret key") || held.error().contains("is revoked"));
}

#[test]
fn changed_passphrase_is_noticed() {
    let home = Home::new();
    let key = home.key("rsa1024", Some("open sesame"));
    let held = Held::new(home.path(), key.as_str(), Some("open sesame"));
    held.sign();
    change_passphrase(home.path(), key.as_str(), "open sesame", "close");
    // A new agent does not remember the former passphrase.
    end_gpg_agent(home.path()).unwrap();
    assert!(held.error().contains("the passphrase is wrong"), "{}", held.error());
    change_passphrase(home.path(), key.as_str(), "close", "open sesame");
    verified(home.path(), TEXT, &held.sign());
}

/// Changes the passphrase of a key. GnuPG writes it into the same file.
fn change_passphrase(home: &Path, key: &str, from: &str, to: &str) {
    let how = ["--no-tty", "--quiet", "--pinentry-mode", "loopback", "--command-fd", "0"];
    let mut command = Command::new("gpg");
    command.arg("--homedir").arg(home).args(how).args(["--passwd", key]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{from}\n{to}\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn removed_key_no_longer_signs() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    let held = Held::new(home.path(), key.as_str(), None);
    held.sign();
    let file =
        home.path().join(format!("private-keys-v1.d/{}.key", keygrip(home.path(), key.as_str())));
    let content = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    for _ in 0..2 {
        assert!(held.error().contains("no secret key"), "{}", held.error());
    }
    std::fs::write(&file, content).unwrap();
    held.sign();
}

#[test]
fn expiry_is_noticed_at_the_time_of_the_signature() {
    let home = Home::new();
    let key = quick_key(home.path(), &[], "rsa1024", "sign", "2d");
    let held = Held::new(home.path(), key.as_str(), None);
    held.sign();
    let group = held.group();
    held.clock.pass(Duration::from_secs(2 * 86400 - 60));
    held.sign();
    assert_eq!(held.group(), group);
    // GnuPG is asked again. By its own clock the key is still valid.
    held.clock.pass(Duration::from_secs(60));
    held.sign();
    let other = held.group();
    assert_ne!(other, group);
    // A clock before the creation of the key.
    held.clock.set(Timestamp::from_second(1_000_000).unwrap());
    held.sign();
    assert_ne!(held.group(), other);
}

#[test]
fn errors_of_the_passphrase_are_those_of_gnupg() {
    let home = Home::new();
    let key = home.key("rsa1024", Some("open sesame"));
    for (passphrase, expected) in
        [(Some("close"), "the passphrase is wrong"), (None, "the key needs a passphrase")]
    {
        end_gpg_agent(home.path()).unwrap();
        let held = Held::new(home.path(), key.as_str(), passphrase);
        let error = held.signer.sign(TEXT).unwrap_err();
        assert_eq!(error.verdict(), SignVerdict::KeyUnusable);
        assert!(text(&error).contains(expected), "{}", text(&error));
        assert!(text(&error).contains(key.as_str()));
        assert!(held.said().is_empty());
    }
    end_gpg_agent(home.path()).unwrap();
    std::fs::write(home.path().join("gpg-agent.conf"), "no-allow-loopback-pinentry\n").unwrap();
    let held = Held::new(home.path(), key.as_str(), Some("open sesame"));
    assert!(held.error().contains("no-allow-loopback-pinentry"), "{}", held.error());
}

#[test]
fn key_that_gnupg_does_not_export_stays_with_gnupg() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    add_subkey(home.path(), key.as_str(), "", "rsa1024");
    // GnuPG omits the subkey from the export, as it omits a key on a smartcard.
    let config = home.path().join("gpg.conf");
    std::fs::write(&config, "export-filter drop-subkey=usage=~s\n").unwrap();
    let held = Held::new(home.path(), key.as_str(), None);
    for _ in 0..3 {
        verify(home.path(), TEXT, held.sign().as_str(), RsaNumbers::FullLength).unwrap();
    }
    let said = held.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("cannot unlock key; GnuPG makes each signature"), "{said:?}");
    assert!(said[0].contains("does not contain the part that signs"), "{said:?}");
    assert_eq!(held.signer.group(), None, "no signer remains");
    std::fs::remove_file(&config).unwrap();
    held.sign();
    assert!(held.said()[0].starts_with("unlocked key"));
}

/// Replaces the secret RSA key of 1024 bits in a home by a reference to a smartcard, as gpg-agent
/// writes it for the key of a card.
fn move_to_card(home: &Path, key: &str) {
    let pieces = damage::pieces(&damage::gpg(home, &["--export", key], b""));
    // After the version, the time, the algorithm and the length.
    let modulus = &pieces[0].body()[8..8 + 128];
    let serial = [0xd2, 0x76, 0, 1, 0x24, 1, 2, 1, 0, 5, 0, 0, 0x12, 0x34, 0, 0];
    let reference = [
        &b"(20:shadowed-private-key(3:rsa(1:n129:\0"[..],
        modulus,
        b")(1:e3:\x01\0\x01)(8:shadowed5:t1-v1(16:",
        &serial,
        b"9:OPENPGP.1))))",
    ];
    let file = home.join(format!("private-keys-v1.d/{}.key", keygrip(home, key)));
    std::fs::write(file, reference.concat()).unwrap();
}

#[test]
fn key_on_a_smartcard_stays_with_gnupg() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    let held = Held::new(home.path(), key.as_str(), None);
    held.sign();
    assert!(held.said()[0].starts_with("unlocked key"));
    end_gpg_agent(home.path()).unwrap();
    move_to_card(home.path(), key.as_str());
    // The machine has no smartcard, so GnuPG cannot sign.
    let said = (held.error(), held.error());
    for said in [said.0, said.1] {
        assert!(said.contains(key.as_str()), "{said}");
    }
    let said = held.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].ends_with("reason: it is on a smartcard"), "{said:?}");
}

#[test]
fn stopped_signer_is_ended_at_the_time_limit() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    let held = Held::new(home.path(), key.as_str(), None);
    held.sign();
    let group = held.group();
    kill_process_group(group, Signal::STOP).unwrap();
    let signer = held.signer.with_timeout(Duration::from_millis(100));
    let error = signer.sign(TEXT).unwrap_err();
    assert_eq!(error.verdict(), SignVerdict::RetryLater);
    assert_eq!(kill_process(group, Signal::CONT), Err(rustix::io::Errno::SRCH), "it is reaped");
    signer.with_timeout(AMPLE).sign(TEXT).unwrap();
}

#[test]
fn hanging_gnupg_blocks_no_caller() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    let held = Held::new(home.path(), key.as_str(), None);
    let hanging = HangingGpg::new(home.path());
    let signer = held.signer.with_timeout(Duration::from_secs(2));
    let errors: Vec<SignError> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| signer.sign(TEXT).unwrap_err())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(errors.iter().all(|error| text(error).contains("no answer from gpg-agent in 2 s")));
    hanging.assert_ended();
    drop(hanging);
    signer.with_timeout(AMPLE).sign(TEXT).unwrap();
}
