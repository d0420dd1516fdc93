//! Roles with privileges on tables that they cannot use.

use super::*;

/// A privilege on a table is useless to a role that cannot reach the table.
#[test]
fn obstacles_between_roles_and_tables_are_reported() {
    let cluster = Cluster::start(&[]);
    let store = on(&cluster);
    store.init_schema(SchemaScope::TablesAndRoles).unwrap();
    assert_eq!(store.schema_differences(SchemaScope::TablesAndRoles).unwrap(), []);
    let mut admin = cluster.connect("postgres", USER);
    admin
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
    let differences = store.schema_differences(SchemaScope::TablesAndRoles).unwrap();
    let texts: Vec<String> = differences.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "role migreadonly may read investigators.apikey, which is secret",
            "role migreadonly may read loaders.loaderkey, which is secret",
            "role migreadonly may read loaders.salt, which is secret",
            "role migscheduler may not use schema public",
            "role migscheduler may not log in",
            "role migapi may not connect to database postgres",
            "role migreadonly may not use schema public",
            "role migreadonly may log in, but must not",
            "role migapi may not use sequence numbers",
            "role migreadonly may delete on agents, but must not",
            "table agents_stats belongs to role tester, whose rights role migadmin lacks",
        ]
    );
    // Missing rights are granted again. Only an administrator can revoke excess rights.
    admin.batch_execute("alter sequence numbers rename to investigators_id_seq").unwrap();
    store.init_schema(SchemaScope::TablesAndRoles).unwrap();
    let differences = store.schema_differences(SchemaScope::TablesAndRoles).unwrap();
    let left: Vec<String> = differences.iter().map(ToString::to_string).collect();
    assert!(
        left.iter().all(|left| left.contains("secret")
            || left.contains("must not")
            || left == "role migscheduler may not log in"),
        "{left:?}"
    );
    assert_eq!(left.len(), 6, "{left:?}");
}
