//! Room on the disk: results that cannot be stored are better not asked for.

use slog::{error, info};

use super::engine::Engine;
use crate::disk::FreeSpace;

/// How much of the disk's bytes and files must be free for a new action to be posted.
const ROOM_MIN: f64 = 0.05;

/// Tells whether so much of a disk is free that new actions are posted.
pub(crate) fn has_room(space: FreeSpace) -> bool {
    space.bytes >= ROOM_MIN && space.files >= ROOM_MIN
}

impl Engine {
    /// Looks how much of the disk is free.
    pub(super) fn look_for_room(&mut self) {
        let Ok(space) = self.parts.spool.disk().free_space(self.parts.spool.layout().root()) else {
            // A disk that does not even answer that is noticed by what is written.
            return;
        };
        let room = has_room(space);
        if room != self.room {
            let percent = |part: f64| format!("{:.1} %", part * 100.0);
            let (bytes, files) = (percent(space.bytes), percent(space.files));
            if room {
                info!(self.parts.log, "the disk has room again"; "bytes" => bytes, "files" => files);
            } else {
                error!(self.parts.log, "the disk is nearly full: nothing new is posted";
                    "bytes" => bytes, "files" => files);
                // What is old may be what fills it.
                self.pruning.hasten();
            }
        }
        self.room = room;
    }
}
