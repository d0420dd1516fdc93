//! The host was suspended: the wall clock has jumped.

use super::*;

/// How soon the agent is heard after a jump, with time for a busy machine; less than its period.
const SOON: Duration = Duration::from_secs(15);

#[test]
fn the_agent_is_heard_at_once_after_the_clock_jumps() {
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
        let is_heard = || {
            let agents = store.live_agents().unwrap();
            agents.iter().any(|agent| {
                agent.status == "online" && agent.heartbeattime.as_second() == now.as_second()
            })
        };
        while !is_heard() {
            assert!(begun.elapsed() < SOON, "not heard since the clock was set to {now}");
            stop.wait(Duration::from_millis(50));
        }
    }
}
