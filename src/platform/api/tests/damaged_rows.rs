//! A search returns every row that it finds, even if another row is damaged.

use super::*;
use crate::data::ActionSignature;
use crate::data::testing::on_each_database;

on_each_database!(damaged_row_hides_no_other);

fn damaged_row_hides_no_other(kind: Kind) {
    let mut rig = Rig::on(kind);
    let now = "2026-11-22T00:52:55Z".parse().unwrap();
    for fingerprint in ["AB", "CD"] {
        let store = &rig.api.store;
        store.insert_investigator("bob", fingerprint, b"key", Permissions::RUNNER, now).unwrap();
    }
    for number in [5, 6] {
        rig.api.store.upsert_agent(&crate::data::tests::agent(number)).unwrap();
    }
    let signed = || ActionSignature { investigator: Id::new(1), signature: "s".to_owned() };
    for number in [10, 11] {
        let action = crate::data::tests::action(number);
        rig.api.store.insert_action(&action, &[signed()]).unwrap();
        let command = (Id::new(number + 10), Id::new(number - 5));
        rig.api.store.begin_action(Id::new(number), &[command], "[]", now).unwrap();
    }
    let (time, json) = match kind {
        Kind::Postgres => ("'-infinity'", "null"),
        Kind::Sqlite => ("'then'", "'{'"),
    };
    rig.database.run(&format!(
        "update agents set refreshtime = {time}, environment = {json} where id = 5; \
         update actions set lastupdatetime = {time}, threat = {json} where id = 10; \
         update commands set starttime = {time}, results = {json} where id = 20; \
         update investigators set createdat = {time}, status = 'odd' where id = 1"
    ));
    for kind in ["agent", "action", "command", "investigator"] {
        let request = ApiRequest {
            method: "GET".to_owned(),
            path: format!("{ROOT}search"),
            query: Some(format!("type={kind}&limit=10")),
            headers: Vec::new(),
            peer: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            local: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        };
        let answer = rig.api.search(&request).map_err(|refusal| refusal.message).unwrap();
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let items = body["collection"]["items"].as_array().unwrap();
        // The last item contains the search parameters.
        assert_eq!(items.len(), 3, "{kind}: {body:#}");
    }
}
