//! Fuzz target for the reader of the spool's files.

use super::record::{FileContent, classify};

/// Reads `bytes` as a file of the spool. A record must be written and read back as the same record,
/// and a damaged file must have a reason.
pub(crate) fn record(bytes: &[u8]) {
    match classify(bytes) {
        FileContent::Record(record) => {
            let written = record.to_bytes();
            assert!(written.is_ok(), "cannot write a record: {written:?}");
            let written = written.unwrap_or_default();
            let read = match classify(&written) {
                FileContent::Record(read) => read.to_bytes().ok(),
                _ => None,
            };
            assert_eq!(read, Some(written), "reads back as another record");
        }
        FileContent::Action(text) => assert_eq!(text.as_bytes(), bytes, "the action changed"),
        FileContent::Newer(_) => {}
        FileContent::Damaged(reason) => assert!(!reason.is_empty(), "damaged without a reason"),
    }
}
