//! The verdicts on damaged keys, which are the same with every release of GnuPG.

use super::super::Verifier;
use super::super::key_block;
use super::super::key_packets::KeyPackets;
use super::super::packet::{PUBLIC_SUBKEY, SECRET_KEY, SIGNATURE, USER_ATTRIBUTE, USER_ID};
use super::super::public_key::PublicKey;
use super::super::testing::damage::{
    ACCEPTED, Piece, Sample, Table, data, gpg, pieces, positions, verdict,
};
use super::super::testing::{Home, armored, import};

// Parts of verdicts.
const SELF_SIGNATURE: &str = "no valid self-signature";
const PARTIAL: &str = "GnuPG rejects";
const CUT: &str = "is cut short";

#[test]
fn damaged_packets_of_a_plain_key_are_rejected() {
    let sample = Sample::new("rsa1024", "");
    let whole = sample.pieces();
    let [key, user, signature] = &whole[..] else { panic!("{whole:?}") };
    let foreign = Sample::new("rsa1024", "").pieces();
    let mut table = Table::default();
    table.key("whole", &whole, ACCEPTED);
    table.key("key alone", &whole[..1], "no user id");
    table.key("no signature", &whole[..2], "the user id at byte");
    table.key("no user id", &[key.clone(), signature.clone()], "no user id");
    table.key("no key", &whole[1..], "does not begin with a public key");
    table.with("foreign signature", &whole, 2, foreign[2].clone(), SELF_SIGNATURE);
    table.with("foreign user id", &whole, 1, foreign[1].flipped(2), SELF_SIGNATURE);
    table.with("foreign key", &whole, 0, foreign[0].clone(), SELF_SIGNATURE);
    // GnuPG ignores these two bytes of the digest; the signature covers the whole digest.
    table.with("damaged digest's head", &whole, 2, signature.flipped(131), ACCEPTED);
    // The packet ends with the number of the signature, which follows the id of the issuer.
    let number = 2 + 128 + 2;
    table.with("damaged signature", &whole, 2, signature.flipped(1), SELF_SIGNATURE);
    table.with(
        "damaged class",
        &whole,
        2,
        signature.flipped(signature.body().len() - 1),
        SELF_SIGNATURE,
    );
    table.with(
        "damaged digest's name",
        &whole,
        2,
        signature.flipped(signature.body().len() - 3),
        SELF_SIGNATURE,
    );
    for at in number + 1..=number + 8 {
        table.with("damaged issuer", &whole, 2, signature.flipped(at), "one key as its issuer");
    }
    table.with(
        "another subpacket",
        &whole,
        2,
        signature.flipped(number + 9),
        "one key as its issuer",
    );
    table.with("damaged area", &whole, 2, signature.flipped(number + 10), "is malformed");
    table.with("damaged user id", &whole, 1, user.flipped(2), SELF_SIGNATURE);
    table.with("damaged number", &whole, 0, key.flipped(100), SELF_SIGNATURE);
    table.with("damaged time", &whole, 0, key.flipped(key.body().len() - 1), SELF_SIGNATURE);
    table.with("damaged exponent's length", &whole, 0, key.flipped(5), "is malformed");
    for piece in &whole {
        let mut cut = whole.clone();
        let at = positions(&whole, piece.tag)[0];
        cut[at].bytes.pop();
        cut.truncate(at + 1);
        table.key("cut packet", &cut, CUT);
    }

    table.check();
}

#[test]
fn only_valid_packets_may_follow_a_plain_key() {
    let whole = Sample::new("rsa1024", "").pieces();
    let foreign = Sample::new("rsa1024", "").pieces();
    let mut table = Table::default();
    let and = |more: Piece| [&whole[..], &[more]].concat();
    for (name, tag, verdict) in [
        ("marker", 10, "contains a marker"),
        ("padding", 21, "contains padding"),
        ("literal data", 11, "contains literal data"),
        ("compressed key", 8, "contains compressed data"),
        ("trust", 12, "contains trust of a keyring"),
        ("secret key", SECRET_KEY, "contains a secret key"),
        ("unknown packet", 60, "packet tag 60"),
        ("trailing user id", USER_ID, "the user id at byte"),
        ("trailing subkey", PUBLIC_SUBKEY, "the subkey at byte"),
    ] {
        let body = if tag == PUBLIC_SUBKEY { whole[0].body().to_vec() } else { data(&whole) };
        table.key(name, &and(Piece::new(tag, &body)), verdict);
    }
    table.key("compressed key alone", &[Piece::new(8, &data(&whole))], "contains compressed data");
    table.key("trailing zero", &and(Piece { tag: 0, bytes: vec![0] }), "no OpenPGP packet begins");
    table.key("trailing header", &and(Piece { tag: 2, bytes: vec![0x88] }), CUT);
    let streamed = Piece { tag: 13, bytes: vec![0xcd, 0xe0, 1, 0] };
    table.key("partial length", &and(streamed), "does not state its length");
    table.key("two keys", &[&whole[..], &foreign].concat(), "contains 2 public keys");
    table.key("signature of another", &and(foreign[2].clone()), ACCEPTED);
    table.key("twice", &[&whole[..], &whole[1..]].concat(), ACCEPTED);
    let renewed: Vec<Piece> =
        whole.iter().map(|piece| Piece::new(piece.tag, piece.body())).collect();
    table.key("headers of the new form", &renewed, ACCEPTED);
    table.check();
}

#[test]
fn damaged_text_of_a_plain_key_is_rejected() {
    let sample = Sample::new("rsa1024", "emit-version\ncomment a: b = c\n");
    let export = ["--armor", "--export", sample.key.as_str()];
    let text = String::from_utf8(gpg(sample.home.path(), &export, b"")).unwrap();
    assert!(text.contains("\nVersion: ") && text.contains("\nComment: a: b = c\n"), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    let changed = |change: &dyn Fn(&mut Vec<&str>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        (lines.join("\n") + "\n").into_bytes()
    };
    let mut table = Table::default();
    table.text("whole", text.as_bytes(), ACCEPTED);
    table.text("CRLF", text.replace('\n', "\r\n").as_bytes(), ACCEPTED);
    table.text("half", &text.as_bytes()[..text.len() / 2], "END line is missing");
    table.text(
        "no END",
        &changed(&|lines| {
            lines.pop();
        }),
        "END line is missing",
    );
    table.text(
        "no blank line",
        &changed(&|lines| lines.retain(|line| !line.is_empty())),
        "its line 4",
    );
    table.text(
        "no checksum",
        &changed(&|lines| {
            lines.remove(lines.len() - 2);
        }),
        "no checksum",
    );
    let at = lines.len() - 2;
    table.text("wrong checksum", &changed(&|lines| lines[at] = "=AAAA"), "its checksum is =AAAA");
    table.text(
        "missing line",
        &changed(&|lines| {
            lines.remove(5);
        }),
        "its checksum is",
    );
    table.text("trailing text", &changed(&|lines| lines.push("x")), "outside of the key block");
    table.text("two blocks", text.repeat(2).as_bytes(), "contains 2 public keys");
    table.text("binary form", &data(&sample.pieces()), "binary form");
    let secret = gpg(sample.home.path(), &["--armor", "--export-secret-keys"], b"");
    table.text("secret key", &secret, "contains a secret key");
    let secret = gpg(sample.home.path(), &["--export-secret-keys"], b"");
    table.text("secret key in binary form", &secret, "contains a secret key");
    table.text("secret key by another name", &armored(&secret), "contains a secret key");
    table.check();
    for end in 0..text.len() - 1 {
        assert_ne!(verdict(&text.as_bytes()[..end]), ACCEPTED, "{end}");
    }
}

#[test]
fn damaged_parts_of_an_edited_key_are_rejected() {
    let sample = Sample::new("rsa1024", "");
    let (key, mut table) = (sample.key.as_str(), Table::default());
    table.key("renewed", &sample.changed(&["--quick-set-expire", key, "1y"]), ACCEPTED);
    table.key(
        "two user ids",
        &sample.changed(&["--quick-add-uid", key, "Two <two@localhost>"]),
        ACCEPTED,
    );
    table.key(
        "encrypting",
        &sample.changed(&["--quick-add-key", key, "cv25519", "encr", "never"]),
        ACCEPTED,
    );
    table.key(
        "signing",
        &sample.changed(&["--quick-add-key", key, "rsa1024", "sign", "never"]),
        ACCEPTED,
    );
    // GnuPG checks the signature of a subkey on its primary key only when the subkey signs.
    let whole = sample.pieces();
    let last = whole.len() - 1;
    table.with("damaged back signature", &whole, last, whole[last].flipped(200), ACCEPTED);
    let whole = sample.with_photo();
    table.key("photo", &whole, ACCEPTED);
    let whole = sample.edited(&[], "key 2\nrevkey\ny\n0\n\ny\nsave\n");
    table.key("revoked subkey", &whole, ACCEPTED);
    let photo = positions(&whole, USER_ATTRIBUTE)[0];
    table.with("damaged photo", &whole, photo, whole[photo].flipped(1), PARTIAL);
    for (nth, at) in positions(&whole, USER_ID).into_iter().enumerate() {
        table.with(&format!("damaged user id {nth}"), &whole, at, whole[at].flipped(2), PARTIAL);
    }
    for (nth, at) in positions(&whole, PUBLIC_SUBKEY).into_iter().enumerate() {
        let damaged = whole[at].flipped(whole[at].body().len() - 1);
        table.with(&format!("damaged subkey {nth}"), &whole, at, damaged, PARTIAL);
    }
    let signatures = positions(&whole, SIGNATURE);
    assert_eq!(signatures.len(), 6);
    for (nth, at) in signatures.into_iter().enumerate() {
        table.with(&format!("damaged signature {nth}"), &whole, at, whole[at].flipped(1), PARTIAL);
    }
    let whole = sample.changed(&["--quick-revoke-uid", key, "Two <two@localhost>"]);
    table.key("revoked user id", &whole, ACCEPTED);
    for (nth, at) in positions(&whole, SIGNATURE).into_iter().enumerate() {
        table.with(&format!("revoked, damaged {nth}"), &whole, at, whole[at].flipped(1), PARTIAL);
    }
    let whole = sample.revoked();
    table.key("revoked", &whole, "is revoked");
    table.with("damaged revocation", &whole, 1, whole[1].flipped(1), PARTIAL);
    table.check();
}

#[test]
fn special_keys_are_accepted_or_rejected() {
    let mut table = Table::default();
    let [sample, other] = [(); 2].map(|()| Sample::new("rsa1024", ""));
    import(other.home.path(), &armored(&data(&sample.pieces())));
    other.changed(&["--yes", "--quick-sign-key", sample.key.as_str()]);
    let certified = pieces(&gpg(other.home.path(), &["--export", sample.key.as_str()], b""));
    table.key("certified by another", &certified, ACCEPTED);
    // Without the other key, neither GnuPG nor the platform can check this signature.
    table.with("certified, damaged", &certified, 3, certified[3].flipped(1), ACCEPTED);
    import(sample.home.path(), &armored(&data(&other.pieces())));
    let revoker = sample.edited(&[], &format!("addrevoker\n{}\ny\nsave\n", other.key));
    assert_eq!(revoker[1].tag, SIGNATURE);
    table.key("with a revoker", &revoker, ACCEPTED);
    table.with("with a revoker, damaged", &revoker, 1, revoker[1].flipped(1), PARTIAL);
    let sha1 = Sample::new("rsa1024", "cert-digest-algo SHA1\n");
    table.key("SHA-1", &sha1.pieces(), ACCEPTED);
    let future = Sample::new("rsa1024", "faked-system-time 20400101T000000\n");
    table.key("from the future", &future.pieces(), SELF_SIGNATURE);
    table.key("DSA", &Sample::new("dsa1024", "").pieces(), "is of type dsa1024");
    table.key("EdDSA", &Sample::new("ed25519", "").pieces(), "is of type ed25519");
    table.check();
}

#[test]
fn key_armored_by_the_original_platform_is_parsed() {
    // GnuPG is not run, because the key may have been created after the time of this machine.
    let recorded = include_str!("../../../tests/data/http/01-publickey.json");
    let recorded: serde_json::Value = serde_json::from_str(recorded).unwrap();
    let text = recorded[0]["response"]["body"]["text"].as_str().unwrap();
    KeyPackets::read(&key_block::decode(text.as_bytes()).unwrap()).unwrap();
}

#[test]
fn rejected_key_is_not_imported() {
    let sample = Sample::new("rsa1024", "");
    let mut whole = sample.pieces();
    let text = armored(&data(&whole));
    whole[2] = whole[2].flipped(1);
    let home = Home::new();
    for rejected in [&text[..text.len() / 2], &armored(&data(&whole))] {
        Verifier::new(home.path()).import(rejected).unwrap_err();
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }
    assert_eq!(Verifier::new(home.path()).import(&text).unwrap(), sample.key);
    let hidden =
        |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().contains("mig-data-");
    assert!(!std::fs::read_dir(home.path()).unwrap().any(|entry| hidden(entry.unwrap())));
}

#[test]
fn key_is_read_in_a_folder_with_a_long_path() {
    let sample = Sample::new("rsa1024", "");
    let parent = tempfile::tempdir().unwrap();
    let parent = parent.path().join("p".repeat(200));
    std::fs::create_dir(&parent).unwrap();
    let text = armored(&data(&sample.pieces()));
    assert_eq!(PublicKey::read(&parent, &text).unwrap().fingerprint, sample.key);
    let error = PublicKey::read(&parent.join("none"), &text).unwrap_err();
    assert!(error.to_string().contains("temporary folder"), "{error}");
}
