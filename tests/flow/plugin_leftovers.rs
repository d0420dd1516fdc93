//! Processes that plugins have left behind end when the runner stops.

#![cfg(test)]

use std::path::Path;

use rustix::process::Signal;

use super::NEVER;
use crate::rig::{Rig, wait_until};

/// Leaves two processes in sessions of their own: one with a parent, one without. Both end on
/// SIGTERM.
const LEAVE: &str = "setsid sh -c 'echo $$ > pid.$MIG_PLUGIN.1; exec sleep 600' > /dev/null 2>&1 &\n\
    (setsid sh -c 'echo $$ > pid.$MIG_PLUGIN.2; exec sleep 600' > /dev/null 2>&1 &)\n\
    until test -s pid.$MIG_PLUGIN.1 && test -s pid.$MIG_PLUGIN.2; do sleep 0.01; done";

/// Returns whether a process that a plugin left behind is running.
fn is_running(rig: &Rig, name: &str) -> bool {
    Path::new("/proc").join(rig.plugin_file(name).trim()).join("exe").exists()
}

#[test]
fn leftover_processes_of_plugins_end_with_the_runner() {
    let rig = Rig::new();
    rig.plugin("done", LEAVE);
    rig.plugin("busy", &format!("{LEAVE}\ntrap '' TERM\ntouch busy.started\nsleep 600"));
    rig.job("job", &format!("{NEVER}\nexpiry = 2s\nplugin = done\nplugin = busy"));
    let runner = rig.runner();
    let _run = rig.trigger("job");
    wait_until("both plugins", || {
        rig.home("plugins/busy.started").exists() && rig.home("plugins/pid.done.2").exists()
    });
    runner.wait_logged("plugin finished", &[("plugin", "done"), ("outcome", "delivered")]);
    let names = ["pid.done.1", "pid.done.2", "pid.busy.1", "pid.busy.2"];
    for name in names {
        assert!(is_running(&rig, name), "{name} should be running");
    }
    runner.stop(Signal::TERM);
    for name in names {
        wait_until(name, || !is_running(&rig, name));
    }
}
