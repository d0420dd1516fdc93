//! One agent of a fleet answers with more than the runner stores.

#![expect(clippy::disallowed_methods, reason = "the test reads what the kernel reports")]

use std::fs;

use serde_json::{Value, json};

use super::NEVER;
use crate::rig::Rig;
use crate::rig::proxy::{Proxy, ProxyFault};

/// The size of the answer, in bytes.
const LARGE: usize = 70 << 20;
/// Memory limit of the runner, in KiB: a command of the largest size that is stored, twice, and the
/// rest of the program.
const MEMORY_KIB_MAX: u64 = 200 << 10;

/// Returns the largest amount of memory that a process has had, in KiB.
fn peak_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn large_answer_of_one_agent_does_not_hide_the_others() {
    let rig = Rig::new();
    let proxy = Proxy::start(&rig, &[("type=command", ProxyFault::Fleet(LARGE))]);
    rig.point_at(&proxy.address);
    rig.plugin("keep", "cat > document");
    rig.job("job", &format!("{NEVER}\nexpiry = 40s\nearlyresults = on\nplugin = keep"));
    let runner = rig.runner();
    let run = rig.trigger("job");
    let document = rig.wait_done(&run);
    proxy.wait_applied();

    // The document has all answers but one, and says which one is not there.
    let commands = document["commands"].as_array().unwrap();
    let is_large = |command: &&Value| command["toolarge"].is_object();
    let agent = |command: &Value| command["agent"]["name"].as_str().unwrap().to_owned();
    let mut others: Vec<String> =
        commands.iter().filter(|command| !is_large(command)).map(agent).collect();
    others.sort_unstable();
    let expected = ["1", "10", "2", "3", "4", "6", "7", "8", "9"];
    assert_eq!(others, expected.map(|number| format!("agent-{number}")));
    let large: Vec<&Value> = commands.iter().filter(is_large).collect();
    assert_eq!(large.len(), 1);
    let bytes = large[0]["toolarge"]["bytes"].as_u64().unwrap();
    assert!(bytes > LARGE as u64 && agent(large[0]) == "agent-5", "{}", large[0]);
    assert_eq!(large[0]["status"], "failed");

    // The plugin got the same document.
    let delivered: Value = serde_json::from_str(&rig.plugin_file("document")).unwrap();
    assert_eq!(delivered, document);

    // The record, the log and the commands name the agent.
    let record = rig.wait_in("command/done", &run);
    let summary = &record["summary"];
    assert_eq!((&summary["sent"], &summary["answered"]), (&json!(10), &json!(9)), "{record}");
    assert_eq!((&summary["too_large"], &summary["missing"]), (&json!(1), &json!(0)));
    assert_eq!(record["toolarge"], json!([{"agent": "agent-5", "bytes": bytes}]));
    let warnings = runner.logged(
        "answer too large; results of this agent not stored",
        &[("agent", "agent-5"), ("run", &run)],
    );
    assert_eq!((warnings.len(), &warnings[0]["bytes"]), (1, &json!(bytes)));
    let said = |arguments: &[&str]| {
        let output = rig.mig_runner("runner.cfg", arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let status = said(&["status"]);
    assert!(status.contains("answered 9") && status.contains("too large 1"), "{status}");
    let named = format!(
        "the answers of 1 agent are too large to be stored: agent-5 ({bytes} bytes); narrow \
         the action's operations for this agent"
    );
    assert!(status.contains(&named), "{status}");
    let results = said(&["results", "job"]);
    assert!(results.contains("agent-5 toolarge the answer has"), "{results}");
    assert!(results.contains("sent 10, answered 9"), "{results}");

    let peak = peak_kib(u32::try_from(runner.pid().as_raw_nonzero().get()).unwrap());
    println!("peak memory: {peak} KiB");
    assert!(peak < MEMORY_KIB_MAX, "{peak} KiB");
}
