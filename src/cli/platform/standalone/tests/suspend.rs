//! The host was suspended, so the wall clock has jumped.

use super::*;

/// Maximum time until the heartbeat after a jump, on a busy machine; less than the heartbeat
/// period.
const HEARTBEAT_DELAY_MAX: Duration = Duration::from_secs(15);

#[test]
fn agent_sends_a_heartbeat_after_the_clock_jumps() {
    let mut rig = Rig::start(Kind::Sqlite, "exit 1");
    let begin = SystemClock.now();
    let clock = Arc::new(TestClock::new(begin));
    rig.clock = Arc::clone(&clock) as Arc<dyn Clock>;
    rig.restart("exit 1");
    // Suspended for an hour, and later set back by two.
    for now in [begin + SignedDuration::from_hours(1), begin - SignedDuration::from_hours(1)] {
        clock.set(now);
        let (begun, stop) = (Instant::now(), crate::wake::Stop::new());
        let store = &rig.platform().data().store;
        let has_heartbeat = || {
            let agents = store.live_agents().collect::<Result<Vec<_>, _>>().unwrap();
            agents.iter().any(|agent| {
                agent.status == "online" && agent.heartbeattime.as_second() == now.as_second()
            })
        };
        while !has_heartbeat() {
            assert!(
                begun.elapsed() < HEARTBEAT_DELAY_MAX,
                "no heartbeat since the clock was set to {now}"
            );
            stop.wait(Duration::from_millis(50));
        }
    }
}
