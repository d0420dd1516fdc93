//! Every refusal of an action: a runner must know that nothing was stored.

use serde_json::json;

use super::recording::message;
use super::*;
use crate::action::{Action, Signer};
use crate::api::Next;
use crate::api::verdict::testing::judged;
use crate::pgp::testing::Home;
use crate::pgp::{GpgSigner, export};

/// An API with an investigator whose key can sign.
struct Signed {
    rig: Rig,
    signer: GpgSigner,
    _home: Home,
}

impl Signed {
    fn new() -> Signed {
        let (rig, home) = (Rig::on(Kind::Sqlite), Home::new());
        let key = home.key("rsa1024", None);
        let signer = GpgSigner::open(home.path(), key.as_str(), None).unwrap();
        let armored = export(home.path(), &key).unwrap();
        let (store, now) = (&rig.api.store, rig.clock.now());
        store.insert_investigator("eve", key.as_str(), &armored, Permissions::RUNNER, now).unwrap();
        Signed { rig, signer, _home: home }
    }

    /// Returns an action that the API accepts, after a change and signed.
    fn action(&self, change: impl FnOnce(&mut serde_json::Value)) -> String {
        let mut action = action();
        change(&mut action);
        let mut action = Action::parse(action.to_string().as_bytes()).unwrap();
        let signature = self.signer.sign(action.signed_text().as_bytes()).unwrap().to_string();
        action.signatures = Some(vec![signature]);
        action.to_json()
    }

    fn create(&self, body: &Body) -> ApiResponse {
        let exchange = Exchange::of("04-client-set-id");
        let request = exchange.request();
        let created = self.rig.api.create(&request, body);
        created.unwrap_or_else(|refusal| self.rig.api.refusal("", &refusal))
    }
}

fn action() -> serde_json::Value {
    json!({
        "name": "n", "target": "status='online'", "syntaxversion": 2,
        "operations": [{"module": "file", "parameters": {}}],
        "validfrom": "2026-11-22T00:00:00Z", "expireafter": "2026-11-23T00:00:00Z",
        "pgpsignatures": ["iQ=="],
    })
}

/// Returns the sample action with one other field.
fn with(field: &str, value: serde_json::Value) -> String {
    let mut action = action();
    action[field] = value;
    action.to_string()
}

fn form(action: &str) -> Body {
    let escaped = action.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    Body::Whole(format!("action={escaped}").into_bytes())
}

/// Actions that are refused before their signatures are checked, with their refusals.
fn malformed() -> Vec<(String, &'static str)> {
    let operation = json!({"module": "file", "parameters": {}});
    let large = json!([{"module": "file", "parameters": {"a": "<".repeat(3 << 20)}}]);
    vec![
        (String::new(), "unexpected end of JSON input"),
        ("<".to_owned(), "invalid character '<'"),
        ("[".repeat(10_001), "invalid character '['"),
        (with("name", 1.into()), "json: cannot unmarshal number"),
        (with("validfrom", "x".into()), "parsing time "),
        (r#"{"threat":{},"threat":{}}"#.to_owned(), "the key \"threat\" is given twice"),
        (with("name", "".into()), "action name is empty"),
        (with("target", "".into()), "action target is empty"),
        (with("syntaxversion", 1.into()), "wring syntax version"),
        (with("operations", json!(null)), "action operations is empty"),
        (with("validfrom", "2026-11-24T00:00:00Z".into()), "action expireafter is set before"),
        (with("pgpsignatures", json!([])), "action pgpsignatures is empty"),
        (with("name", "a;target=b".into()), "action name must not contain"),
        (with("target", "a;validfrom=1".into()), "action target must not contain"),
        (with("operations", vec![operation; 65].into()), "action has 65 operations"),
        (with("operations", large), "action has 18"),
        (with("pgpsignatures", vec!["iQ=="; 65].into()), "the action has more than 64"),
        (with("pgpsignatures", json!(["x".repeat(1 << 20)])), "VerifySignatures() -> signature is"),
        (with("pgpsignatures", json!(["x"])), "VerifySignatures() -> EOF"),
        (with("pgpsignatures", json!(["!!!!=aaaa"])), "VerifySignatures() -> illegal base64"),
        (with("pgpsignatures", json!(["aaaa=aaaa"])), "VerifySignatures() -> openpgp: "),
    ]
}

#[test]
fn refused_action_is_certainly_not_stored() {
    let api = Signed::new();
    let certain = |body: &Body, text: &str, wanted: Next| {
        let answer = api.create(body);
        let found = message(&answer.body);
        assert!(found.starts_with(text), "{found:.200} instead of {text}");
        assert_eq!(judged(answer.status, &answer.body).ok(), Some(wanted), "{found:.200}");
    };
    let highest = api.rig.api.store.highest_id().unwrap();
    certain(&Body::TooLarge, "http: POST too large", Next::Invalid);
    certain(&Body::Whole(b"action=%zz".to_vec()), "invalid URL escape", Next::Invalid);
    for (action, text) in malformed() {
        certain(&form(&action), text, Next::Invalid);
    }
    let past = with("expireafter", "2026-11-22T00:00:00Z".into());
    certain(&form(&past), "action expireafter is in the past", Next::DateAnew);
    let tampered = api.action(|_| {}).replace("\"name\":\"n\"", "\"name\":\"m\"");
    certain(&form(&tampered), "VerifySignatures() -> openpgp: ", Next::Invalid);
    for (field, value, text) in [
        ("name", "a\0b".to_owned(), "Failed to store action: 'pq: invalid byte sequence"),
        ("target", "x".repeat(2049), "Failed to store action: 'pq: value too long"),
    ] {
        let action = api.action(|action| action[field] = value.into());
        certain(&form(&action), text, Next::Invalid);
    }
    let home = api.rig.folder.path().join("gnupg");
    let away = api.rig.folder.path().join("away");
    std::fs::rename(&home, &away).unwrap();
    let signed = form(&api.action(|_| {}));
    certain(&signed, "the request was not judged: ", Next::BackOff);
    std::fs::rename(&away, &home).unwrap();
    assert_eq!(api.rig.api.store.highest_id().unwrap(), highest, "nothing is stored");
    assert_eq!(api.create(&signed).status, 202);
}

/// The original gives these texts also after it has stored an action. Actions of a runner do not
/// cause them.
#[test]
fn refusal_with_a_text_of_the_original_that_may_follow_storing_is_uncertain() {
    let api = Signed::new();
    let mut twice = Action::parse(api.action(|_| {}).as_bytes()).unwrap();
    twice.signatures = twice.signatures.map(|lines| [lines.clone(), lines].concat());
    let key = with("investigators", json!([{"publickey": "!"}]));
    for (action, text) in [
        (twice.to_json(), "Failed to store signature: 'pq: duplicate key"),
        (key, "illegal base64 data at input byte"),
    ] {
        let answer = api.create(&form(&action));
        assert!(message(&answer.body).starts_with(text), "{}", answer.body);
        assert!(judged(answer.status, &answer.body).is_err(), "{}", answer.body);
    }
}

#[test]
fn request_with_an_unknown_host_or_a_slow_body_is_certainly_not_stored() {
    let rig = Rig::new();
    let mut request = Exchange::of("04-client-set-id").request();
    request.headers.retain(|(name, _)| name != "host");
    request.headers.push(("host".to_owned(), "mig.example.net".to_owned()));
    let refused = rig.send(request, &Body::Whole(Vec::new()));
    assert_eq!(refused.status, 403);
    assert_eq!(judged(403, &refused.body).unwrap(), Next::BackOffAll);
    let slow = rig.api.slow("/api/v1/action/create/");
    assert_eq!(slow.status, 408);
    assert_eq!(judged(408, &slow.body).unwrap(), Next::BackOff);
}
