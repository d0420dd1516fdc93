//! Transactions that end badly leave nothing behind: no change, no transaction, no ban on writing.

use super::*;

on_each_database!(
    a_commit_that_fails_is_rolled_back,
    what_ended_early_leaves_the_tables_writable,
    a_transaction_that_was_left_open_ends_before_the_next,
);

/// Returns whether the store can write, in a transaction and without.
fn writes(store: &Store, number: i64) {
    store.upsert_agent(&agent(number)).unwrap();
    store.insert_action(&action(number), &[signed(1)]).unwrap();
    store.reading(|database| database.batch("read", "select 1")).unwrap();
    store.set_action_status(Id::new(number), ActionStatus::Scheduled, time(NOON)).unwrap();
}

fn a_commit_that_fails_is_rolled_back(kind: Kind) {
    let (_tables, store) = filled(kind);
    // The signature of an action that is not there is noticed at the end.
    let late = match kind {
        Kind::Sqlite => "pragma defer_foreign_keys = on",
        Kind::Postgres => {
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
    writes(&store, 20);
    assert_eq!(store.signers(Id::new(99)).unwrap(), []);
}

fn what_ended_early_leaves_the_tables_writable(kind: Kind) {
    let (_tables, store) = filled(kind);
    // A full disk ends a transaction of SQLite by itself.
    let read = store.reading(|database| {
        database.batch("end", "rollback")?;
        database.batch("fail", "select nothing from nowhere")
    });
    assert!(read.is_err());
    writes(&store, 20);
}

fn a_transaction_that_was_left_open_ends_before_the_next(kind: Kind) {
    let (_tables, store) = filled(kind);
    store.database().batch("begin", "begin").unwrap();
    store.reading(|database| database.batch("read", "select 1")).unwrap();
    writes(&store, 20);
}
