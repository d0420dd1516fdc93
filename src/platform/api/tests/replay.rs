//! Replays every recorded request. The response must be the same, byte for byte, except for ids and
//! times that depend on the moment, and for the listed [`differences`].
//!
//! Tokens and actions are really verified. The key of one investigator was not recorded. An
//! investigator of this test replaces that one and signs the requests again.

use std::collections::BTreeMap;

use regex::Regex;

use super::differences;
use super::recorded_state::RecordedState;
use super::recording::Exchange;
use super::{FINGERPRINT, Rig, header};
use crate::action::{Action, Signer};
use crate::data::testing::{DatabaseKind as Kind, on_each_database};
use crate::pgp::{GpgSigner, NewKey, end_gpg_agent, export, generate};
use crate::platform::api::ApiResponse;
use crate::platform::api::request::Parameters;

/// The ids of the recorded investigators: one with all permissions that a runner needs, and one who
/// may only search.
const RUNNER: i64 = 1;
const LIMITED: i64 = 2;
/// The stored form of an API key of the first, with the salt 000102…0f.
const API_KEY: &str = "4ebc331355f41c72149beb83b3e9c76b4ded8b4f039e90a5575e96f756f46685";

/// An investigator with a new key pair.
pub(super) struct TestInvestigator {
    home: tempfile::TempDir,
    pub(super) keyring: GpgSigner,
    pub(super) fingerprint: String,
    pub(super) key: Vec<u8>,
}

impl TestInvestigator {
    pub(super) fn new() -> TestInvestigator {
        // GnuPG's agent has a socket there, whose path must be short.
        let home = tempfile::Builder::new().prefix("g").tempdir_in("/tmp").unwrap();
        let key = NewKey { owner: "Test <test@localhost>", algorithm: "rsa2048", passphrase: None };
        let fingerprint = generate(home.path(), key).unwrap();
        let key = export(home.path(), &fingerprint).unwrap();
        let keyring = GpgSigner::open(home.path(), fingerprint.as_str(), None).unwrap();
        TestInvestigator { home, keyring, fingerprint: fingerprint.as_str().to_owned(), key }
    }
}

impl Drop for TestInvestigator {
    fn drop(&mut self) {
        end_gpg_agent(self.home.path()).unwrap();
    }
}

/// Returns whether a one-line signature names a key as its issuer.
fn is_by(signature: &str, fingerprint: &str) -> bool {
    use base64::Engine;
    let Some((data, _)) = signature.rsplit_once('=') else { return false };
    let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(data) else { return false };
    let issuer: Vec<u8> = (24..40)
        .step_by(2)
        .map(|at| u8::from_str_radix(&fingerprint[at..at + 2], 16).unwrap())
        .collect();
    bytes.windows(issuer.len()).any(|window| window == issuer)
}

/// A replay on a database.
pub(super) struct Replay {
    pub(super) rig: Rig,
    pub(super) state: RecordedState,
    /// The fingerprint of the investigator whose key was not recorded.
    unrecorded: String,
    replacement: TestInvestigator,
}

impl Replay {
    pub(super) fn new(kind: Kind, exchanges: &[Exchange]) -> Replay {
        let (mut rig, state) = (Rig::on(kind), RecordedState::of(exchanges));
        let replacement = TestInvestigator::new();
        let recorded = Exchange::of("01-publickey").answer.into_bytes();
        let keys = BTreeMap::from([
            (RUNNER, (FINGERPRINT.to_owned(), recorded)),
            (LIMITED, (replacement.fingerprint.clone(), replacement.key.clone())),
        ]);
        rig.database.run("delete from investigators;");
        state.seed_investigators(&keys, &mut rig.database);
        let key = |text: &str| {
            let digits = (0..text.len()).step_by(2).map(|at| &text[at..at + 2]);
            digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect::<Vec<u8>>()
        };
        let salt: Vec<u8> = (0..16).collect();
        let (key, salt) = (rig.database.bytes(&key(API_KEY)), rig.database.bytes(&salt));
        rig.database.run(&format!(
            "update investigators set apikey = {key}, apisalt = {salt} where id = {RUNNER};"
        ));
        Replay { unrecorded: state.fingerprint(LIMITED), rig, state, replacement }
    }

    /// Sends a recorded request; returns the response with the replaced values restored.
    fn answer(&mut self, index: usize, exchange: &Exchange) -> ApiResponse {
        self.state.seed(index, exchange, &mut self.rig.database);
        let (exchange, signed) = self.signed_anew(exchange);
        let lost = lost_table(&exchange);
        if let Some(table) = lost {
            self.rig.database.run(&format!("alter table {table} rename to lost;"));
        }
        let mut answer = self.rig.answer(&exchange);
        if let Some(table) = lost {
            self.rig.database.run(&format!("alter table lost rename to {table};"));
        }
        answer.body = answer.body.replace(&self.replacement.fingerprint, &self.unrecorded);
        for (new, old) in signed {
            answer.body = answer.body.replace(&new, &old);
        }
        answer
    }

    /// Signs what the absent investigator signed; returns each new signature with the old one.
    fn signed_anew(&self, exchange: &Exchange) -> (Exchange, Vec<(String, String)>) {
        let mut exchange = exchange.clone();
        let mut signed = Vec::new();
        let mut sign = |old: &str, text: &str| {
            let new = self.replacement.keyring.sign(text.as_bytes()).unwrap().to_string();
            signed.push((new.clone(), old.to_owned()));
            new
        };
        for (name, token) in &mut exchange.headers {
            if name.eq_ignore_ascii_case("X-PGPAUTHORIZATION")
                && let Some((head, signature)) = token.clone().rsplit_once(';')
                && is_by(signature, &self.unrecorded)
            {
                *token = format!("{head};{}", sign(signature, &format!("{head}\n")));
            }
        }
        let form = Parameters::parse(&exchange.body).0;
        let Some(text) = form.first("action") else { return (exchange, signed) };
        let Ok(action) = Action::parse(text.as_bytes()) else { return (exchange, signed) };
        let mut text = text.to_owned();
        for old in action.signatures.iter().flatten().filter(|old| is_by(old, &self.unrecorded)) {
            text = text.replace(old, &sign(old, &action.signed_text()));
            let escaped: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            exchange.body = format!("action={escaped}");
        }
        (exchange, signed)
    }
}

/// Returns the table to hide so that the database fails as the recorded one did.
fn lost_table(exchange: &Exchange) -> Option<&'static str> {
    let message = exchange.message();
    if message.contains("dial tcp") || exchange.label.contains("-pgdown-") {
        Some("investigators")
    } else if message.contains("shutting down") {
        Some("actions")
    } else {
        None
    }
}

/// Removes from a response what depends on the moment: the number of the operation, the default
/// window around now, a new action's id, and the text of a failing database.
struct Mask {
    code: Regex,
    /// A parameter of the window, its echo, and its form in the link to the next page.
    window: [(&'static str, Regex, Regex); 2],
    id: Regex,
    reason: Regex,
}

impl Mask {
    fn new() -> Mask {
        let regex = |pattern: &str| Regex::new(pattern).unwrap();
        let window = |name| {
            let (echo, next) = (format!(r#""{name}":"[^"]*""#), format!(r#"\\u0026{name}=[^\\]*"#));
            (name, regex(&echo), regex(&next))
        };
        Mask {
            code: regex(r#""code":"\d+""#),
            window: ["after", "before"].map(window),
            id: regex("2805[0-9]{10}"),
            reason: regex("(investigator|store action): '.*'"),
        }
    }

    fn masked(&self, exchange: &Exchange, text: &str) -> String {
        let mut text = self.code.replace_all(text, "CODE").into_owned();
        let mut mask = |regex: &Regex, by: &str| text = regex.replace_all(&text, by).into_owned();
        for (name, echo, next) in &self.window {
            if !exchange.path.contains(&format!("{name}=")) {
                mask(echo, name);
                mask(next, name);
            }
        }
        if exchange.method == "POST" {
            mask(&self.id, "ID");
        }
        if lost_table(exchange).is_some() {
            mask(&self.reason, "$1: 'REASON'");
        }
        text
    }

    /// Returns a description of the difference to the recorded response, if there is one.
    fn difference(&self, exchange: &Exchange, answer: &ApiResponse) -> Option<String> {
        let mask = |text| self.masked(exchange, text);
        let (ours, theirs) = (mask(&answer.body), mask(&exchange.answer));
        let same = ["content-type", "location", "cache-control"]
            .iter()
            .all(|name| header(answer, name) == exchange.response_header(name));
        if answer.status == exchange.status && same && ours == theirs {
            return None;
        }
        let begin = ours.bytes().zip(theirs.bytes()).take_while(|(a, b)| a == b).count();
        let part = |text: &str| {
            let bytes = &text.as_bytes()[begin.saturating_sub(80)..text.len().min(begin + 300)];
            String::from_utf8_lossy(bytes).into_owned()
        };
        let (status, headers) = (answer.status, &answer.headers);
        Some(format!(
            "{}: {} {}\n ours   {status} {headers:?} …{}\n theirs {} …{}\n",
            exchange.label,
            exchange.method,
            exchange.path,
            part(&ours),
            exchange.status,
            part(&theirs)
        ))
    }
}

fn recorded_requests_get_the_recorded_responses(kind: Kind) {
    let exchanges = Exchange::all();
    let mut replay = Replay::new(kind, &exchanges);
    let mask = Mask::new();
    let (mut agree, mut differ, mut different) = (0, 0, Vec::new());
    for (index, exchange) in exchanges.iter().enumerate() {
        let answer = replay.answer(index, exchange);
        match differences::of(exchange) {
            Some(difference) if (difference.holds)(&answer) => differ += 1,
            Some(difference) => different.push(format!(
                "{}: not as {:?}: {} {}",
                exchange.label, difference.row, answer.status, answer.body
            )),
            None => match mask.difference(exchange, &answer) {
                None => agree += 1,
                Some(text) => different.push(text),
            },
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
    println!("{agree} agree, {differ} differ by design, none otherwise");
}

on_each_database!(recorded_requests_get_the_recorded_responses);
