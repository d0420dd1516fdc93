//! A database for replaying recordings, with a second connection through which the tests write
//! rows.

use std::sync::Arc;

use crate::data::Store;
use crate::data::testing::{DatabaseKind as Kind, Tables};

/// Runs statements on a connection beside the platform's own.
type RunStatements = Box<dyn FnMut(&str)>;

pub(super) struct TestDatabase {
    pub(super) store: Arc<Store>,
    run: RunStatements,
    kind: Kind,
    _tables: Tables,
}

impl TestDatabase {
    pub(super) fn new(kind: Kind) -> TestDatabase {
        let tables = Tables::new(kind);
        let store = Arc::new(tables.open().unwrap());
        let run: RunStatements = match kind {
            Kind::Sqlite => {
                let file = rusqlite::Connection::open(tables.folder().join("mig.db")).unwrap();
                Box::new(move |statements| file.execute_batch(statements).expect(statements))
            }
            Kind::Postgres => {
                let mut client = tables.connect();
                Box::new(move |statements| client.batch_execute(statements).expect(statements))
            }
        };
        TestDatabase { store, run, kind, _tables: tables }
    }

    pub(super) fn run(&mut self, statements: &str) {
        (self.run)(statements);
    }

    /// Formats bytes as an SQL literal.
    pub(super) fn bytes(&self, bytes: &[u8]) -> String {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self.kind {
            Kind::Sqlite => format!("x'{digits}'"),
            Kind::Postgres => format!("'\\x{digits}'"),
        }
    }
}
