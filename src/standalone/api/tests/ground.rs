//! The databases that the recordings are replayed on.
//!
//! A replay is the same on each: it opens one with an [`Open`], writes the rows of the
//! moment by [`Hand`], as an administrator at a prompt would, and asks the API.

use std::path::Path;
use std::sync::Arc;

use crate::data::Store;
use crate::disk::{Disk, HAND_PREFIX, RealFs};

/// SQL typed by hand: a connection beside the platform's own.
pub(super) trait Hand {
    /// Runs statements.
    fn run(&mut self, statements: &str);
    /// Returns bytes as they stand in a statement.
    fn bytes(&self, bytes: &[u8]) -> String;
}

/// A database, and a hand in it.
pub(super) struct Ground {
    pub(super) store: Arc<Store>,
    pub(super) hand: Box<dyn Hand>,
}

/// Makes a database; what it needs on the disk is in a folder that is empty.
pub(super) type Open = fn(&Path) -> Ground;

/// Makes a database in an SQLite file.
pub(super) fn sqlite(folder: &Path) -> Ground {
    let disk = Disk::new(Arc::new(RealFs), folder.to_owned(), HAND_PREFIX);
    let file = folder.join("mig.db");
    let store = Arc::new(Store::open(&disk, &file).unwrap());
    Ground { store, hand: Box::new(rusqlite::Connection::open(file).unwrap()) }
}

impl Hand for rusqlite::Connection {
    fn run(&mut self, statements: &str) {
        if let Err(error) = self.execute_batch(statements) {
            panic!("{error}: {statements}");
        }
    }

    fn bytes(&self, bytes: &[u8]) -> String {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("x'{digits}'")
    }
}
