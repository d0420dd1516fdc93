//! A delay specific to each job and host.
//!
//! A hundred runners with the same job at 02:00 would access the API in the same second. Each
//! delays its run by a fraction of the splay instead. The fraction is constant, so that the time
//! between two runs is as scheduled.
//!
//! **Invariant.** The same names yield the same delay in every version of the program; that is why
//! the hash is implemented here. It has no security purpose.

use std::time::Duration;

use crate::names::JobName;

/// The offset basis of FNV-1a, 64 bits.
const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;
/// The prime of FNV-1a, 64 bits.
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// Returns the delay after each slot of `job` on `host`: whole seconds, at most `splay`.
pub(crate) fn delay(job: &JobName, host: &str, splay: Duration) -> Duration {
    // Names contain no NUL, so "a" on "bc" and "ab" on "c" differ.
    let bytes = job.as_str().bytes().chain([0]).chain(host.bytes());
    let hash = bytes.fold(FNV_START, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
    // The high bits of FNV hardly depend on the last letters, which are what differs between most
    // names, and the scaling below uses the high bits.
    let share = u128::from(mixed(hash));
    let choices = u128::from(splay.as_secs()) + 1;
    let seconds = (share * choices) >> u64::BITS;
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

/// Spreads each bit of `hash` over all bits, as the finalizer of MurmurHash3 does.
fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay_of(job: &str, host: &str, seconds: u64) -> u64 {
        delay(&job.parse().unwrap(), host, Duration::from_secs(seconds)).as_secs()
    }

    #[test]
    fn delay_of_a_job_on_a_host_never_changes() {
        // A different value means that every job of every installation moves.
        assert_eq!(delay_of("setuid", "web1.example.net", 3600), 2700);
        assert_eq!(delay_of("setuid", "web2.example.net", 3600), 75);
        assert_eq!(delay_of("setui", "dweb1.example.net", 3600), 121);
    }

    #[test]
    fn delays_cover_the_splay_without_exceeding_it() {
        let mut hosts = [0_u32; 11];
        for host in 0..1_100 {
            let delay = delay_of("job", &format!("host{host}"), 10);
            hosts[usize::try_from(delay).unwrap()] += 1;
        }
        // A hundred each on average.
        assert!(hosts.iter().all(|count| (60..150).contains(count)), "{hosts:?}");
        assert_eq!(delay_of("job", "host", 0), 0);
        assert!(delay(&"job".parse().unwrap(), "host", Duration::MAX) <= Duration::MAX);
    }
}
