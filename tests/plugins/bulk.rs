//! Bulk requests of mozdef: the answer's status is for the request, and each item has its own.

use std::fs;

use serde_json::{Value, json};

use super::http::{Answer, Post, Server};
use super::rig::{PluginRun, Rig, answer, document};

/// Returns an answer like Elasticsearch's, with an item for each status.
fn items(statuses: &[u16]) -> Answer {
    let item = |status: &u16| match status {
        200..300 => json!({"index": {"_index": "events", "_id": "x", "status": status}}),
        _ => json!({"index": {"status": status, "error": {
            "type": "mapper_parsing_exception", "reason": format!("because\u{1b} {status}")}}}),
    };
    let errors = statuses.iter().any(|status| *status >= 300);
    let items: Vec<Value> = statuses.iter().map(item).collect();
    Answer::Body(json!({"took": 3, "errors": errors, "items": items}).to_string())
}

/// Returns a directory whose mozdef posts `batch` events at a time to `server`.
fn rig(server: &Server, batch: usize) -> Rig {
    let rig = Rig::new();
    let url = format!("http://127.0.0.1:{}/_bulk", server.port);
    rig.write("mozdef.conf", format!("[mozdef]\neventsurl = {url}\nbatch = {batch}\n"));
    rig
}

/// Returns the results of a run with five events: four findings and the run itself.
fn five() -> String {
    document(&[answer(1, &["/a", "/b", "/c", "/d"])])
}

fn ids(post: &Post) -> Vec<String> {
    let id = |event: &Value| event["details"]["eventid"].as_str().unwrap().to_owned();
    post.events().iter().map(id).collect()
}

/// Returns the number of records of accepted events.
fn records(rig: &Rig) -> usize {
    fs::read_dir(rig.path("mozdef.sent")).unwrap().count()
}

#[track_caller]
fn check(output: &PluginRun, status: i32, texts: &[&str]) {
    assert_eq!(output.status, status, "{output:?}");
    for text in texts {
        assert!(output.stderr.contains(text), "{text}: {output:?}");
    }
}

#[test]
fn refused_item_is_reported_and_others_are_accepted() {
    let server = Server::new(&[items(&[201, 400, 201, 404, 200])]);
    let rig = rig(&server, 100);
    let output = rig.run("mozdef", five());
    check(
        &output,
        1,
        &[
            "mozdef: agent-1: file label found /b: item answered 400: because\\x1b 400",
            "mozdef: agent-1: file label found /d: item answered 404: because",
            "MozDef permanently refused 2 events; 3 events accepted",
        ],
    );
    let posts = server.take();
    assert_eq!(posts.len(), 1, "no event is posted twice");
    let all = ids(&posts[0]);
    assert_eq!(records(&rig), 1);
    // The next attempt posts only the refused events.
    server.answer(&[items(&[201, 201])]);
    check(&rig.run("mozdef", five()), 0, &[]);
    let posts = server.take();
    assert_eq!(ids(&posts[0]), [all[1].clone(), all[3].clone()]);
    assert_eq!((posts.len(), records(&rig)), (1, 0));
}

#[test]
fn temporarily_refused_item_ends_the_attempt() {
    for status in [408, 429, 500, 503] {
        let server = Server::new(&[items(&[201, status, 400]), items(&[201, 201])]);
        let rig = rig(&server, 3);
        let output = rig.run("mozdef", five());
        let later = format!(
            "MozDef has not accepted 1 of 3 events yet; first error: item answered {status}: because"
        );
        check(
            &output,
            75,
            &[
                "agent-1: file label found /c: item answered 400",
                &later,
                "; 1 events permanently refused, 1 accepted",
            ],
        );
        let posts = server.take();
        assert_eq!(posts.len(), 1);
        let first = ids(&posts[0]);
        server.answer(&[items(&[201, 201, 201]), items(&[201])]);
        check(&rig.run("mozdef", five()), 0, &[]);
        let posts = server.take();
        assert_eq!(ids(&posts[0])[..2], first[1..]);
        assert_eq!(posts.iter().map(|post| post.events().len()).sum::<usize>(), 4);
    }
}

#[test]
fn posting_stops_after_a_bulk_that_is_refused_entirely() {
    let server = Server::new(&[items(&[400; 50])]);
    let commands: Vec<_> = (0..1000).map(|id| answer(id, &["/a"])).collect();
    let output = rig(&server, 50).run("mozdef", document(&commands));
    let text = "MozDef refused too many events; not posting the rest; \
                50 events permanently refused, 0 accepted";
    check(&output, 1, &[text]);
    assert_eq!(server.take().len(), 1);
    assert_eq!(output.stderr.lines().count(), 22, "{}", output.stderr);
}

#[test]
fn answer_that_cannot_be_read_accepts_nothing() {
    let too_few = items(&[201]);
    let long = format!("{{\"items\":[],\"x\":\"{}\"}}", "x".repeat(1 << 18));
    let deep = format!("{{\"items\":{}", "[".repeat(100_000));
    for answer in [
        too_few,
        Answer::Body(r#"{"errors":true}"#.to_owned()),
        Answer::Body(r#"{"errors":true,"items":null}"#.to_owned()),
        Answer::Body(r#"{"errors":false,"items":{}}"#.to_owned()),
        Answer::Body(r#"{"errors":false,"items":[1,{},{"index":3},{"index":{}},null]}"#.to_owned()),
        Answer::Body(r#"{"items":["#.to_owned()),
        Answer::Body(long),
        Answer::Body(deep),
        Answer::Cut("", 10),
        Answer::Cut(r#"{"errors":false"#, 10),
    ] {
        let server = Server::new(std::slice::from_ref(&answer));
        let rig = rig(&server, 100);
        let output = rig.run("mozdef", five());
        check(&output, 75, &["/_bulk did not report which events it accepted: "]);
        assert_eq!(server.take().len(), 1, "{answer:?}");
        server.answer(&[items(&[201; 5])]);
        check(&rig.run("mozdef", five()), 0, &[]);
        assert_eq!(server.take()[0].events().len(), 5, "{answer:?}");
    }
}

#[test]
fn answer_without_items_applies_to_all_events() {
    for body in ["", "OK", " \n", r#"{"took":1,"errors":false}"#, "[]"] {
        let server = Server::new(&[Answer::Body(body.to_owned())]);
        let rig = rig(&server, 100);
        check(&rig.run("mozdef", five()), 0, &[]);
        assert_eq!((server.take().len(), records(&rig)), (1, 0), "{body:?}");
    }
}

#[test]
fn report_that_cannot_be_written_is_a_failure() {
    let rig = Rig::new();
    // A limit of zero bytes makes writes fail as on a full disk.
    let script = "trap '' XFSZ; ulimit -f 0; exec ./report.sh";
    let output = super::rig::run_to_end(&mut rig.shell_command(script, five().as_bytes()));
    assert_ne!(output.status, 0, "{output:?}");
    assert_eq!(fs::read_dir(rig.path("reports")).unwrap().count(), 0, "{output:?}");
    check(&rig.run("report.sh", five()), 0, &[]);
}
