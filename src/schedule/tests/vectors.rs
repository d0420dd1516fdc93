//! What the original runner gave, and what is right where it was wrong.
use super::super::{Cron, zone};
use jiff::Timestamp;

#[derive(serde::Deserialize)]
struct File {
    vectors: Vec<Vector>,
    rejected: Vec<Rejected>,
}
#[derive(serde::Deserialize)]
struct Vector {
    expr: String,
    tz: String,
    from: Timestamp,
    next: Vec<String>,
    anomaly: Option<String>,
    design: Option<Vec<Timestamp>>,
}
#[derive(serde::Deserialize)]
struct Rejected {
    expr: String,
    error: String,
}

#[test]
fn quick() {
    let file: File =
        serde_json::from_str(include_str!("../../../tests/data/schedule/cron_next.json")).unwrap();
    let mut bad = 0;
    for v in &file.vectors {
        let zone = zone::find(&v.tz).unwrap();
        let expected: Vec<Timestamp> = match (&v.design, &v.anomaly) {
            (Some(d), _) => d.clone(),
            (None, None) => v.next.iter().map(|t| t.parse().unwrap()).collect(),
            _ => continue,
        };
        let cron: Cron = v.expr.parse().unwrap();
        let mut at = v.from;
        let mut got = vec![];
        for _ in 0..5 {
            let Some(n) = cron.next_after(at, &zone) else { break };
            got.push(n);
            at = n;
        }
        let zero: Timestamp = "0001-01-01T00:00:00Z".parse().unwrap();
        let expected: Vec<_> = expected.into_iter().filter(|t| *t != zero).collect();
        if got != expected {
            bad += 1;
            eprintln!("{} {} {} {got:?} {expected:?}", v.expr, v.tz, v.from);
        }
    }
    for r in &file.rejected {
        match r.expr.parse::<Cron>() {
            Ok(_) => {
                bad += 1;
                eprintln!("ACCEPTED {} {}", r.expr, r.error)
            }
            Err(e) => eprintln!("{:20} {e}", r.expr),
        }
    }
    assert_eq!(bad, 0);
}
