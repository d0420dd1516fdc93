//! Adding and changing investigators through the API.

use serde_json::{Value, json};

use super::recording::message;
use super::replay::TestInvestigator;
use super::*;
use crate::action::Signer;
use crate::data::testing::on_each_database;
use crate::pgp::testing::Home;
use crate::pgp::testing::confusion::key_that_contains;
use crate::pgp::{Fingerprint, export};

on_each_database!(
    new_investigator_may_send_requests_until_disabled,
    invalid_investigator_is_refused_with_the_original_text,
    key_that_contains_the_key_of_another_investigator_is_refused,
    last_administrator_cannot_resign
);

/// Returns a multipart form and its content type.
fn parts(name: &str, permissions: &str, key: &[u8]) -> (Vec<u8>, String) {
    let value = |name: &str, value: &str| {
        format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let file = "--xyz\r\nContent-Disposition: form-data; name=\"publickey\"; \
                filename=\"k\"\r\n\r\n";
    let head = value("name", name) + &value("permissions", permissions) + file;
    let body = [head.as_bytes(), key, b"\r\n--xyz--\r\n"].concat();
    (body, "multipart/form-data; boundary=xyz".to_owned())
}

/// Returns an API whose only investigator has these permissions.
fn rig(kind: Kind, admin: &TestInvestigator, permissions: i64) -> Rig {
    let mut rig = Rig::on(kind);
    rig.database.run("delete from investigators;");
    let now = rig.clock.now();
    let permissions = Permissions::new(permissions);
    let store = &rig.api.store;
    store.insert_investigator("admin", &admin.fingerprint, &admin.key, permissions, now).unwrap();
    rig
}

/// Sends a request of an investigator; returns status and response.
fn ask(
    rig: &Rig,
    sender: &TestInvestigator,
    path: &str,
    (body, kind): (Vec<u8>, String),
) -> (u16, Value) {
    let head = format!("1;{};7", rig.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"));
    let signature = sender.keyring.sign(format!("{head}\n").as_bytes()).unwrap();
    let request = ApiRequest {
        method: if body.is_empty() { "GET" } else { "POST" }.to_owned(),
        path: format!("/api/v1/{path}"),
        query: body.is_empty().then(|| "type=action&limit=1&actionname=x".to_owned()),
        headers: vec![
            ("x-pgpauthorization".to_owned(), format!("{head};{signature}")),
            ("content-type".to_owned(), kind),
        ],
        peer: std::net::Ipv4Addr::LOCALHOST.into(),
        local: std::net::Ipv4Addr::LOCALHOST.into(),
    };
    let answer = rig.send(request, &Body::Whole(body));
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

fn fields(text: &str) -> (Vec<u8>, String) {
    (text.as_bytes().to_owned(), "application/x-www-form-urlencoded".to_owned())
}

fn text(answer: &Value) -> String {
    message(&answer.to_string())
}

fn datum(answer: &Value) -> &Value {
    &answer["collection"]["items"][0]["data"][0]
}

/// The permissions to read, add and change investigators.
const ADMIN: i64 = 65_536 + 131_072 + 262_144;

fn new_investigator_may_send_requests_until_disabled(kind: Kind) {
    let (admin, new) = (TestInvestigator::new(), TestInvestigator::new());
    let rig = rig(kind, &admin, ADMIN);
    let search = || ask(&rig, &new, "search", (Vec::new(), String::new())).0;
    assert_eq!(search(), 401);
    let (status, answer) = ask(
        &rig,
        &admin,
        "investigator/create/",
        parts("New", r#"{"search":true,"Action":true,"other":1}"#, &new.key),
    );
    assert_eq!(status, 201, "{answer}");
    let row = rig.api.store.investigator(&new.fingerprint).unwrap().unwrap();
    assert_eq!((row.name.as_str(), row.permissions.bits()), ("New", 3));
    assert_eq!(row.publickey, new.key);
    let datum_of_new = datum(&answer);
    assert_eq!(datum_of_new["name"], format!("Investigator ID {}", row.id));
    assert_eq!(datum_of_new["value"]["pgpfingerprint"], new.fingerprint);
    assert_eq!(datum_of_new["value"]["permissions"]["action"], true);
    // Nothing is found. A client that may not search would get another status.
    assert_eq!(search(), 404);
    let id = row.id;
    let update = |form: String| ask(&rig, &admin, "investigator/update/", fields(&form));
    let (status, answer) = update(format!("id={id}&permissions=%7B%22command%22%3Atrue%7D"));
    assert_eq!(status, 200, "{answer}");
    assert_eq!(datum(&answer)["value"]["permissions"]["command"], true);
    assert_eq!(search(), 401, "may search no longer");
    assert_eq!(update(format!("id={id}&permissions=%7B%22search%22%3Atrue%7D")).0, 200);
    assert_eq!(search(), 404);
    let (status, answer) = update(format!("id={id}&status=disabled"));
    assert_eq!((status, &datum(&answer)["value"]["status"]), (200, &json!("disabled")));
    assert_eq!(search(), 401, "is disabled");
    assert_eq!(update(format!("id={id}&status=active")).0, 200);
    assert_eq!(search(), 404);
    let (status, answer) =
        ask(&rig, &admin, "investigator/create/", parts("Again", "{}", &new.key));
    let expected = "Investigator's PGP Fingerprint already exists in database";
    assert_eq!((status, text(&answer).as_str()), (500, expected));
}

fn key_that_contains_the_key_of_another_investigator_is_refused(kind: Kind) {
    let alice = Home::new();
    let key = alice.key("rsa1024", None);
    let (mallory, both) = key_that_contains(&alice, &key);
    let admin = TestInvestigator::new();
    let rig = rig(kind, &admin, ADMIN);
    let create = |name: &str, home: &Home, key: &Fingerprint| {
        let key = export(home.path(), key).unwrap();
        ask(&rig, &admin, "investigator/create/", parts(name, "{}", &key))
    };
    assert_eq!(create("Alice", &alice, &key).0, 201);
    let (status, answer) = create("Mallory", &mallory, &both);
    let expected = "a part of it has the id of a part of the key of investigator Alice: use a key without this part";
    assert_eq!((status, text(&answer).as_str()), (500, expected));
    assert!(rig.api.store.investigator(both.as_str()).unwrap().is_none());
}

fn invalid_investigator_is_refused_with_the_original_text(kind: Kind) {
    let admin = TestInvestigator::new();
    let rig = rig(kind, &admin, ADMIN);
    let long = "x".repeat(1025);
    let (_, plain) = fields("");
    for (form, expected) in [
        ((b"name=x".to_vec(), plain), "request Content-Type isn't multipart/form-data"),
        (parts("", "{}", b"x"), "Investigator name must not be empty"),
        (parts("x", "", b"x"), "unexpected end of JSON input"),
        (parts("x", "{}", b""), "Investigator Public Key must not be empty"),
        (
            parts("x", r#"{"search":1}"#, b"x"),
            "json: cannot unmarshal number into Go struct field InvestigatorPerms.search of type bool",
        ),
        (
            parts(&long, "{}", b"x"),
            "Failed to create investigator: 'pq: value too long for type character varying(1024)'",
        ),
        (parts("x", "{}", b"no key"), "it contains no armored public key"),
    ] {
        let (status, answer) = ask(&rig, &admin, "investigator/create/", form);
        assert!(status == 500 && text(&answer).starts_with(expected), "{expected}: {answer}");
    }
    for (form, status, expected) in [
        ("x=1", 500, "Investigator ID must not be empty"),
        ("id=x&status=active", 500, "strconv.ParseFloat: parsing \"x\": invalid syntax"),
        ("id=1", 500, "No updates to the investigator were specified"),
        ("id=99999&status=active", 404, "Investigator ID '99999' not found"),
    ] {
        let (found, answer) = ask(&rig, &admin, "investigator/update/", fields(form));
        assert_eq!((found, text(&answer).as_str()), (status, expected), "{form}");
    }
    let own = rig.api.store.investigators().unwrap()[0].id;
    let form = fields(&format!("id={own}&status=away"));
    let (_, answer) = ask(&rig, &admin, "investigator/update/", form);
    assert_eq!(text(&answer), "Invalid investigator status 'away'");
    assert_eq!(rig.api.store.investigators().unwrap().len(), 1, "an investigator was added");
}

fn last_administrator_cannot_resign(kind: Kind) {
    let admin = TestInvestigator::new();
    let mut rig = rig(kind, &admin, ADMIN);
    let own = rig.api.store.investigators().unwrap()[0].id;
    let resign = |rig: &Rig| {
        let form = fields(&format!("id={own}&permissions=%7B%7D"));
        let (status, answer) = ask(rig, &admin, "investigator/update/", form);
        (status, text(&answer))
    };
    let expected = "Failed to update investigator: 'will not remove last admin'".to_owned();
    assert_eq!(resign(&rig), (500, expected));
    rig.database.run(
        "insert into investigators (name, pgpfingerprint, status, createdat, lastmodified, permissions)
         values ('other', 'AB', 'active', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z', 262144);",
    );
    assert_eq!(resign(&rig), (200, String::new()));
    assert_eq!(resign(&rig).0, 401);
}

#[test]
fn adding_and_changing_investigators_require_permissions() {
    let admin = TestInvestigator::new();
    for (permissions, create, update) in
        [(63 + 65_536, 401, 401), (131_072, 500, 401), (262_144, 401, 500)]
    {
        let rig = rig(Kind::Sqlite, &admin, permissions);
        let form = || fields("x=1");
        assert_eq!(ask(&rig, &admin, "investigator/create/", form()).0, create, "{permissions}");
        assert_eq!(ask(&rig, &admin, "investigator/update/", form()).0, update, "{permissions}");
    }
}

/// Every route of the original, with whether this API has it.
const ROUTES: [(&str, &str, bool); 25] = [
    ("POST", "heartbeat", true),
    ("GET", "heartbeat", true),
    ("GET", "ip", true),
    ("GET", "publickey/AB", true),
    ("POST", "manifest/agent/", false),
    ("POST", "manifest/fetch/", false),
    ("GET", "search", true),
    ("GET", "action", true),
    ("POST", "action/create/", true),
    ("GET", "command", true),
    ("GET", "agent", true),
    ("GET", "dashboard", true),
    ("GET", "loader", false),
    ("POST", "loader/status/", false),
    ("POST", "loader/expect/", false),
    ("POST", "loader/key/", false),
    ("POST", "loader/new/", false),
    ("GET", "manifest", false),
    ("POST", "manifest/sign/", false),
    ("POST", "manifest/status/", false),
    ("POST", "manifest/new/", false),
    ("GET", "manifest/loaders/", false),
    ("GET", "investigator", true),
    ("POST", "investigator/create/", true),
    ("POST", "investigator/update/", true),
];

#[test]
fn missing_routes_are_in_the_manual() {
    let page = include_str!("../../../../man/mig-standalone.8");
    for (method, path, is_served) in ROUTES {
        let full = format!("/api/v1/{path}");
        assert_eq!(Route::of(method, &full).is_some(), is_served, "{method} {path}");
        let family = path.split('/').next().unwrap();
        let row = format!(".It {family} and {family}/... Ta served Ta 404\n");
        assert!(is_served || page.contains(&row), "{method} {path}");
    }
}

#[test]
fn missing_searches_are_refused_and_in_the_manual() {
    let rig = Rig::new();
    let page = include_str!("../../../../man/mig-standalone.8");
    for (query, expected, row) in [
        ("type=loader&loadername=x", "search type is invalid", "search for loaders"),
        ("type=manifest&manifestname=x", "search type is invalid", "search for manifests"),
        (
            "type=command&report=complianceitems",
            "parseSearchParameters()-> report not implemented",
            "search with a report",
        ),
    ] {
        let path = format!("/api/v1/search?{query}");
        let answer = rig.answer(&Exchange { path, ..Exchange::of("10-search-investigator") });
        assert_eq!((answer.status, message(&answer.body).as_str()), (500, expected), "{query}");
        assert!(page.contains(&format!(".It {row} Ta ")), "{row}");
    }
}
