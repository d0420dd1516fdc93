//! The text that Prometheus reads.

#![expect(clippy::disallowed_methods, reason = "tests read the written file")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn sample(path: PathBuf) -> (Metrics, Vec<FolderLevel>) {
    let mut metrics = Metrics::new(path, at("2026-11-22T12:00:00Z"));
    let (job, plugin) = ("setuid".parse().unwrap(), "report.sh".parse().unwrap());
    metrics.launched(&job);
    metrics.posted("accepted");
    metrics.retried("post");
    metrics.superseded(&job);
    metrics.fetched(Duration::from_millis(1500));
    metrics.delivered(&plugin, "delivered", Duration::from_millis(250));
    metrics.stored(&Summary { sent: 3, answered: 2, expired: 1, ..Summary::default() });
    metrics.succeeded(&job, at("2026-11-22T12:00:30Z"));
    metrics.succeeded(&job, at("2026-11-22T12:00:10Z"));
    let oldest = Some(at("2026-11-22T11:59:00Z"));
    let levels = vec![
        FolderLevel { folder: "action/new", entries: 2, oldest },
        FolderLevel { folder: "command/done", entries: 0, oldest: None },
    ];
    (metrics, levels)
}

#[test]
fn metrics_have_their_documented_names_and_units() {
    let (metrics, levels) = sample("unused".into());
    let text = metrics.text(&levels, true, at("2026-11-22T12:00:00Z"));
    for line in [
        "mig_runner_build_info{version=\"0.1.0\"} 1",
        "mig_runner_start_time_seconds 1795348800",
        "mig_runner_api_up 1",
        "mig_runner_spool_entries{folder=\"action/new\"} 2",
        "mig_runner_spool_oldest_age_seconds{folder=\"action/new\"} 60",
        "mig_runner_spool_oldest_age_seconds{folder=\"command/done\"} 0",
        "mig_runner_launches_total{job=\"setuid\"} 1",
        "mig_runner_superseded_total{job=\"setuid\"} 1",
        "mig_runner_posts_total{outcome=\"accepted\"} 1",
        "mig_runner_posts_total{outcome=\"unknown\"} 0",
        "mig_runner_retries_total{work=\"post\"} 1",
        "mig_runner_fetch_duration_seconds_sum 1.5",
        "mig_runner_fetch_duration_seconds_count 1",
        "mig_runner_delivery_duration_seconds_sum{plugin=\"report.sh\"} 0.25",
        "mig_runner_deliveries_total{plugin=\"report.sh\",outcome=\"delivered\"} 1",
        "mig_runner_results_total{status=\"expired\"} 1",
        "mig_runner_last_success_timestamp_seconds{job=\"setuid\"} 1795348830",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
    }
    // The manual documents each of them.
    let page = include_str!("../../man/mig-runner.8");
    let named = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    for name in named.filter_map(|line| line.split(' ').next()) {
        assert!(page.contains(&format!(".It Cm {name}")), "{name} is not in the manual");
    }
}

#[test]
fn promtool_accepts_the_text() {
    if std::env::var_os("MIG_TEST_FULL").is_none() {
        return;
    }
    let (metrics, levels) = sample("unused".into());
    let text = metrics.text(&levels, false, at("2026-11-22T12:00:00Z"));
    let mut tool = Command::new("promtool");
    let tool = tool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = tool.stderr(Stdio::piped()).spawn().expect("promtool: .ci/packages full");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let said = child.wait_with_output().unwrap();
    assert!(said.status.success(), "{said:?}\n{text}");
    assert!(said.stderr.is_empty() && said.stdout.is_empty(), "{said:?}");
}

#[test]
fn file_is_written_soon_after_a_change_and_once_a_minute() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mig-runner.prom");
    let (mut metrics, levels) = sample(path.clone());
    let now = at("2026-11-22T12:00:00Z");
    assert!(metrics.is_due(now));
    metrics.write(&levels, true, now).unwrap();
    assert!(std::fs::read_to_string(&path).unwrap().ends_with("} 1795348830\n"));
    assert_eq!(metrics.due(), at("2026-11-22T12:01:00Z"));
    metrics.posted("unknown");
    assert_eq!(metrics.due(), at("2026-11-22T12:00:15Z"));
    assert!(!metrics.is_due(at("2026-11-22T12:00:14Z")));
    // A write is due after the clock was set back.
    assert!(metrics.is_due(at("2026-11-22T11:00:00Z")));
}
