//! Tests with a signer that pads the signatures of known keys.

use super::*;
use crate::action::{SignError, Signature};
use crate::spool::testing::record;
use crate::stage::{sign, signed};

/// Pads signatures that begin with `known`, and guesses for all others.
#[derive(Debug)]
struct Padding;

impl Signer for Padding {
    fn sign(&self, _: &[u8]) -> Result<Signature, SignError> {
        panic!("an action that came with signatures must not be signed")
    }

    fn fingerprint(&self) -> &'static str {
        "0"
    }

    fn padded(&self, line: &str, unknown: UnknownKey) -> Result<Option<Signature>, SignError> {
        let is_to_pad = line.starts_with("known") || unknown == UnknownKey::Guess;
        let is_padded = line.contains("/pad");
        let padded = format!("{}/pad=AAAA", line.trim_end_matches("=AAAA"));
        Ok((is_to_pad && !is_padded).then(|| Signature::try_from(padded).unwrap()))
    }
}

/// Returns the record of an action with these signatures, which are JSON strings.
fn signed_record(signatures: &str) -> Record {
    let mut record = record("job.20261122T120100Z");
    record.request.template = format!(
        r#"{{ "name":"x","target":"t","strange":1, "validfrom":"2026-11-22T12:00:00.5Z","expireafter":"2026-11-22T13:00:00Z",
        "operations":[], "pgpsignatures" : [{signatures}]}}"#
    );
    record.request.verbatim = true;
    record
}

fn made(record: &Record) -> Result<SignedAction, SigningError> {
    let nowhere = jiff::Timestamp::UNIX_EPOCH;
    sign::sign(record, signed::Period { from: nowhere, until: nowhere }, &Padding, &|_| None)
}

/// Records that the platform refused the signed action.
fn refuse(record: &mut Record, made: SignedAction) {
    record.request.signatures.extend(made.signatures);
    record.error = Some("RSA verification failure".to_owned());
}

#[test]
fn known_signature_is_padded_and_no_other_byte_changes() {
    let record = signed_record(r#""known=AAAA", "other=AAAA""#);
    let made = made(&record).unwrap();
    assert_eq!(made.signatures, ["known/pad=AAAA", "other=AAAA"]);
    assert_eq!(made.posted, record.request.template.replace("\"known=", "\"known/pad="));
    assert_eq!(made.valid_from.to_string(), "2026-11-22T12:00:00.5Z");
}

#[test]
fn action_without_a_short_signature_is_posted_unchanged() {
    for signatures in [r#""known/pad=AAAA""#, r#""other=AAAA""#] {
        let record = signed_record(signatures);
        assert_eq!(made(&record).unwrap().posted, record.request.template);
    }
}

#[test]
fn signature_with_escapes_is_padded() {
    let record = signed_record(r#""known\u003dAAAA""#);
    let made = made(&record).unwrap();
    let read = |text: &str| Action::parse(text.as_bytes()).unwrap();
    let (posted, given) = (read(&made.posted), read(&record.request.template));
    assert_eq!(posted.signatures.as_deref().unwrap(), ["known/pad=AAAA"]);
    assert_eq!(posted.signed_text(), given.signed_text());
    assert_eq!(Action { signatures: given.signatures.clone(), ..posted }, given);
}

#[test]
fn refused_unknown_signature_is_padded_once_and_then_given_up() {
    let mut record = signed_record(r#""other=AAAA", "known=AAAA""#);
    let first = made(&record).unwrap();
    assert_eq!(first.signatures, ["other=AAAA", "known/pad=AAAA"]);
    refuse(&mut record, first);
    let second = made(&record).unwrap();
    assert_eq!(second.signatures, ["other/pad=AAAA", "known/pad=AAAA"]);
    refuse(&mut record, second);
    let error = made(&record).unwrap_err();
    assert!(error.to_string().contains("must sign it again"), "{error}");
    assert!(signed::signed(Err(error)).moved.is_some());
    // The operator puts it back: it is tried as at first.
    record.error = None;
    assert_eq!(made(&record).unwrap().signatures, ["other=AAAA", "known/pad=AAAA"]);
}

#[test]
fn unknown_outcome_is_not_a_refusal() {
    let mut record = signed_record(r#""other=AAAA""#);
    let first = made(&record).unwrap();
    // The connection broke, so the text was kept.
    record.request.posted = Some(first.posted.clone());
    refuse(&mut record, first.clone());
    assert_eq!(made(&record).unwrap(), first);
}
