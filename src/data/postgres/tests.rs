//! Failures of a server: it is down, is lost, rejects the login, or lacks tables or roles.

mod role_access;

use std::sync::Arc;
use std::time::Instant;

use super::*;
use crate::chain::Chain;
use crate::config::secret::Secret;
use crate::data::schema::SchemaScope;
use crate::data::server::SslMode;
use crate::data::testing::cluster::{Cluster, PASSWORD, USER};
use crate::data::testing::{DatabaseKind, Tables};
use crate::data::tests::{NOON, action, agent, time};
use crate::data::{ActionSignature, Id, Permissions, Store};
use crate::disk::{COMMAND_PREFIX, Disk, RealFs};

fn disk() -> Disk {
    Disk::new(Arc::new(RealFs), std::path::PathBuf::new(), COMMAND_PREFIX)
}

/// Returns the address of a separate server, by its socket.
fn server(cluster: &Cluster) -> DatabaseServer {
    let (folder, port) = (cluster.folder().display(), cluster.port());
    let folder = folder.to_string().replace('/', "%2F");
    DatabaseServer::parse(&format!("postgres://{USER}@{folder}:{port}/postgres")).unwrap()
}

/// Returns the address of a server by TCP, which requires a password.
fn by_tcp(cluster: &Cluster, password: &str) -> DatabaseServer {
    let url = format!("postgres://{USER}@127.0.0.1:{}/postgres", cluster.port());
    let password = Some(Arc::new(Secret::from(password.to_owned())));
    DatabaseServer { password, ..DatabaseServer::parse(&url).unwrap() }
}

fn message(error: &DataError) -> String {
    Chain(error).to_string()
}

/// Returns a store on a separate server, which can be stopped.
fn on(cluster: &Cluster) -> Store {
    let store = Store::connect(&disk(), &server(cluster)).unwrap();
    store.init_schema(SchemaScope::Tables).unwrap();
    store.insert_investigator("bob", "AB", b"key", Permissions::RUNNER, time(NOON)).unwrap();
    store
}

#[test]
fn store_reconnects_when_a_stopped_server_runs_again() {
    let mut cluster = Cluster::start(&[]);
    let store = on(&cluster);
    cluster.stop("INT");
    let error = store.agent(Id::new(5)).unwrap_err();
    assert!(matches!(error, DataError::Lost { .. } | DataError::Connect { .. }), "{error:?}");
    let error = store.agent(Id::new(5)).unwrap_err();
    assert!(matches!(error, DataError::Connect { .. }), "{error:?}");
    assert!(message(&error).starts_with(&format!("cannot use database {USER}@/tmp/")), "{error}");
    let error = Store::connect(&disk(), &server(&cluster)).unwrap_err();
    assert!(matches!(error, DataError::Connect { .. }), "{error:?}");
    assert!(cluster.start_again());
    assert_eq!(store.agent(Id::new(5)).unwrap(), None);
    store.upsert_agent(&agent(5)).unwrap();
}

#[test]
fn transaction_ends_with_its_connection_and_commits_nothing() {
    let mut cluster = Cluster::start(&[]);
    let store = on(&cluster);
    let insert = |database: &mut dyn Database, name: &'static str| {
        let text = format!("insert into modules values (1, '{name}')");
        database.batch("insert", &text)
    };
    for signal in ["QUIT", "INT"] {
        let error = store.transaction(|database| {
            insert(database, "before")?;
            cluster.stop(signal);
            assert!(cluster.start_again());
            // The server runs again, but the transaction ended with the connection.
            let error = insert(database, "after").unwrap_err();
            assert!(matches!(error, DataError::Lost { .. }), "{error:?}");
            let error = insert(database, "later").unwrap_err();
            assert!(matches!(error, DataError::Lost { .. }), "{error:?}");
            assert!(message(&error).contains("discards all changes"), "{error}");
            Err::<(), _>(error)
        });
        assert!(error.is_err());
        let mut admin = cluster.connect("postgres", USER);
        let count: i64 = admin.query_one("select count(*) from modules", &[]).unwrap().get(0);
        assert_eq!(count, 0, "{signal}");
        store.upsert_agent(&agent(5)).unwrap();
    }
    // The store's own statements after an administrator has ended its connection.
    let mut admin = cluster.connect("postgres", USER);
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'mig-runner'";
    admin.batch_execute(end).unwrap();
    store.agent(Id::new(5)).ok();
    let signature = ActionSignature { investigator: Id::new(1), signature: "s".to_owned() };
    store.insert_action(&action(10), &[signature]).unwrap();
}

#[test]
fn commit_after_a_failed_statement_is_an_error() {
    let tables = Tables::new(DatabaseKind::Postgres);
    let store = tables.open().unwrap();
    let committed = store.transaction(|database| {
        database.batch("insert", "insert into modules values (1, 'a')")?;
        database.batch("insert", "insert into modules values (1, 'again')").ok();
        Ok(())
    });
    let error = committed.unwrap_err();
    assert!(message(&error).contains("a statement of its transaction failed"), "{error}");
    let rows = tables.connect().query("select from modules", &[]).unwrap();
    assert_eq!(rows.len(), 0);
}

#[test]
fn wrong_password_is_reported_but_not_shown() {
    let cluster = Cluster::shared();
    Store::connect(&disk(), &by_tcp(cluster, PASSWORD)).unwrap();
    let error = Store::connect(&disk(), &by_tcp(cluster, "hunter2")).unwrap_err();
    let text = message(&error);
    assert!(text.contains("password authentication failed"), "{text}");
    assert!(text.contains("PGPASSFILE"), "{text}");
    assert!(!text.contains("hunter2") && !format!("{error:?}").contains("hunter2"), "{text}");
    let none = DatabaseServer { password: None, ..by_tcp(cluster, "") };
    let error = Store::connect(&disk(), &none).unwrap_err();
    assert!(message(&error).contains("password"), "{error:?}");
}

#[test]
fn missing_database_is_named() {
    let other =
        DatabaseServer { dbname: "nosuch".to_owned(), ..by_tcp(Cluster::shared(), PASSWORD) };
    let text = message(&Store::connect(&disk(), &other).unwrap_err());
    assert!(text.contains("\"nosuch\" does not exist (create it with createdb)"), "{text}");
}

#[test]
fn statement_that_waits_too_long_is_ended() {
    let tables = Tables::new(DatabaseKind::Postgres);
    let store = tables.open().unwrap();
    let (begun, mut admin) = (Instant::now(), tables.connect());
    admin.batch_execute("begin; lock table agents").unwrap();
    let error = store.upsert_agent(&agent(5)).unwrap_err();
    assert!(message(&error).contains("lock timeout"), "{error:?}");
    assert!(begun.elapsed() > Duration::from_secs(9));
    admin.batch_execute("rollback").unwrap();
    store.upsert_agent(&agent(5)).unwrap();
}

#[test]
fn read_transaction_cannot_write_and_target_cannot_read_secrets() {
    let tables = Tables::new(DatabaseKind::Postgres);
    let store = tables.open().unwrap();
    let write = |database: &mut dyn Database| database.batch("write", "delete from agents");
    let error = store.read_transaction(write).unwrap_err();
    assert!(message(&error).contains("read-only transaction"), "{error:?}");
    // Roles belong to the whole server: another test may have created them.
    tables.connect().batch_execute("revoke select on investigators from public").unwrap();
    store.init_schema(SchemaScope::TablesAndRoles).unwrap();
    let error = store.target_transaction(write).unwrap_err();
    assert!(message(&error).contains("read-only transaction"), "{error:?}");
    let select = |text: &'static str| {
        store.target_transaction(|database| {
            let query = Query { name: "target", text: text.into() };
            database.rows(&query, &[]).map(|rows| rows.len())
        })
    };
    assert_eq!(select("select name from agents where 1 = 1").unwrap(), 0);
    for secret in ["privatekey", "apikey", "apisalt"] {
        let text = format!("select {secret} from investigators");
        let error = select(Box::leak(text.into_boxed_str())).unwrap_err();
        assert!(message(&error).contains("permission denied"), "{error:?}");
    }
    // The role applies to that transaction only.
    store.upsert_agent(&agent(5)).unwrap();
}

#[test]
fn missing_role_is_reported_with_the_command_that_creates_it() {
    let cluster = Cluster::start(&[]);
    let store = on(&cluster);
    let error = store.target_transaction(|_| Ok(())).unwrap_err();
    assert!(matches!(error, DataError::Role { .. }), "{error:?}");
    assert!(message(&error).contains("mig-data schema init --roles"), "{error}");
    let differences = store.schema_differences(SchemaScope::TablesAndRoles).unwrap();
    assert_eq!(differences.len(), 4, "{differences:?}");
    store.init_schema(SchemaScope::TablesAndRoles).unwrap();
    store.init_schema(SchemaScope::TablesAndRoles).unwrap();
    assert_eq!(store.schema_differences(SchemaScope::TablesAndRoles).unwrap(), []);
    store.target_transaction(|_| Ok(())).unwrap();
    let mut admin = cluster.connect("postgres", USER);
    admin
        .batch_execute(
            "revoke insert on actions from migapi;
             grant select on investigators to migreadonly;
             revoke migreadonly from migscheduler;
             revoke update on commands from migscheduler",
        )
        .unwrap();
    let differences = store.schema_differences(SchemaScope::TablesAndRoles).unwrap();
    let texts: Vec<String> = differences.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "role migscheduler lacks the privilege update on commands",
            "role migapi lacks the privilege insert on actions",
            "role migapi may read investigators.privatekey, which is secret",
            "role migreadonly may read investigators.privatekey, which is secret",
            "role migreadonly may read investigators.apikey, which is secret",
            "role migreadonly may read investigators.apisalt, which is secret",
            "role migscheduler may not act as migreadonly",
        ]
    );
}

#[test]
fn differing_tables_are_reported_and_refused() {
    let tables = Tables::new(DatabaseKind::Postgres);
    let mut admin = tables.connect();
    let store = Store::connect(&disk(), &tables.server().unwrap()).unwrap();
    let error = store.agent(Id::new(5)).unwrap_err();
    assert!(message(&error).contains("mig-data schema check"), "{error:?}");
    store.create_or_check_tables().unwrap();
    assert_eq!(store.schema_differences(SchemaScope::Tables).unwrap(), []);
    admin.batch_execute("drop index agents_status_idx").unwrap();
    store.create_or_check_tables().unwrap();
    admin
        .batch_execute(
            "alter table agents drop column loadername, alter column version drop not null,
                                add column color text not null;
             alter table signatures drop constraint signatures_actionid_fkey;
             drop index signatures_actionid_investigatorid_idx;
             alter table commands drop constraint commands_pkey;
             drop table agents_stats",
        )
        .unwrap();
    let differences = store.schema_differences(SchemaScope::Tables).unwrap();
    let texts: Vec<String> = differences.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "column agents.loadername is missing (type varchar(2048))",
            "column agents.version has type varchar(2048) instead of varchar(2048) not null",
            "column agents.color is unknown, and every new row must fill it",
            "an index on agents (status) is missing",
            "table agents_stats is missing",
            "table commands lacks the primary key (id)",
            "a unique index on signatures (actionid, investigatorid) is missing",
            "column signatures.actionid does not reference table actions",
        ]
    );
    let error = store.create_or_check_tables().unwrap_err();
    assert!(matches!(&error, DataError::Schema { .. }), "{error:?}");
    assert!(error.to_string().ends_with("every new row must fill it; 4 more"), "{error}");
}

#[test]
fn tables_are_created_all_or_none() {
    let tables = Tables::new(DatabaseKind::Postgres);
    let mut admin = tables.connect();
    // Conflicts with a table that is created late.
    admin.batch_execute("create view signatures as select 1 as actionid").unwrap();
    let store = Store::connect(&disk(), &tables.server().unwrap()).unwrap();
    store.init_schema(SchemaScope::Tables).unwrap_err();
    let actions = "select from pg_class where relname = 'actions'";
    assert_eq!(admin.query(actions, &[]).unwrap().len(), 0);
}

#[test]
fn insert_of_the_original_documentation_works() {
    let tables = Tables::new(DatabaseKind::Postgres);
    let store = tables.open().unwrap();
    let insert =
        "INSERT INTO investigators (name, pgpfingerprint) VALUES ('Bob Kelso', 'E608......');";
    tables.connect().batch_execute(insert).unwrap();
    let bob = store.investigator("E608......").unwrap().unwrap();
    assert!(bob.is_active());
    assert_eq!((bob.name.as_str(), bob.permissions.bits()), ("Bob Kelso", 0));
    store.insert_investigator("eve", "E6", b"key", Permissions::RUNNER, time(NOON)).unwrap();
    assert_eq!(store.investigators().unwrap()[1].id, Id::new(2), "the same sequence numbers both");
}

/// The original's tables have no defaults for columns that its programs always fill.
#[test]
fn tables_of_the_original_platform_are_accepted() {
    let tables = Tables::new(DatabaseKind::Postgres);
    let store = tables.open().unwrap();
    tables
        .connect()
        .batch_execute(
            "alter table investigators alter column status drop default, alter column createdat drop default,
                                       alter column lastmodified drop default;
             alter index signatures_actionid_idx rename to another_name;
             drop table modules cascade;
             drop table loaders",
        )
        .unwrap();
    assert_eq!(store.schema_differences(SchemaScope::Tables).unwrap(), []);
    store.create_or_check_tables().unwrap();
}

#[test]
fn sslmode_decides_which_certificates_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let certificate = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ])
        .args([
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            &path("key"),
            "-out",
            &path("crt"),
        ])
        .output()
        .unwrap();
    assert!(certificate.status.success(), "{certificate:?}");
    let cluster = Cluster::protected(&path("crt"), &path("key"));
    let open = |host: &str, sslmode: SslMode, sslrootcert: Option<String>| {
        let sslrootcert = sslrootcert.map(Into::into);
        let host = host.to_owned();
        let server = DatabaseServer { host, sslmode, sslrootcert, ..by_tcp(&cluster, PASSWORD) };
        Store::connect(&disk(), &server).map(|store| {
            let query = Query {
                name: "tls",
                text: "select ssl from pg_stat_ssl where pid = pg_backend_pid()".into(),
            };
            store.rows(&query, &[]).unwrap().remove(0).number().unwrap() == 1
        })
    };
    let ours = || Some(path("crt"));
    assert!(!open("localhost", SslMode::Disable, None).unwrap());
    assert!(open("127.0.0.1", SslMode::Require, None).unwrap());
    assert!(open("127.0.0.1", SslMode::VerifyCa, ours()).unwrap());
    assert!(open("localhost", SslMode::VerifyFull, ours()).unwrap());
    for (host, mode, certificates, what) in [
        ("localhost", SslMode::VerifyFull, None, "no trusted authority signed it"),
        ("localhost", SslMode::VerifyCa, None, "no trusted authority signed it"),
        ("127.0.0.1", SslMode::VerifyFull, ours(), "it names another host"),
    ] {
        let error = open(host, mode, certificates).unwrap_err();
        assert!(matches!(error, DataError::Connect { .. }), "{what}: {error:?}");
        let message = message(&error);
        assert!(message.contains("certificate verify failed"), "{what}: {message}");
    }
    // A server without TLS is refused: the password would be sent in clear text.
    let server =
        DatabaseServer { sslmode: SslMode::Require, ..by_tcp(Cluster::shared(), PASSWORD) };
    let error = Store::connect(&disk(), &server).unwrap_err();
    assert!(message(&error).contains("TLS"), "{}", message(&error));
}
