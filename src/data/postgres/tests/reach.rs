//! Roles that have rights on the tables and are kept from them all the same.

use super::*;

/// A right on a table is worth nothing to a role that cannot get there.
#[test]
fn what_keeps_a_role_from_its_tables_is_told() {
    let cluster = Cluster::start(&[]);
    let store = on(&cluster);
    store.init_schema(Extent::TablesAndRoles).unwrap();
    assert_eq!(store.schema_differences(Extent::TablesAndRoles).unwrap(), []);
    let mut beside = cluster.connect("postgres", USER);
    beside
        .batch_execute(
            "revoke usage on investigators_id_seq from migapi;
             alter sequence investigators_id_seq rename to numbers;
             revoke usage on schema public from public, migreadonly, migscheduler;
             revoke connect on database postgres from public, migapi;
             alter role migscheduler nologin;
             alter role migreadonly login;
             grant select (apikey) on investigators to migreadonly;
             grant select on loaders to migreadonly;
             grant delete on agents to public;
             alter table agents_stats owner to tester",
        )
        .unwrap();
    let differences = store.schema_differences(Extent::TablesAndRoles).unwrap();
    let told: Vec<String> = differences.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "role migreadonly may read investigators.apikey, which is secret",
            "role migreadonly may read loaders.loaderkey, which is secret",
            "role migreadonly may read loaders.salt, which is secret",
            "role migscheduler may not use schema public",
            "role migscheduler may not log in",
            "role migapi may not connect to database postgres",
            "role migreadonly may not use schema public",
            "role migreadonly may log in, and must not",
            "role migapi may not use sequence numbers",
            "role migreadonly may delete on agents, and must not",
            "table agents_stats belongs to role tester, and role migadmin has not its rights",
        ]
    );
    // What is missing is granted again; what is too much only a person can take.
    beside.batch_execute("alter sequence numbers rename to investigators_id_seq").unwrap();
    store.init_schema(Extent::TablesAndRoles).unwrap();
    let differences = store.schema_differences(Extent::TablesAndRoles).unwrap();
    let left: Vec<String> = differences.iter().map(ToString::to_string).collect();
    assert!(
        left.iter().all(|left| left.contains("secret")
            || left.contains("must not")
            || left == "role migscheduler may not log in"),
        "{left:?}"
    );
    assert_eq!(left.len(), 6, "{left:?}");
}
