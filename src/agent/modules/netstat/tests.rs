//! The module in the network of the recordings, with its recorded tables, and on this host.

#![expect(clippy::disallowed_methods, reason = "tests create and read their own files")]

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::super::namespace::Network;
use super::super::testing::{self, reword};
use super::*;

fn run_with(parameters: &Value, proc: &Path) -> Value {
    let parameters: Box<RawValue> = serde_json::from_str(&parameters.to_string()).unwrap();
    let mut result = serde_json::to_value(run(&parameters, proc).unwrap()).unwrap();
    if let Some(took) = result["statistics"].get_mut("exectime") {
        assert!(took.take().as_str().unwrap().ends_with('s'));
    }
    result
}

fn run_here(parameters: &Value) -> Value {
    run_with(parameters, Path::new(PROC))
}

fn recordings() -> Vec<(String, Value)> {
    let mut recordings = testing::recordings("netstat");
    for (_, recording) in &mut recordings {
        if let Some(took) = recording["results"][0]["statistics"].get_mut("exectime") {
            took.take();
        }
    }
    recordings
}

fn elements(result: &mut Value) -> impl Iterator<Item = &mut Vec<Value>> {
    let kinds = result["elements"].as_object_mut().into_iter().flat_map(|kinds| kinds.values_mut());
    let texts = kinds.flat_map(|kind| kind.as_object_mut().unwrap().values_mut());
    texts.filter_map(Value::as_array_mut)
}

/// Sorts lists, because the kernel does not define the order of its tables.
fn comparable(mut result: Value) -> Value {
    elements(&mut result).for_each(|found| found.sort_by_key(Value::to_string));
    result
}

/// Corrects a recorded result where the original has a defect, and replaces the wording of errors.
fn correct(case: &str, expected: &mut Value) {
    match case {
        // A link without a hardware address does not match.
        "localmac-any-matches-loopback" => {
            expected["elements"]["localmac"][".*"].as_array_mut().unwrap().remove(0);
        }
        // The port of a connection is not listening.
        "listeningport-client-port" => {
            expected["elements"]["listeningport"]["41001"] = Value::Null;
            expected["foundanything"] = json!(false);
        }
        "listeningport-leading-zero-plus" | "several-searches" => {
            for found in expected["elements"]["listeningport"].as_object_mut().unwrap().values_mut()
            {
                found.as_array_mut().unwrap().truncate(1);
            }
        }
        "listeningport-notfound" => {
            *expected = json!({"foundanything": false, "success": false, "elements": null,
                "statistics": null, "errors": ["invalid port"]});
        }
        _ => {}
    }
    reword("netstat", case, &mut expected["errors"]);
    // The original does not count all hits.
    let hits: usize = elements(expected).map(|found| found.len()).sum();
    if expected["statistics"].is_object() {
        expected["statistics"]["totalhits"] = json!(hits);
    }
}

/// Keeps only hits in the namespace of `process`, under the name that it has in the recordings.
fn only_in(process: u32, result: &mut Value) {
    let name = std::fs::read_link(format!("/proc/{process}/ns/net")).unwrap();
    for found in elements(result) {
        found.retain(|element| {
            element["namespace"].is_null() || element["namespace"] == name.to_str().unwrap()
        });
        for element in found.iter_mut().filter(|element| element["namespace"].is_string()) {
            element["namespace"] = json!("net:[4026532179]");
        }
    }
    // They also count the other namespaces of this host.
    result["statistics"].take();
    remove_denied(result);
}

/// Removes the error for processes that cannot be read: some may deny access even to root.
fn remove_denied(result: &mut Value) {
    if let Some(errors) = result["errors"].as_array_mut() {
        errors.retain(|error| !error.as_str().unwrap().ends_with("processes of other users"));
        if errors.is_empty() {
            result["errors"] = Value::Null;
        }
    }
}

#[test]
fn results_equal_the_recordings_as_root() {
    let Some(network) = Network::new() else { return };
    let [process, _] = network.processes();
    let recordings = recordings();
    for (case, recording) in &recordings {
        let mut expected = recording["results"][0].clone();
        correct(case, &mut expected);
        let mut found = network.enter(|| run_here(&recording["parameters"]));
        if case == "api-localip-loopback" {
            // The recording host had another number of addresses.
            found["statistics"]["examined"] = json!(15);
        }
        if recording["parameters"]["namespaces"] == true {
            only_in(process, &mut found);
            expected["statistics"].take();
        }
        assert_eq!(comparable(found), comparable(expected), "{case}");
    }
    assert_eq!(recordings.len(), 30);
}

/// With the tables of the network in which the recordings were made.
#[test]
#[cfg(target_endian = "little")]
fn results_with_recorded_tables_equal_the_recordings() {
    let proc = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/modules/netstat-proc");
    let mut replayed = 0;
    for (case, recording) in recordings() {
        if (case.starts_with("connectedip-") || case.starts_with("listeningport-"))
            && recording["parameters"]["namespaces"].is_null()
        {
            let mut expected = recording["results"][0].clone();
            correct(&case, &mut expected);
            let found = run_with(&recording["parameters"], &proc);
            assert_eq!(comparable(found), comparable(expected), "{case}");
            replayed += 1;
        }
    }
    assert_eq!(replayed, 8);
}

#[test]
fn second_namespace_is_searched_as_root() {
    let Some(network) = Network::new() else { return };
    let [_, second] = network.processes();
    let name = std::fs::read_link(format!("/proc/{second}/ns/net")).unwrap();
    let ip = |arguments: &str| {
        let status = Command::new("nsenter")
            .arg(format!("--net=/proc/{second}/ns/net"))
            .arg("ip")
            .args(arguments.split(' '))
            .status();
        assert!(status.unwrap().success(), "ip {arguments}");
    };
    ip("link add d0 type veth peer name d1");
    ip("link set d1 up");
    ip("link set d0 up");
    ip("addr add 2001:db8:2::1/64 dev d0 nodad");
    ip("neigh add 2001:db8:2::2 lladdr 02:00:5e:00:00:22 dev d0 nud permanent");
    for namespaces in [true, false] {
        let parameters = json!({"listeningport": ["7099"], "neighborip": ["2001:db8:2::/64"],
            "neighbormac": ["^02:00:5E:00:00:22$"], "namespaces": namespaces});
        let mut result = run_here(&parameters);
        remove_denied(&mut result);
        assert_eq!(result["errors"], Value::Null);
        // Other tests may have networks with the same listeners at the same time.
        for found in elements(&mut result) {
            found.retain(|element| element["namespace"] == name.to_str().unwrap());
        }
        let found = |kind: &str, text: &str| result["elements"][kind][text].clone();
        let neighbour = json!([{"remotemacaddr": "02:00:5e:00:00:22",
            "remoteaddr": "2001:db8:2::2", "namespace": name.to_str().unwrap()}]);
        if namespaces {
            let listener = json!([{"localaddr": "127.0.0.1", "localport": 7099,
                "namespace": name.to_str().unwrap()}]);
            assert_eq!(found("listeningport", "7099"), listener);
            assert_eq!(found("neighborip", "2001:db8:2::/64"), neighbour);
            assert_eq!(found("neighbormac", "^02:00:5E:00:00:22$"), neighbour);
        } else {
            assert_eq!(found("listeningport", "7099"), Value::Null);
            assert_eq!(found("neighborip", "2001:db8:2::/64"), Value::Null);
        }
    }
}

/// A program that listens until its input ends.
const LISTEN: &str = "import socket, sys
s = socket.create_server(('0.0.0.0', 7098))
print(flush=True)
sys.stdin.read()";

#[test]
fn namespace_of_another_process_of_this_user_is_searched() {
    let mut holder = Command::new("unshare");
    holder.args(["--user", "--map-root-user", "--net", "python3", "-c", LISTEN]);
    holder.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut holder = crate::spawn::start(&mut holder).unwrap();
    let is_ready = holder.stdout.as_mut().unwrap().read_exact(&mut [0]).is_ok();
    if is_ready {
        let name = std::fs::read_link(format!("/proc/{}/ns/net", holder.id())).unwrap();
        let listeners = |namespaces: bool| {
            let result = run_here(&json!({"listeningport": ["7098"], "namespaces": namespaces}));
            result["elements"]["listeningport"]["7098"].clone()
        };
        let listener = json!([{"localaddr": "0.0.0.0", "localport": 7098,
            "namespace": name.to_str().unwrap()}]);
        assert_eq!((listeners(true), listeners(false)), (listener, Value::Null));
    } else {
        crate::testing::skip("this system does not allow namespaces to unprivileged users");
    }
    drop(holder.stdin.take());
    holder.wait().unwrap();
}

#[test]
fn ipv4_and_ipv6_neighbours_are_found_as_root() {
    let Some(network) = Network::new() else { return };
    let result = network.enter(|| {
        let status = Command::new("ip")
            .args("neigh add 2001:db8::9 lladdr 02:00:5e:00:00:09 dev m0 nud permanent".split(' '))
            .status();
        assert!(status.unwrap().success());
        run_here(&json!({"neighborip": ["::/0", "2001:db8:0::9"], "neighbormac": ["."]}))
    });
    let neighbour = json!([{"remotemacaddr": "02:00:5e:00:00:09", "remoteaddr": "2001:db8::9",
        "namespace": "default"}]);
    // Multicast groups are in the kernel's table too, but are not neighbours.
    assert_eq!(result["elements"]["neighborip"]["::/0"], neighbour);
    assert_eq!(result["elements"]["neighborip"]["2001:db8:0::9"], neighbour);
    assert_eq!(result["elements"]["neighbormac"]["."].as_array().unwrap().len(), 3);
    assert_eq!(result["statistics"]["totalhits"], 5);
}

#[test]
fn missing_and_damaged_tables_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let tables = folder.path().join("thread-self/net");
    std::fs::create_dir_all(&tables).unwrap();
    std::fs::write(tables.join("tcp"), "heading\n  0: nonsense\n").unwrap();
    let result =
        run_with(&json!({"listeningport": ["1"], "neighborip": ["192.0.2.1"]}), folder.path());
    let shown = tables.display();
    assert_eq!(result["success"], true);
    assert_eq!(
        result["errors"],
        json!([
            format!("cannot read {shown}/arp: No such file or directory (os error 2)"),
            format!("unexpected format in line 2 of {shown}/tcp"),
            format!("cannot read {shown}/udp: No such file or directory (os error 2)"),
        ])
    );
}

/// Returns the output of a tool of this host, by lines and words; `None` if it is not installed.
fn tool_output(program: &str, arguments: &[&str]) -> Option<Vec<Vec<String>>> {
    let Ok(output) = Command::new(program).args(arguments).output() else {
        crate::testing::skip(format_args!("this host has no {program}"));
        return None;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect())
}

#[test]
fn addresses_and_links_are_those_that_ip_lists() {
    let result = run_here(&json!({"localip": ["0.0.0.0/0", "::/0"], "localmac": ["."]}));
    let field = |kind: &str, text: &str, name: &str| -> BTreeSet<String> {
        let found = result["elements"][kind][text].as_array().cloned().unwrap_or_default();
        found.iter().map(|element| element[name].as_str().unwrap().to_owned()).collect()
    };
    if let Some(lines) = tool_output("ip", &["-o", "addr"]) {
        let addresses: BTreeSet<String> =
            lines.iter().map(|words| words[3].split('/').next().unwrap().to_owned()).collect();
        let mut found = field("localip", "0.0.0.0/0", "localaddr");
        found.append(&mut field("localip", "::/0", "localaddr"));
        assert_eq!(found, addresses);
    }
    if let Some(lines) = tool_output("ip", &["-o", "link"]) {
        let after = |words: &[String]| {
            let at = words.iter().position(|word| word == "link/ether")?;
            Some(words[at + 1].clone())
        };
        let macs: BTreeSet<String> = lines.iter().filter_map(|words| after(words)).collect();
        assert!(field("localmac", ".", "localmacaddr").is_superset(&macs));
    }
}

#[test]
fn listeners_and_connections_are_those_that_ss_lists() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let client_port = client.local_addr().unwrap().port();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp_port = udp.local_addr().unwrap().port();
    let ports: Vec<String> = [port, client_port, udp_port].map(|port| port.to_string()).into();
    let result = run_here(&json!({"listeningport": ports, "connectedip": ["127.0.0.1"]}));
    let listening = &result["elements"]["listeningport"];
    for (port, text) in [(port, &ports[0]), (udp_port, &ports[2])] {
        let expected = json!([{"localaddr": "127.0.0.1", "localport": port,
            "namespace": "default"}]);
        assert_eq!(listening[text], expected);
    }
    assert_eq!(listening[&ports[1]], Value::Null);
    let connection = json!({"localaddr": "127.0.0.1", "localport": client_port,
        "remoteaddr": "127.0.0.1", "remoteport": port, "namespace": "default"});
    let connected = result["elements"]["connectedip"]["127.0.0.1"].as_array().unwrap();
    assert!(connected.contains(&connection));
    let Some(lines) = tool_output("ss", &["-Hltn", &format!("sport = :{port}")]) else { return };
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0][3], format!("127.0.0.1:{port}"));
}

#[test]
fn neighbours_are_those_that_ip_lists() {
    let Some(lines) = tool_output("ip", &["neigh"]) else { return };
    let listed: BTreeSet<IpAddr> = lines.iter().map(|words| words[0].parse().unwrap()).collect();
    let result = run_here(&json!({"neighborip": ["0.0.0.0/0", "::/0"]}));
    let found: BTreeSet<IpAddr> = ["0.0.0.0/0", "::/0"]
        .iter()
        .flat_map(|text| {
            result["elements"]["neighborip"][text].as_array().cloned().unwrap_or_default()
        })
        .map(|element| element["remoteaddr"].as_str().unwrap().parse().unwrap())
        .collect();
    // The tool omits some states, and a neighbour may appear or disappear between the two listings.
    assert!(listed.difference(&found).count() <= 1, "{listed:?} {found:?}");
}

#[test]
fn result_has_only_the_requested_searches() {
    let nothing = PathBuf::from("/nosuch");
    let result = run_with(&Value::Null, &nothing);
    assert_eq!(result["elements"], json!({}));
    assert_eq!((&result["success"], &result["errors"]), (&json!(true), &Value::Null));
    // A repeated search term is searched once.
    let result = run_here(&json!({"localip": ["127.0.0.1", "127.0.0.1"]}));
    assert_eq!(result["statistics"]["totalhits"], 1);
}
