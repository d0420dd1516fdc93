//! Limits how many moves the engine makes in one turn of the daemon's loop.
//!
//! A move takes a few milliseconds, during which nothing else is processed and the service manager
//! receives no keep-alive. Any number of moves may be due at once; the next turns make the rest.

/// Maximum number of moves in one turn.
pub(super) const MOVES_MAX: usize = 32;

/// The moves that are left in this turn.
#[derive(Debug, Default)]
pub(super) struct MoveBudget {
    made: usize,
}

impl MoveBudget {
    /// Starts a new turn.
    pub(super) fn renew(&mut self) {
        self.made = 0;
    }

    /// Counts a move.
    pub(super) fn spend(&mut self) {
        self.made = self.made.saturating_add(1);
    }

    /// Returns whether all other moves have to wait for the next turn.
    pub(super) fn is_spent(&self) -> bool {
        self.made >= MOVES_MAX
    }
}
