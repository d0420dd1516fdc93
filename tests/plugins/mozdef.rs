//! mozdef: accepted events are not posted again, and others are not forgotten.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::http::{Answer, Post, Server};
use super::rig::{PluginRun, Rig, answer, command, document, odd_commands, recorded, run_to_end};

const ACCEPTED: &[Answer] = &[Answer::Status(200)];

/// Returns a directory whose mozdef posts to `server`.
fn rig(server: &Server, keys: &str) -> Rig {
    let rig = Rig::new();
    let url = format!("http://user:s%65cret@127.0.0.1:{}", server.port);
    rig.write("mozdef.conf", format!("[mozdef]\n{}\n", keys.replace("URL", &url)));
    rig
}

fn compliance(server: &Server) -> Rig {
    rig(server, "url = URL/custom/complianceitems\ntimeout = 500ms")
}

fn events(posts: &[Post]) -> Vec<Value> {
    posts.iter().flat_map(Post::events).collect()
}

fn ids(posts: &[Post]) -> Vec<String> {
    let id = |event: &Value| event["details"]["eventid"].as_str().unwrap().to_owned();
    events(posts).iter().map(id).collect()
}

#[track_caller]
fn check(output: &PluginRun, status: i32, text: &str) {
    assert_eq!(output.status, status, "{output:?}");
    assert!(output.stderr.contains(text), "{text}: {output:?}");
    assert!(!format!("{output:?}").contains("cret"), "{output:?}");
}

#[test]
fn recorded_run_becomes_the_items_of_the_original_and_events() {
    let server = Server::new(ACCEPTED);
    let rig = Rig::new();
    // As in the original's documentation, with eventsurl added.
    let url = format!("http://127.0.0.1:{}", server.port);
    let config = format!(
        "[mig]\n\tapi = \"https://api.mig.example.net/\"\n[mozdef]\n\
         url = \"{url}/custom/complianceitems\"\neventsurl = {url}/_bulk\n\
         ; https://github.com/ameihm0912/vmintgr\n[vmintgr]\n\tbin = \"/opt/vmintgr/bin/grouptest\"\n"
    );
    rig.write("mozdef.conf", config);
    check(&rig.run("mozdef", recorded("passwd.json")), 0, "");
    let posts = server.take();
    let targets: Vec<_> = posts.iter().map(|post| post.target.as_str()).collect();
    assert_eq!(targets, ["/custom/complianceitems", "/_bulk"]);
    let item = &events(&posts[..1])[0];
    let fields: Vec<_> = item.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        fields,
        [
            "category",
            "details",
            "hostname",
            "processid",
            "processname",
            "severity",
            "source",
            "summary",
            "tags",
            "timestamp"
        ]
    );
    assert_eq!(item["category"], "complianceitems");
    assert_eq!(item["summary"], "vm passes compliance with none");
    assert_eq!(item["tags"], json!(["mig", "compliance"]));
    let mut details = item["details"].clone();
    assert_eq!(details["eventid"].take().as_str().unwrap().len(), 32);
    assert_eq!(
        details,
        json!({"utctimestamp": "2026-11-22T00:56:04.375637Z", "target": "vm", "compliance": true,
            "link": "https://api.mig.example.net/command?commandid=28052718747840", "tags": {},
            "policy": {"name": "system", "url": "https://example.test/?a=1&b=2", "level": "info"},
            "check": {"ref": "none", "description": "mig-runner: passwd", "name": "s1",
                "location": "/etc/passwd",
                "test": {"type": "file", "value": "name='^passwd$' and content='^root:'"}},
            "eventid": null})
    );
    let summaries: Vec<_> = events(&posts[1..]).iter().map(|e| e["summary"].clone()).collect();
    assert_eq!(summaries, ["vm: file s1 found /etc/passwd", "passwd: 1 findings on 1 of 1 agents"]);
    assert_eq!(fs::read_dir(rig.path("mozdef.sent")).unwrap().count(), 0);
}

#[test]
fn missing_file_fails_compliance_and_operator_tag_is_kept() {
    let server = Server::new(ACCEPTED);
    let mut found: Value = serde_json::from_str(&answer(1, &["", "/a"])).unwrap();
    found["agent"]["tags"] = json!({"operator": "ops"});
    let text = document(&[found.to_string(), command(2, "expired", &Value::Null)]);
    check(&compliance(&server).run("mozdef", text), 0, "");
    let items = events(&server.take());
    let details: Vec<_> = items.iter().map(|item| &item["details"]).collect();
    assert_eq!(details.len(), 2);
    assert_eq!(details[0]["compliance"], false);
    assert_eq!(details[0]["check"]["location"], "/x, /y");
    assert_eq!(details[0]["check"]["test"]["value"], "name='^a$' and size='>1k'");
    assert_eq!(details[1]["check"]["location"], "/a");
    assert_eq!(details[1]["tags"], json!({"operator": "ops"}));
    assert_eq!(items[0]["summary"], "agent-1 fails compliance with r1");
}

#[test]
fn answers_decide_the_exit_status() {
    use Answer::{Close, Garbage, Hang, Status};
    let text = document(&[answer(1, &["/a"])]);
    for (answer, status, said) in [
        (Status(200), 0, ""),
        (Status(201), 0, ""),
        (Status(301), 1, "answered 301: be\\x1bcause"),
        (Status(400), 1, "answered 400"),
        (Status(401), 1, "answered 401"),
        (Status(404), 1, "/custom/complianceitems answered 404"),
        (Status(408), 75, "answered 408"),
        (Status(429), 75, "answered 429"),
        (Status(500), 75, "answered 500: be\\x1bcause"),
        (Status(503), 75, "answered 503"),
        (Close, 75, "no answer from http://127.0.0.1:"),
        (Garbage, 75, "no answer from http://127.0.0.1:"),
        (Hang, 75, "timed out after 0.5 s"),
    ] {
        let server = Server::new(std::slice::from_ref(&answer));
        let rig = compliance(&server);
        check(&rig.run("mozdef", &text), status, said);
        let posts = server.take();
        assert_eq!(posts.len(), 1, "{answer:?}");
        assert!(posts[0].headers.contains("Authorization: Basic dXNlcjpzZWNyZXQ="));
        let left = fs::read_dir(rig.path("mozdef.sent")).unwrap().count();
        assert_eq!(left, usize::from(status != 0), "{answer:?}");
    }
    let rig = Rig::new();
    // No server listens on this port, and the system assigns it to no test.
    rig.write("mozdef.conf", "[mozdef]\nurl = http://127.0.0.1:1/\n");
    check(&rig.run("mozdef", &text), 75, "no answer from");
}

#[test]
fn next_attempt_posts_only_events_not_yet_accepted() {
    let server = Server::new(&[Answer::Status(200), Answer::Status(200), Answer::Status(503)]);
    let rig = compliance(&server);
    let text = document(&[answer(1, &["/a", "/b"]), answer(2, &["/c", "/d"])]);
    check(&rig.run("mozdef", &text), 75, "answered 503");
    let first = ids(&server.take());
    assert_eq!(first.len(), 3);
    server.answer(ACCEPTED);
    check(&rig.run("mozdef", &text), 0, "");
    let second = ids(&server.take());
    assert_eq!((second.len(), &second[0]), (2, &first[2]));
    assert_eq!(fs::read_dir(rig.path("mozdef.sent")).unwrap().count(), 0);
    check(&rig.run("mozdef", &text), 0, "");
    assert_eq!(ids(&server.take())[..3], first);
}

#[test]
fn refused_batch_is_posted_event_by_event() {
    use Answer::Status;
    // The five events of the run: a batch of three that is refused, its three events one by one, the
    // other two.
    let server = Server::new(&[Status(400), Status(200), Status(422), Status(200), Status(200)]);
    let rig = rig(&server, "eventsurl = URL/_bulk/\nbatch = 3");
    let text = document(&[answer(1, &["/a", "/b", "/c", "/d"])]);
    let output = rig.run("mozdef", &text);
    check(&output, 1, "mozdef: agent-1: file label found /b: http://127.0.0.1:");
    check(&output, 1, "MozDef permanently refused 1 events; 4 events accepted");
    let posts = server.take();
    let sizes: Vec<_> = posts.iter().map(|post| post.events().len()).collect();
    assert_eq!(sizes, [3, 1, 1, 1, 2]);
    assert!(posts[0].body.starts_with("{\"index\":{}}\n{"));
    let refused = ids(&posts[2..3]);
    server.answer(ACCEPTED);
    check(&rig.run("mozdef", &text), 0, "");
    assert_eq!(ids(&server.take()), refused);
}

#[test]
fn posting_stops_if_the_server_refuses_everything() {
    let server = Server::new(&[Answer::Status(400)]);
    let commands: Vec<_> = (0..10_000).map(|id| answer(id, &["/a"])).collect();
    let output = compliance(&server).run("mozdef", document(&commands));
    check(&output, 1, "MozDef refused too many events; not posting the rest");
    assert_eq!(server.take().len(), 21);
}

#[test]
fn connection_closed_by_the_server_is_opened_again() {
    let server = Server::new(&[Answer::AcceptAndClose]);
    let text = document(&[answer(1, &["/a", "/b", "/c"])]);
    check(&compliance(&server).run("mozdef", text), 0, "");
    let posts = ids(&server.take());
    assert_eq!(posts.len(), 3);
}

#[test]
fn ten_thousand_agents_with_odd_answers_are_posted() {
    let server = Server::new(ACCEPTED);
    let rig = rig(&server, "url = URL/custom/complianceitems\neventsurl = URL/_bulk\nbatch = 500");
    let mut commands = odd_commands();
    commands.extend((0..10_000).map(|id| {
        if id % 10 == 0 { answer(id, &["/a"]) } else { command(id, "expired", &json!([])) }
    }));
    let output = run_to_end(
        &mut rig.shell_command("ulimit -v 163840 && exec ./mozdef", document(&commands).as_bytes()),
    );
    check(&output, 0, "");
    let posts = server.take();
    let (mut seen, total) = (ids(&posts), events(&posts).len());
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), total);
    let expired =
        events(&posts).iter().filter(|event| event["details"]["status"] == "expired").count();
    assert_eq!(expired, 9000);
    assert!(posts.iter().any(|post| post.events().len() == 500));
}

#[test]
fn proxy_is_used() {
    let server = Server::new(ACCEPTED);
    let rig = Rig::new();
    let text = document(&[answer(1, &["/a"])]);
    let proxy = format!("http://p:q@127.0.0.1:{}", server.port);
    rig.write(
        "mozdef.conf",
        format!("[mozdef]\nurl = http://mozdef.invalid/x?y\nproxy = {proxy}\n"),
    );
    check(&rig.run("mozdef", &text), 0, "");
    let posts = server.take();
    assert_eq!(posts[0].target, "http://mozdef.invalid/x?y");
    assert!(posts[0].headers.contains("Proxy-Authorization: Basic cDpx"), "{posts:?}");
    assert!(posts[0].headers.contains("Host: mozdef.invalid\r\n"), "{posts:?}");
    rig.write("mozdef.conf", "[mozdef]\nurl = http://mozdef.invalid/x\n");
    check(&run_to_end(rig.command("mozdef", text.as_bytes()).env("http_proxy", proxy)), 0, "");
    assert_eq!(server.take().len(), 1);
}

/// Uses a TLS server of Python, with a certificate made by OpenSSL.
#[test]
fn tls_certificates_are_verified() {
    let rig = Rig::new();
    let script = "exec 2>&1; openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem \
        -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1";
    let made = Command::new("/bin/sh").args(["-c", script]).current_dir(rig.path(".")).output();
    let made = made.unwrap();
    assert!(
        made.status.success(),
        "is openssl installed? {}",
        String::from_utf8_lossy(&made.stdout)
    );
    let server = "import http.server, ssl\n\
        class Acceptor(http.server.BaseHTTPRequestHandler):\n \
          def do_POST(self):\n  \
           self.rfile.read(int(self.headers['Content-Length']))\n  \
           self.send_response(200); self.end_headers()\n\
        s = http.server.HTTPServer(('127.0.0.1', 0), Acceptor)\n\
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain('cert.pem', 'key.pem')\n\
        s.socket = c.wrap_socket(s.socket, server_side=True)\n\
        print(s.server_port, flush=True); s.serve_forever()";
    let mut child = Command::new("python3")
        .args(["-c", server])
        .current_dir(rig.path("."))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut port = String::new();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut lines, &mut port).unwrap();
    let url = format!("[mozdef]\nurl = https://127.0.0.1:{}/x\n", port.trim());
    let text = document(&[answer(1, &["/a"])]);
    rig.write("mozdef.conf", &url);
    let distrusted = rig.run("mozdef", &text);
    rig.write("mozdef.conf", format!("{url}cacert = {}\n", rig.path("cert.pem").display()));
    let trusted = rig.run("mozdef", &text);
    child.kill().unwrap();
    child.wait().unwrap();
    check(&distrusted, 1, "is not trusted: ");
    check(&trusted, 0, "");
}

#[test]
fn settings_faults_name_their_lines() {
    let rig = Rig::new();
    rig.write(
        "mozdef.conf",
        "[mig]\napi = x\n[mozdef]\nurl = ftp://u:secret@x/\neventsurl = http://x:99999/\n\
         timeout = 5\nbatch = 0\ncert = x\n[vmintg]\n",
    );
    let output = rig.run("mozdef", document(&[]));
    check(&output, 1, "");
    let path = rig.path("mozdef.conf").display().to_string();
    let lines: Vec<_> = output.stderr.lines().map(|line| line.replace(&path, "FILE")).collect();
    assert_eq!(
        lines,
        [
            "mozdef: FILE:4: url: not a URL: write http://HOST:PORT/PATH or https://...",
            "mozdef: FILE:5: eventsurl: the port of the URL is not a number up to 65535",
            "mozdef: FILE:6: timeout: 5 is not a duration up to a day: write 30s or 1m30s",
            "mozdef: FILE:7: batch: 0 is not a number from 1 to 1000",
            "mozdef: FILE:8: unknown key cert: did you mean cacert?",
            "mozdef: FILE:9: unknown section vmintg: did you mean vmintgr?",
        ]
    );
    rig.write("mozdef.conf", "");
    check(&rig.run("mozdef", document(&[])), 1, "[mozdef] url or eventsurl is missing");
}
