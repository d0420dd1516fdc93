//! Free disk space: new actions are not posted while there may be no room for their results.

use slog::{error, info};

use super::settings::Parts;
use crate::disk::FreeSpace;

/// Fraction of the disk's bytes and files that must be free for new actions to be posted.
const FREE_MIN: f64 = 0.05;

/// Returns whether enough of a disk is free for new actions to be posted.
pub(crate) fn has_room(space: FreeSpace) -> bool {
    space.bytes >= FREE_MIN && space.files >= FREE_MIN
}

/// The free space of the spool's disk when it was last checked.
#[derive(Debug)]
pub(super) struct DiskSpace {
    has_room: bool,
}

impl DiskSpace {
    /// Returns the state before the first check: there is room.
    pub(super) fn new() -> DiskSpace {
        DiskSpace { has_room: true }
    }

    /// Returns whether the disk has room for new actions and their results.
    pub(super) fn has_room(&self) -> bool {
        self.has_room
    }

    /// Checks the free space; returns whether the disk has just become nearly full.
    pub(super) fn update(&mut self, parts: &Parts) -> bool {
        let Ok(space) = parts.spool.disk().free_space(parts.spool.layout().root()) else {
            // If the disk cannot report its free space, the next write fails and is logged.
            return false;
        };
        let had_room = std::mem::replace(&mut self.has_room, has_room(space));
        if self.has_room != had_room {
            let percent = |part: f64| format!("{:.1} %", part * 100.0);
            let (bytes, files) = (percent(space.bytes), percent(space.files));
            if self.has_room {
                info!(parts.log, "disk space available again; resuming posts";
                    "free_bytes" => bytes, "free_files" => files);
            } else {
                error!(parts.log, "disk nearly full; not posting new actions";
                    "free_bytes" => bytes, "free_files" => files);
            }
        }
        had_room && !self.has_room
    }
}
