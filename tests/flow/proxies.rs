//! Proxies between the runner and the API.

#![cfg(test)]

use std::process::Command;

use rustix::process::Signal;

use super::NEVER;
use crate::rig::process::Process;
use crate::rig::proxy::Proxy;
use crate::rig::{Rig, wait_until};

/// A host name that no name server resolves.
const HOST: &str = "mig.invalid";

/// Returns a command of the runner whose environment has only these proxy variables.
fn command(rig: &Rig, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = rig.mig_runner("runner.cfg", arguments);
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUEST_METHOD"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command.envs(variables.iter().copied());
    command
}

/// Runs a command; returns its exit status and output.
fn run(mut command: Command) -> (i32, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[test]
fn runner_uses_the_proxy_and_check_names_it() {
    let mut rig = Rig::new();
    rig.name_platform(HOST);
    let proxy = Proxy::start(&rig, &[]);
    rig.point_at(HOST);
    rig.job("job", &format!("{NEVER}\nexpiry = 2s"));
    let value = format!("user:hunter2@{}", proxy.address);
    let through = [("http_proxy", value.as_str())];
    let (exit, text) = run(command(&rig, &["check"], &through));
    assert_eq!(exit, 0, "{text}");
    let message = format!("connected through the proxy http://{} of", proxy.address);
    assert!(text.contains(&message), "{text}");
    let runner = Process::start(command(&rig, &[], &through), &rig.path("logs"), "runner");
    let shown = format!("http://{}", proxy.address);
    runner.wait_logged("using a proxy", &[("proxy", &shown), ("variable", "http_proxy")]);
    let run = rig.trigger("job");
    rig.wait_done(&run);
    runner.stop(Signal::TERM);
    assert_eq!(proxy.requests("POST http://mig.invalid/api/v1/action/create/").len(), 1);
}

#[test]
fn invalid_proxy_is_a_configuration_error() {
    let mut rig = Rig::new();
    rig.name_platform("0.0.0.0");
    let cases = [
        ("http_proxy", "socks4://user:hunter2@proxy:1080", "of an unknown kind: write http://"),
        ("HTTP_PROXY", "htpp://user:hunter2@proxy:3128", "of an unknown kind: write http://"),
        ("all_proxy", "http://user:12/hunter2@proxy:1", "is not the URL of a proxy: write"),
    ];
    for (name, value, message) in cases {
        // 0.0.0.0 reaches this host, but does not count as local: a direct connection would find
        // the platform.
        rig.point_at(&rig.address.replace("127.0.0.1", "0.0.0.0"));
        for arguments in [&[][..], &["check"]] {
            let started = command(&rig, arguments, &[(name, value)]);
            let mut runner = Process::start(started, &rig.path("logs"), "runner");
            wait_until("its end", || runner.has_ended());
            let text = runner.output() + &runner.messages();
            let exit = runner.wait().code().unwrap();
            assert_eq!(exit, 78, "{name} {arguments:?}: {text}");
            assert!(text.contains(&format!("{name} ")) && text.contains(message), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
        // If no proxy is used, the value does not matter.
        let listed = [(name, value), ("no_proxy", "0.0.0.0/8")];
        let (exit, text) = run(command(&rig, &["check"], &listed));
        assert_eq!(exit, 0, "{text}");
        assert!(text.contains(&format!("despite {name}: no_proxy")), "{text}");
        rig.point_at(&rig.address);
        let (exit, text) = run(command(&rig, &["check"], &[(name, value)]));
        assert_eq!(exit, 0, "{text}");
        assert!(text.contains("it is on this host"), "{text}");
    }
    rig.point_at(&rig.address.replace("127.0.0.1", "0.0.0.0"));
    let cgi = [("HTTP_PROXY", "http://proxy"), ("REQUEST_METHOD", "GET")];
    let (exit, text) = run(command(&rig, &["check"], &cgi));
    assert_eq!(exit, 78, "{text}");
    assert!(text.contains("unset REQUEST_METHOD or HTTP_PROXY"), "{text}");
}
