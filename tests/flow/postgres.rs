//! The platform's tables on a PostgreSQL server, and runs during an outage of the server.
//!
//! If `MIG_TEST_DATABASE` is `postgres`, all other tests use such a server too.

use super::{NEVER, NOTE};
use crate::rig::{Rig, wait_until};

#[test]
fn run_finishes_with_the_tables_on_a_server() {
    let mut rig = Rig::on_postgres();
    rig.plugin("note", NOTE);
    rig.job("job", &format!("{NEVER}\nexpiry = 30s\nearlyresults = on\nplugin = note"));
    let _runner = rig.runner();
    let document = rig.wait_done(&rig.trigger("job"));
    assert_eq!(document["commands"].as_array().unwrap().len(), 1, "{document}");
    assert_eq!(rig.plugin_file("notes").lines().count(), 1);
    // The whole state of the platform is on the server.
    rig.kill_platform();
    rig.start_platform();
    rig.wait_done(&rig.trigger("job"));
    assert_eq!(rig.database().names(), ["mig-runner: job", "mig-runner: job"]);
    assert!(!rig.path("p/data/mig.db").exists());
}

#[test]
fn outage_of_the_server_delays_runs_and_loses_none() {
    let rig = Rig::on_postgres();
    rig.plugin("note", NOTE);
    rig.job("job", &format!("{NEVER}\nexpiry = 5s\ndelayresults = 0s\nplugin = note"));
    let runner = rig.runner();
    rig.close_database(true);
    let fired = rig.trigger("job");
    runner.wait_logged("action not accepted yet", &[("run", &fired)]);
    rig.close_database(false);
    wait_until("the agent's answer", || rig.database().is_completed("mig-runner: job"));
    // A second outage, when the results are to be fetched.
    rig.close_database(true);
    runner.wait_logged("results not fetched yet", &[("run", &fired)]);
    rig.close_database(false);
    let document = rig.wait_done(&fired);
    assert_eq!(document["commands"].as_array().unwrap().len(), 1, "{document}");
    assert_eq!(rig.database().names(), ["mig-runner: job"]);
    assert_eq!(rig.plugin_file("notes").lines().count(), 1);
}
