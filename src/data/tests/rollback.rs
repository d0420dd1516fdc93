//! A failed transaction leaves nothing behind: no change, no open transaction, no read-only mode.

use super::*;

on_each_database!(
    failed_commit_is_rolled_back,
    transaction_that_ended_itself_leaves_tables_writable,
    open_transaction_is_ended_before_the_next,
);

/// Checks that the store can write, in a transaction and without.
fn check_writes(store: &Store, number: i64) {
    store.upsert_agent(&agent(number)).unwrap();
    store.insert_action(&action(number), &[signed(1)]).unwrap();
    store.read_transaction(|database| database.batch("read", "select 1")).unwrap();
    store.set_action_status(Id::new(number), ActionStatus::Scheduled, time(NOON)).unwrap();
}

fn failed_commit_is_rolled_back(kind: DatabaseKind) {
    let (_tables, store) = filled(kind);
    // The missing action of the signature is detected at the commit.
    let late = match kind {
        DatabaseKind::Sqlite => "pragma defer_foreign_keys = on",
        DatabaseKind::Postgres => {
            let alter =
                "alter table signatures alter constraint signatures_actionid_fkey deferrable";
            store.database().batch("alter", alter).unwrap();
            "set constraints all deferred"
        }
    };
    let committed = store.transaction(|database| {
        database.batch("late", late)?;
        database.batch("insert", "insert into signatures values (99, 1, 's')")
    });
    let error = committed.unwrap_err();
    assert!(matches!(error, DataError::Query { query: "commit", .. }), "{error:?}");
    check_writes(&store, 20);
    assert_eq!(store.signers(Id::new(99)).unwrap(), []);
}

fn transaction_that_ended_itself_leaves_tables_writable(kind: DatabaseKind) {
    let (_tables, store) = filled(kind);
    // SQLite itself ends a transaction when the disk is full.
    let read = store.read_transaction(|database| {
        database.batch("end", "rollback")?;
        database.batch("fail", "select nothing from nowhere")
    });
    assert!(read.is_err());
    check_writes(&store, 20);
}

fn open_transaction_is_ended_before_the_next(kind: DatabaseKind) {
    let (_tables, store) = filled(kind);
    store.database().batch("begin", "begin").unwrap();
    store.read_transaction(|database| database.batch("read", "select 1")).unwrap();
    check_writes(&store, 20);
}
