//! What goes wrong with a server: it is down, goes away, lets us not in, lacks what it should have.

mod reach;

use std::sync::Arc;
use std::time::Instant;

use super::super::server::SslMode;
use super::super::testing::cluster::{Cluster, PASSWORD, USER};
use super::super::testing::{Kind, Tables};
use super::super::tests::{NOON, action, agent, time};
use super::*;
use crate::chain::Chain;
use crate::config::secret::Secret;
use crate::data::schema::Extent;
use crate::data::{Id, Permissions, Signed, Store};
use crate::disk::{COMMAND_PREFIX, Disk, RealFs};

fn disk() -> Disk {
    Disk::new(Arc::new(RealFs), std::path::PathBuf::new(), COMMAND_PREFIX)
}

/// Returns where a server of its own is, by the socket.
fn server(cluster: &Cluster) -> Server {
    let (folder, port) = (cluster.folder().display(), cluster.port());
    let folder = folder.to_string().replace('/', "%2F");
    Server::parse(&format!("postgres://{USER}@{folder}:{port}/postgres")).unwrap()
}

/// Returns where the shared server is, by TCP, which asks for a password.
fn by_tcp(cluster: &Cluster, password: &str) -> Server {
    let url = format!("postgres://{USER}@127.0.0.1:{}/postgres", cluster.port());
    let password = Some(Arc::new(Secret::from(password.to_owned())));
    Server { password, ..Server::parse(&url).unwrap() }
}

fn told(error: &DataError) -> String {
    Chain(error).to_string()
}

/// A store on a server of its own, which can be stopped.
fn on(cluster: &Cluster) -> Store {
    let store = Store::connect(&disk(), &server(cluster)).unwrap();
    store.init_schema(Extent::Tables).unwrap();
    store.insert_investigator("bob", "AB", b"key", Permissions::RUNNER, time(NOON)).unwrap();
    store
}

#[test]
fn a_server_that_is_down_is_named_and_found_again_when_it_is_up() {
    let mut cluster = Cluster::start(&[]);
    let store = on(&cluster);
    cluster.stop("INT");
    let error = store.agent(Id::new(5)).unwrap_err();
    assert!(matches!(error, DataError::Lost { .. } | DataError::Connect { .. }), "{error:?}");
    let error = store.agent(Id::new(5)).unwrap_err();
    assert!(matches!(error, DataError::Connect { .. }), "{error:?}");
    assert!(told(&error).starts_with(&format!("cannot use database {USER}@/tmp/")), "{error}");
    let error = Store::connect(&disk(), &server(&cluster)).unwrap_err();
    assert!(matches!(error, DataError::Connect { .. }), "{error:?}");
    assert!(cluster.start_again());
    assert_eq!(store.agent(Id::new(5)).unwrap(), None);
    store.upsert_agent(&agent(5)).unwrap();
}

#[test]
fn a_transaction_whose_server_goes_leaves_nothing_and_does_not_go_on_elsewhere() {
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
            // The server is there again; what was begun with the old one is not.
            let error = insert(database, "after").unwrap_err();
            assert!(matches!(error, DataError::Lost { .. }), "{error:?}");
            let error = insert(database, "later").unwrap_err();
            assert!(matches!(error, DataError::Lost { .. }), "{error:?}");
            assert!(told(&error).contains("all that its transaction had done"), "{error}");
            Err::<(), _>(error)
        });
        assert!(error.is_err());
        let mut beside = cluster.connect("postgres", USER);
        let count: i64 = beside.query_one("select count(*) from modules", &[]).unwrap().get(0);
        assert_eq!(count, 0, "{signal}");
        store.upsert_agent(&agent(5)).unwrap();
    }
    // The same with what the platform does, ended by an administrator.
    let mut beside = cluster.connect("postgres", USER);
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'mig-runner'";
    beside.batch_execute(end).unwrap();
    store.agent(Id::new(5)).ok();
    let signed = Signed { investigator: Id::new(1), signature: "s".to_owned() };
    store.insert_action(&action(10), &[signed]).unwrap();
}

#[test]
fn a_transaction_of_which_a_statement_failed_is_not_taken_for_kept() {
    let tables = Tables::new(Kind::Postgres);
    let store = tables.open().unwrap();
    let kept = store.transaction(|database| {
        database.batch("insert", "insert into modules values (1, 'a')")?;
        database.batch("insert", "insert into modules values (1, 'again')").ok();
        Ok(())
    });
    let error = kept.unwrap_err();
    assert!(told(&error).contains("a statement of its transaction failed"), "{error}");
    let rows = tables.connect().query("select from modules", &[]).unwrap();
    assert_eq!(rows.len(), 0);
}

#[test]
fn a_wrong_password_is_told_and_not_shown() {
    let cluster = Cluster::shared();
    Store::connect(&disk(), &by_tcp(cluster, PASSWORD)).unwrap();
    let error = Store::connect(&disk(), &by_tcp(cluster, "hunter2")).unwrap_err();
    let text = told(&error);
    assert!(text.contains("password authentication failed"), "{text}");
    assert!(text.contains("PGPASSFILE"), "{text}");
    assert!(!text.contains("hunter2") && !format!("{error:?}").contains("hunter2"), "{text}");
    let none = Server { password: None, ..by_tcp(cluster, "") };
    let error = Store::connect(&disk(), &none).unwrap_err();
    assert!(told(&error).contains("password"), "{error:?}");
}

#[test]
fn a_database_that_is_missing_is_named() {
    let other = Server { dbname: "nosuch".to_owned(), ..by_tcp(Cluster::shared(), PASSWORD) };
    let text = told(&Store::connect(&disk(), &other).unwrap_err());
    assert!(text.contains("\"nosuch\" does not exist (make it with createdb)"), "{text}");
}

#[test]
fn what_takes_too_long_is_ended() {
    let tables = Tables::new(Kind::Postgres);
    let store = tables.open().unwrap();
    let (begun, mut beside) = (Instant::now(), tables.connect());
    beside.batch_execute("begin; lock table agents").unwrap();
    let error = store.upsert_agent(&agent(5)).unwrap_err();
    assert!(told(&error).contains("lock timeout"), "{error:?}");
    assert!(begun.elapsed() > Duration::from_secs(9));
    beside.batch_execute("rollback").unwrap();
    store.upsert_agent(&agent(5)).unwrap();
}

#[test]
fn who_reads_cannot_write_and_a_target_sees_no_secret() {
    let tables = Tables::new(Kind::Postgres);
    let store = tables.open().unwrap();
    let write = |database: &mut dyn Database| database.batch("write", "delete from agents");
    let error = store.reading(write).unwrap_err();
    assert!(told(&error).contains("read-only transaction"), "{error:?}");
    // The roles belong to the server, whose other tests may have made them.
    tables.connect().batch_execute("revoke select on investigators from public").unwrap();
    store.init_schema(Extent::TablesAndRoles).unwrap();
    let error = store.reading_as_target(write).unwrap_err();
    assert!(told(&error).contains("read-only transaction"), "{error:?}");
    let select = |text: &'static str| {
        store.reading_as_target(|database| {
            let query = Query { name: "target", text: text.into() };
            database.rows(&query, &[]).map(|rows| rows.len())
        })
    };
    assert_eq!(select("select name from agents where 1 = 1").unwrap(), 0);
    for secret in ["privatekey", "apikey", "apisalt"] {
        let text = format!("select {secret} from investigators");
        let error = select(Box::leak(text.into_boxed_str())).unwrap_err();
        assert!(told(&error).contains("permission denied"), "{error:?}");
    }
    // Afterwards we are ourselves again.
    store.upsert_agent(&agent(5)).unwrap();
}

#[test]
fn a_role_that_is_missing_is_told_with_what_makes_it() {
    let cluster = Cluster::start(&[]);
    let store = on(&cluster);
    let error = store.reading_as_target(|_| Ok(())).unwrap_err();
    assert!(matches!(error, DataError::Role { .. }), "{error:?}");
    assert!(told(&error).contains("mig-data schema init --roles"), "{error}");
    let differences = store.schema_differences(Extent::TablesAndRoles).unwrap();
    assert_eq!(differences.len(), 4, "{differences:?}");
    store.init_schema(Extent::TablesAndRoles).unwrap();
    store.init_schema(Extent::TablesAndRoles).unwrap();
    assert_eq!(store.schema_differences(Extent::TablesAndRoles).unwrap(), []);
    store.reading_as_target(|_| Ok(())).unwrap();
    let mut beside = cluster.connect("postgres", USER);
    beside
        .batch_execute(
            "revoke insert on actions from migapi;
             grant select on investigators to migreadonly;
             revoke migreadonly from migscheduler;
             revoke update on commands from migscheduler",
        )
        .unwrap();
    let differences = store.schema_differences(Extent::TablesAndRoles).unwrap();
    let told: Vec<String> = differences.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "role migscheduler may not update on commands",
            "role migapi may not insert on actions",
            "role migapi may read investigators.privatekey, which is secret",
            "role migreadonly may read investigators.privatekey, which is secret",
            "role migreadonly may read investigators.apikey, which is secret",
            "role migreadonly may read investigators.apisalt, which is secret",
            "role migscheduler may not act as migreadonly",
        ]
    );
}

#[test]
fn tables_that_differ_are_refused_and_told() {
    let tables = Tables::new(Kind::Postgres);
    let mut beside = tables.connect();
    let store = Store::connect(&disk(), &tables.server().unwrap()).unwrap();
    let error = store.agent(Id::new(5)).unwrap_err();
    assert!(told(&error).contains("mig-data schema check"), "{error:?}");
    store.make_ready().unwrap();
    assert_eq!(store.schema_differences(Extent::Tables).unwrap(), []);
    beside.batch_execute("drop index agents_status_idx").unwrap();
    store.make_ready().unwrap();
    beside
        .batch_execute(
            "alter table agents drop column loadername, alter column version drop not null,
                                add column color text not null;
             alter table signatures drop constraint signatures_actionid_fkey;
             drop index signatures_actionid_investigatorid_idx;
             alter table commands drop constraint commands_pkey;
             drop table agents_stats",
        )
        .unwrap();
    let differences = store.schema_differences(Extent::Tables).unwrap();
    let told: Vec<String> = differences.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "column agents.loadername is missing: it is varchar(2048)",
            "column agents.version is varchar(2048), not varchar(2048) not null",
            "column agents.color is not known here and must be filled in every row",
            "an index on agents (status) is missing",
            "table agents_stats is missing",
            "the primary key of table commands is missing: it is (id)",
            "a unique index on signatures (actionid, investigatorid) is missing",
            "column signatures.actionid does not refer to table actions",
        ]
    );
    let error = store.make_ready().unwrap_err();
    assert!(matches!(&error, DataError::Schema { .. }), "{error:?}");
    assert!(error.to_string().ends_with("every row; 4 more"), "{error}");
}

#[test]
fn making_tables_is_all_or_nothing() {
    let tables = Tables::new(Kind::Postgres);
    let mut beside = tables.connect();
    // Stands in the way of a table that comes late.
    beside.batch_execute("create view signatures as select 1 as actionid").unwrap();
    let store = Store::connect(&disk(), &tables.server().unwrap()).unwrap();
    store.init_schema(Extent::Tables).unwrap_err();
    let there = "select from pg_class where relname = 'actions'";
    assert_eq!(beside.query(there, &[]).unwrap().len(), 0);
}

#[test]
fn the_seeds_insert_works_as_printed() {
    let tables = Tables::new(Kind::Postgres);
    let store = tables.open().unwrap();
    let insert =
        "INSERT INTO investigators (name, pgpfingerprint) VALUES ('Bob Kelso', 'E608......');";
    tables.connect().batch_execute(insert).unwrap();
    let bob = store.investigator("E608......").unwrap().unwrap();
    assert!(bob.is_active());
    assert_eq!((bob.name.as_str(), bob.permissions.bits()), ("Bob Kelso", 0));
    store.insert_investigator("eve", "E6", b"key", Permissions::RUNNER, time(NOON)).unwrap();
    assert_eq!(store.investigators().unwrap()[1].id, Id::new(2), "counted by the same sequence");
}

/// The platform's own tables have no defaults for what it always says itself.
#[test]
fn the_platforms_own_tables_are_accepted() {
    let tables = Tables::new(Kind::Postgres);
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
    assert_eq!(store.schema_differences(Extent::Tables).unwrap(), []);
    store.make_ready().unwrap();
}

#[test]
fn the_way_is_protected_as_it_is_said() {
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
        let server = Server { host, sslmode, sslrootcert, ..by_tcp(&cluster, PASSWORD) };
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
        ("localhost", SslMode::VerifyFull, None, "nobody vouches for it"),
        ("localhost", SslMode::VerifyCa, None, "nobody vouches for it"),
        ("127.0.0.1", SslMode::VerifyFull, ours(), "it is another host's"),
    ] {
        let error = open(host, mode, certificates).unwrap_err();
        assert!(matches!(error, DataError::Connect { .. }), "{what}: {error:?}");
        assert!(told(&error).contains("certificate verify failed"), "{what}: {}", told(&error));
    }
    // A server that offers none is refused: the password would go in clear text.
    let server = Server { sslmode: SslMode::Require, ..by_tcp(Cluster::shared(), PASSWORD) };
    let error = Store::connect(&disk(), &server).unwrap_err();
    assert!(told(&error).contains("TLS"), "{}", told(&error));
}
