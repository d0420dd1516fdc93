//! Signatures with a short RSA number, which are valid for a token but not for an action.

use super::*;
use crate::pgp::testing::short::{CLOCK, SHORT};
use crate::platform::api::tests::recording::message;

const REFUSAL: &str = "openpgp: invalid signature: RSA verification failure";

fn request(method: &str, path: &str, token: &str, action: Option<&str>) -> (ApiRequest, Body) {
    let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let form = action.map(|action| format!("action={}", escape(action)));
    let headers =
        [("x-pgpauthorization", token), ("content-type", "application/x-www-form-urlencoded")];
    let request = ApiRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        query: action.is_none().then(|| "type=action".to_owned()),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        peer: std::net::Ipv4Addr::LOCALHOST.into(),
        local: std::net::Ipv4Addr::LOCALHOST.into(),
    };
    (request, Body::Whole(form.unwrap_or_default().into_bytes()))
}

#[test]
fn short_number_is_refused_in_an_action_and_accepted_in_a_token() {
    for short in SHORT {
        let rig = Rig::on(Kind::Sqlite);
        rig.import(short.public, CLOCK);
        let (text, line) = short.token();
        let key = pgp::KeyText::read(short.public).unwrap();
        let key = key.fingerprint().unwrap();
        let now = "2026-11-30T04:00:00Z".parse().unwrap();
        let permissions = Permissions::RUNNER;
        rig.api
            .store
            .insert_investigator("short", key.as_str(), short.public, permissions, now)
            .unwrap();
        rig.clock.set(now);
        let token = format!("{};{line}", text.trim_end());
        let answer = |method: &str, path: &str, action: Option<&str>| {
            let (request, body) = request(method, path, &token, action);
            rig.send(request, &body)
        };
        // Nothing is found, but the token is accepted.
        let highest = rig.api.store.highest_id().unwrap();
        let found = answer("GET", "/api/v1/search", None);
        assert_eq!((found.status, message(&found.body).as_str()), (404, "no results found"));
        let create = |action: &str| answer("POST", "/api/v1/action/create/", Some(action));
        let refused = create(short.action);
        assert_eq!(
            (refused.status, message(&refused.body)),
            (500, format!("VerifySignatures() -> {REFUSAL}"))
        );
        assert_eq!(rig.api.store.highest_id().unwrap(), highest);
        let signature = short.signature();
        let padded = short.action.replace(&signature, short.padded(&signature).as_str());
        assert_eq!(create(&padded).status, 202);
    }
}
