//! Actions signed elsewhere with an RSA number that GnuPG wrote shorter than the key: the platform
//! rejects them.

#![expect(clippy::disallowed_methods, reason = "tests change files as the operator does")]

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::rig::proxy::{Proxy, ProxyFault};
use crate::rig::rsa_number::{is_short, padded};
use crate::rig::{Rig, wait, write};

/// Returns a recorded action, its signature and the public key.
fn recorded(name: &str) -> (Value, String, Vec<u8>) {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/short")).join(name);
    let action: Value =
        serde_json::from_slice(&fs::read(folder.join("action.json")).unwrap()).unwrap();
    let signature = action["pgpsignatures"][0].as_str().unwrap().to_owned();
    (action, signature, fs::read(folder.join("public.asc")).unwrap())
}

/// Waits until the run of an action file is accepted; returns the action as the platform has it.
fn accepted(rig: &Rig, stem: &str) -> Value {
    let run = wait("an accepted action", || {
        assert_eq!(rig.entries("action/invalid"), [""; 0]);
        rig.entries("action/inflight").into_iter().find(|run| run.starts_with(stem))
    });
    rig.wait_in("action/inflight", &run)["action"].clone()
}

#[test]
fn short_signature_made_elsewhere_is_padded() {
    let rig = Rig::new();
    let proxy = Proxy::start(&rig, &[]);
    rig.point_at(&proxy.address);
    let _runner = rig.runner();
    // The first key is in the keyring of the runner. The signature of the second is padded after a
    // rejection.
    for (name, bytes, is_known, posts) in [("rsa2048", 256, true, 1), ("rsa3072", 384, false, 3)] {
        let (action, signature, key) = recorded(name);
        assert!(is_short(&signature));
        if is_known {
            rig.key.import(&key);
        }
        let fingerprint = rig.key.fingerprint_of(&key);
        rig.database().insert_investigator(name, &fingerprint, &key);
        write(&rig.home(&format!("spool/action/new/{name}.json")), action.to_string());
        let sent = accepted(&rig, name);
        for key in ["name", "target", "validfrom", "expireafter", "operations"] {
            assert_eq!(sent[key], action[key], "{key}");
        }
        assert_eq!(sent["pgpsignatures"], Value::from(vec![padded(&signature, bytes)]));
        assert_eq!(proxy.requests("action/create/").len(), posts, "{name}");
    }
}

#[test]
fn run_rejected_for_its_signature_length_is_signed_again() {
    let rig = Rig::new();
    let text = "VerifySignatures() -> openpgp: invalid signature: RSA verification failure";
    let proxy = Proxy::start(&rig, &[("action/create/", ProxyFault::NotForwarded(text)); 2]);
    rig.point_at(&proxy.address);
    let _runner = rig.runner();
    rig.job("job", "schedule = \"0 0 1 1 *\"");
    let run = rig.trigger("job");
    let record = rig.wait_in("action/inflight", &run);
    assert_eq!(rig.entries("action/invalid"), [""; 0]);
    assert_eq!(proxy.requests("action/create/").len(), 3);
    let signatures = record["request"]["signatures"].as_array().unwrap();
    assert!(signatures.len() > 1, "{signatures:?}");
    assert_eq!(rig.database().names(), ["mig-runner: job"]);
}
