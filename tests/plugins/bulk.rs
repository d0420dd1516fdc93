//! mozdef and bulk requests: the answer's status is about the request, and each item has its own.

use std::fs;

use serde_json::{Value, json};

use super::bench::{Bench, Ended, answer, document};
use super::http::{Answer, Post, Server};

/// Returns an answer in the form of Elasticsearch, with an item for each status.
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

/// Returns a bench whose mozdef posts events to `server`, so many at once.
fn bench(server: &Server, batch: usize) -> Bench {
    let bench = Bench::new();
    let url = format!("http://127.0.0.1:{}/_bulk", server.port);
    bench.write("mozdef.conf", format!("[mozdef]\neventsurl = {url}\nbatch = {batch}\n"));
    bench
}

/// Returns the results of a run that has five events: four findings and the run itself.
fn five() -> String {
    document(&[answer(1, &["/a", "/b", "/c", "/d"])])
}

fn ids(post: &Post) -> Vec<String> {
    let id = |event: &Value| event["details"]["eventid"].as_str().unwrap().to_owned();
    post.events().iter().map(id).collect()
}

/// Returns how many files of notes are left.
fn notes(bench: &Bench) -> usize {
    fs::read_dir(bench.path("mozdef.sent")).unwrap().count()
}

#[track_caller]
fn check(ended: &Ended, status: i32, said: &[&str]) {
    assert_eq!(ended.status, status, "{ended:?}");
    for said in said {
        assert!(ended.stderr.contains(said), "{said}: {ended:?}");
    }
}

#[test]
fn an_item_that_is_refused_is_reported_and_the_others_are_taken() {
    let server = Server::new(&[items(&[201, 400, 201, 404, 200])]);
    let bench = bench(&server, 100);
    let ended = bench.run("mozdef", five());
    check(
        &ended,
        1,
        &[
            "mozdef: agent-1: file label found /b: item answered 400: because\\x1b 400",
            "mozdef: agent-1: file label found /d: item answered 404: because",
            "MozDef refused 2 events for good, 3 events taken",
        ],
    );
    let posts = server.take();
    assert_eq!(posts.len(), 1, "no event is posted twice");
    let all = ids(&posts[0]);
    assert_eq!(notes(&bench), 1);
    // The next attempt posts what was refused, and nothing that was taken.
    server.answer(&[items(&[201, 201])]);
    check(&bench.run("mozdef", five()), 0, &[]);
    let posts = server.take();
    assert_eq!(ids(&posts[0]), [all[1].clone(), all[3].clone()]);
    assert_eq!((posts.len(), notes(&bench)), (1, 0));
}

#[test]
fn an_item_that_may_be_taken_later_ends_the_attempt() {
    for status in [408, 429, 500, 503] {
        let server = Server::new(&[items(&[201, status, 400]), items(&[201, 201])]);
        let bench = bench(&server, 3);
        let ended = bench.run("mozdef", five());
        let later = format!(
            "MozDef did not take 1 of 3 events yet, the first: item answered {status}: because"
        );
        check(
            &ended,
            75,
            &[
                "agent-1: file label found /c: item answered 400",
                &later,
                "; 1 events refused for good, 1 taken",
            ],
        );
        let posts = server.take();
        assert_eq!(posts.len(), 1);
        let first = ids(&posts[0]);
        server.answer(&[items(&[201, 201, 201]), items(&[201])]);
        check(&bench.run("mozdef", five()), 0, &[]);
        let posts = server.take();
        assert_eq!(ids(&posts[0])[..2], first[1..]);
        assert_eq!(posts.iter().map(|post| post.events().len()).sum::<usize>(), 4);
    }
}

#[test]
fn a_bulk_of_which_all_is_refused_is_not_followed_by_others() {
    let server = Server::new(&[items(&[400; 50])]);
    let commands: Vec<_> = (0..1000).map(|id| answer(id, &["/a"])).collect();
    let ended = bench(&server, 50).run("mozdef", document(&commands));
    let told =
        "MozDef refuses too much: the rest is not posted; 50 events refused for good, 0 taken";
    check(&ended, 1, &[told]);
    assert_eq!(server.take().len(), 1);
    assert_eq!(ended.stderr.lines().count(), 22, "{}", ended.stderr);
}

#[test]
fn an_answer_that_does_not_say_what_was_taken_takes_nothing() {
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
        let bench = bench(&server, 100);
        let ended = bench.run("mozdef", five());
        check(&ended, 75, &["/_bulk does not say what it took: "]);
        assert_eq!(server.take().len(), 1, "{answer:?}");
        server.answer(&[items(&[201; 5])]);
        check(&bench.run("mozdef", five()), 0, &[]);
        assert_eq!(server.take()[0].events().len(), 5, "{answer:?}");
    }
}

#[test]
fn an_answer_without_items_is_about_all_of_them() {
    for body in ["", "OK", " \n", r#"{"took":1,"errors":false}"#, "[]"] {
        let server = Server::new(&[Answer::Body(body.to_owned())]);
        let bench = bench(&server, 100);
        check(&bench.run("mozdef", five()), 0, &[]);
        assert_eq!((server.take().len(), notes(&bench)), (1, 0), "{body:?}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_a_failure() {
    let bench = Bench::new();
    // A file may have no bytes: the write fails as it does on a full disk.
    let script = "trap '' XFSZ; ulimit -f 0; exec ./report.sh";
    let ended = super::bench::ended(&mut bench.shell_command(script, five().as_bytes()));
    assert_ne!(ended.status, 0, "{ended:?}");
    assert_eq!(fs::read_dir(bench.path("reports")).unwrap().count(), 0, "{ended:?}");
    check(&bench.run("report.sh", five()), 0, &[]);
}
