//! How many connections the API may have open: a share of the process's file descriptors.
//!
//! The scheduler, the database, GnuPG and the agent's child processes need descriptors too. If the
//! API could use them all, nothing else would work. So the API takes at most a quarter of the limit.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Maximum number of connections, if the descriptors suffice.
const CONNECTIONS_MAX: usize = 256;
/// Minimum number of connections, even if the process has few descriptors.
const CONNECTIONS_MIN: usize = 8;
/// Connections use at most one in this many descriptors.
const SHARE: u64 = 4;
/// Number of descriptors with which the API has all its connections.
const DESCRIPTORS: u64 = 1024;

/// Returns the maximum number of connections. Raises the soft limit on descriptors first, if it is
/// smaller than needed and the hard limit allows more.
pub(super) fn connections_max() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(DESCRIPTORS, |maximum| maximum.min(DESCRIPTORS));
    if let Some(current) = limit.current.filter(|current| *current < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
        let is_raised = setrlimit(Resource::Nofile, raised).is_ok();
        return share(Some(if is_raised { wanted } else { current }));
    }
    share(limit.current)
}

/// Returns the number of connections for this limit on descriptors; `None` is no limit.
fn share(descriptors: Option<u64>) -> usize {
    let share = descriptors.and_then(|descriptors| usize::try_from(descriptors / SHARE).ok());
    share.unwrap_or(CONNECTIONS_MAX).clamp(CONNECTIONS_MIN, CONNECTIONS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_use_at_most_a_quarter_of_the_descriptors() {
        for (descriptors, connections) in [
            (None, CONNECTIONS_MAX),
            (Some(1 << 20), CONNECTIONS_MAX),
            (Some(1024), 256),
            (Some(256), 64),
            (Some(20), CONNECTIONS_MIN),
        ] {
            assert_eq!(share(descriptors), connections, "{descriptors:?}");
        }
    }
}
