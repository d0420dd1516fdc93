//! mozdef: what was taken is not posted again, what was not is not forgotten.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::bench::{Bench, Ended, answer, command, document, ended, odd_commands, recorded};
use super::http::{Answer, Post, Server};

const TAKEN: &[Answer] = &[Answer::Status(200)];

/// Returns a bench whose mozdef posts to `server`.
fn bench(server: &Server, keys: &str) -> Bench {
    let bench = Bench::new();
    let url = format!("http://user:s%65cret@127.0.0.1:{}", server.port);
    bench.write("mozdef.conf", format!("[mozdef]\n{}\n", keys.replace("URL", &url)));
    bench
}

fn compliance(server: &Server) -> Bench {
    bench(server, "url = URL/custom/complianceitems\ntimeout = 500ms")
}

fn events(posts: &[Post]) -> Vec<Value> {
    posts.iter().flat_map(Post::events).collect()
}

fn ids(posts: &[Post]) -> Vec<String> {
    let id = |event: &Value| event["details"]["eventid"].as_str().unwrap().to_owned();
    events(posts).iter().map(id).collect()
}

#[track_caller]
fn check(ended: &Ended, status: i32, said: &str) {
    assert_eq!(ended.status, status, "{ended:?}");
    assert!(ended.stderr.contains(said), "{said}: {ended:?}");
    assert!(!format!("{ended:?}").contains("cret"), "{ended:?}");
}

#[test]
fn a_recorded_run_becomes_the_originals_items_and_events() {
    let server = Server::new(TAKEN);
    let bench = Bench::new();
    // As the original's documentation has it, and the key that is ours.
    let url = format!("http://127.0.0.1:{}", server.port);
    let config = format!(
        "[mig]\n\tapi = \"https://api.mig.example.net/\"\n[mozdef]\n\
         url = \"{url}/custom/complianceitems\"\neventsurl = {url}/_bulk\n\
         ; https://github.com/ameihm0912/vmintgr\n[vmintgr]\n\tbin = \"/opt/vmintgr/bin/grouptest\"\n"
    );
    bench.write("mozdef.conf", config);
    check(&bench.run("mozdef", recorded("passwd.json")), 0, "");
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
    let told: Vec<_> = events(&posts[1..]).iter().map(|event| event["summary"].clone()).collect();
    assert_eq!(told, ["vm: file s1 found /etc/passwd", "passwd: 1 findings on 1 of 1 agents"]);
    assert_eq!(fs::read_dir(bench.path("mozdef.sent")).unwrap().count(), 0);
}

#[test]
fn what_is_not_found_fails_and_an_operator_is_told() {
    let server = Server::new(TAKEN);
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
fn each_answer_of_the_server_means_something() {
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
        let bench = compliance(&server);
        check(&bench.run("mozdef", &text), status, said);
        let posts = server.take();
        assert_eq!(posts.len(), 1, "{answer:?}");
        assert!(posts[0].headers.contains("Authorization: Basic dXNlcjpzZWNyZXQ="));
        let left = fs::read_dir(bench.path("mozdef.sent")).unwrap().count();
        assert_eq!(left, usize::from(status != 0), "{answer:?}");
    }
    let bench = Bench::new();
    // No server listens on this port, and the system gives it to no test.
    bench.write("mozdef.conf", "[mozdef]\nurl = http://127.0.0.1:1/\n");
    check(&bench.run("mozdef", &text), 75, "no answer from");
}

#[test]
fn the_next_attempt_goes_on_where_the_last_one_stopped() {
    let server = Server::new(&[Answer::Status(200), Answer::Status(200), Answer::Status(503)]);
    let bench = compliance(&server);
    let text = document(&[answer(1, &["/a", "/b"]), answer(2, &["/c", "/d"])]);
    check(&bench.run("mozdef", &text), 75, "answered 503");
    let first = ids(&server.take());
    assert_eq!(first.len(), 3);
    server.answer(TAKEN);
    check(&bench.run("mozdef", &text), 0, "");
    let second = ids(&server.take());
    assert_eq!((second.len(), &second[0]), (2, &first[2]));
    assert_eq!(fs::read_dir(bench.path("mozdef.sent")).unwrap().count(), 0);
    check(&bench.run("mozdef", &text), 0, "");
    assert_eq!(ids(&server.take())[..3], first);
}

#[test]
fn events_are_posted_by_the_batch_and_one_that_is_refused_holds_no_other_back() {
    use Answer::Status;
    // The run's five events: a batch of three that is refused, its three one by one, the other two.
    let server = Server::new(&[Status(400), Status(200), Status(422), Status(200), Status(200)]);
    let bench = bench(&server, "eventsurl = URL/_bulk/\nbatch = 3");
    let text = document(&[answer(1, &["/a", "/b", "/c", "/d"])]);
    let ended = bench.run("mozdef", &text);
    check(&ended, 1, "mozdef: agent-1: file label found /b: http://127.0.0.1:");
    check(&ended, 1, "MozDef refused 1 events for good, 4 events taken");
    let posts = server.take();
    let sizes: Vec<_> = posts.iter().map(|post| post.events().len()).collect();
    assert_eq!(sizes, [3, 1, 1, 1, 2]);
    assert!(posts[0].body.starts_with("{\"index\":{}}\n{"));
    let refused = ids(&posts[2..3]);
    server.answer(TAKEN);
    check(&bench.run("mozdef", &text), 0, "");
    assert_eq!(ids(&server.take()), refused);
}

#[test]
fn a_server_that_refuses_all_is_not_asked_for_ever() {
    let server = Server::new(&[Answer::Status(400)]);
    let commands: Vec<_> = (0..10_000).map(|id| answer(id, &["/a"])).collect();
    let ended = compliance(&server).run("mozdef", document(&commands));
    check(&ended, 1, "MozDef refuses too much: the rest is not posted");
    assert_eq!(server.take().len(), 21);
}

#[test]
fn a_connection_that_the_server_closes_is_opened_again() {
    let server = Server::new(&[Answer::TakeAndClose]);
    let text = document(&[answer(1, &["/a", "/b", "/c"])]);
    check(&compliance(&server).run("mozdef", text), 0, "");
    let posts = ids(&server.take());
    assert_eq!(posts.len(), 3);
}

#[test]
fn ten_thousand_agents_and_what_one_of_them_says() {
    let server = Server::new(TAKEN);
    let bench =
        bench(&server, "url = URL/custom/complianceitems\neventsurl = URL/_bulk\nbatch = 500");
    let mut commands = odd_commands();
    commands.extend((0..10_000).map(|id| {
        if id % 10 == 0 { answer(id, &["/a"]) } else { command(id, "expired", &json!([])) }
    }));
    let ended_ = ended(
        &mut bench
            .shell_command("ulimit -v 163840 && exec ./mozdef", document(&commands).as_bytes()),
    );
    check(&ended_, 0, "");
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
fn a_proxy_is_asked() {
    let server = Server::new(TAKEN);
    let bench = Bench::new();
    let text = document(&[answer(1, &["/a"])]);
    let proxy = format!("http://p:q@127.0.0.1:{}", server.port);
    bench.write(
        "mozdef.conf",
        format!("[mozdef]\nurl = http://mozdef.invalid/x?y\nproxy = {proxy}\n"),
    );
    check(&bench.run("mozdef", &text), 0, "");
    let posts = server.take();
    assert_eq!(posts[0].target, "http://mozdef.invalid/x?y");
    assert!(posts[0].headers.contains("Proxy-Authorization: Basic cDpx"), "{posts:?}");
    assert!(posts[0].headers.contains("Host: mozdef.invalid\r\n"), "{posts:?}");
    bench.write("mozdef.conf", "[mozdef]\nurl = http://mozdef.invalid/x\n");
    check(&ended(bench.command("mozdef", text.as_bytes()).env("http_proxy", proxy)), 0, "");
    assert_eq!(server.take().len(), 1);
}

/// A TLS server of the system's OpenSSL, which is enough for the handshake.
#[test]
fn tls_is_verified() {
    let bench = Bench::new();
    let script = "exec 2>&1; openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem \
        -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1";
    let made = Command::new("/bin/sh").args(["-c", script]).current_dir(bench.path(".")).output();
    let made = made.unwrap();
    assert!(
        made.status.success(),
        "is openssl installed? {}",
        String::from_utf8_lossy(&made.stdout)
    );
    let server = "import http.server, ssl\n\
        class Taker(http.server.BaseHTTPRequestHandler):\n \
          def do_POST(self):\n  \
           self.rfile.read(int(self.headers['Content-Length']))\n  \
           self.send_response(200); self.end_headers()\n\
        s = http.server.HTTPServer(('127.0.0.1', 0), Taker)\n\
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain('cert.pem', 'key.pem')\n\
        s.socket = c.wrap_socket(s.socket, server_side=True)\n\
        print(s.server_port, flush=True); s.serve_forever()";
    let mut child = Command::new("python3")
        .args(["-c", server])
        .current_dir(bench.path("."))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut port = String::new();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut lines, &mut port).unwrap();
    let url = format!("[mozdef]\nurl = https://127.0.0.1:{}/x\n", port.trim());
    let text = document(&[answer(1, &["/a"])]);
    bench.write("mozdef.conf", &url);
    let distrusted = bench.run("mozdef", &text);
    bench.write("mozdef.conf", format!("{url}cacert = {}\n", bench.path("cert.pem").display()));
    let trusted = bench.run("mozdef", &text);
    child.kill().unwrap();
    child.wait().unwrap();
    check(&distrusted, 1, "is not trusted: ");
    check(&trusted, 0, "");
}

#[test]
fn faults_of_the_settings_are_told_with_their_lines() {
    let bench = Bench::new();
    bench.write(
        "mozdef.conf",
        "[mig]\napi = x\n[mozdef]\nurl = ftp://u:secret@x/\neventsurl = http://x:99999/\n\
         timeout = 5\nbatch = 0\ncert = x\n[vmintg]\n",
    );
    let ended = bench.run("mozdef", document(&[]));
    check(&ended, 1, "");
    let path = bench.path("mozdef.conf").display().to_string();
    let said: Vec<_> = ended.stderr.lines().map(|line| line.replace(&path, "FILE")).collect();
    assert_eq!(
        said,
        [
            "mozdef: FILE:4: url: this is no URL: write http://HOST:PORT/PATH or https://...",
            "mozdef: FILE:5: eventsurl: the port of this URL is no number up to 65535",
            "mozdef: FILE:6: timeout: 5 is no duration of at most a day: write 30s or 1m30s",
            "mozdef: FILE:7: batch: 0 is no number from 1 to 1000",
            "mozdef: FILE:8: unknown key cert: did you mean cacert?",
            "mozdef: FILE:9: unknown section vmintg: did you mean vmintgr?",
        ]
    );
    bench.write("mozdef.conf", "");
    check(&bench.run("mozdef", document(&[])), 1, "[mozdef] url or eventsurl is missing");
}
