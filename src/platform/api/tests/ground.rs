//! A database that recordings are replayed on, and a hand in it: the rows of the moment are
//! written as an administrator at a prompt would write them.

use std::sync::Arc;

use crate::data::Store;
use crate::data::testing::{DatabaseKind as Kind, Tables};

/// Runs statements on a connection beside the platform's own.
type Hand = Box<dyn FnMut(&str)>;

/// A database, and a hand in it.
pub(super) struct Ground {
    pub(super) store: Arc<Store>,
    hand: Hand,
    kind: Kind,
    _tables: Tables,
}

impl Ground {
    pub(super) fn new(kind: Kind) -> Ground {
        let tables = Tables::new(kind);
        let store = Arc::new(tables.open().unwrap());
        let hand: Hand = match kind {
            Kind::Sqlite => {
                let file = rusqlite::Connection::open(tables.folder().join("mig.db")).unwrap();
                Box::new(move |statements| file.execute_batch(statements).expect(statements))
            }
            Kind::Postgres => {
                let mut client = tables.connect();
                Box::new(move |statements| client.batch_execute(statements).expect(statements))
            }
        };
        Ground { store, hand, kind, _tables: tables }
    }

    pub(super) fn run(&mut self, statements: &str) {
        (self.hand)(statements);
    }

    /// Returns bytes as they stand in a statement.
    pub(super) fn bytes(&self, bytes: &[u8]) -> String {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self.kind {
            Kind::Sqlite => format!("x'{digits}'"),
            Kind::Postgres => format!("'\\x{digits}'"),
        }
    }
}
