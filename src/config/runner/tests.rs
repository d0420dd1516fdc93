//! Tests of every key of `runner.cfg`, and of invalid files.

use proptest::prelude::*;

use super::super::testing::{any_file, is_reported, read_all};
use super::*;

fn parse(text: &str) -> RunnerConfig {
    RunnerConfig::parse(text.as_bytes(), Path::new("FILE")).unwrap()
}

#[test]
fn sample_files_are_accepted_or_rejected() {
    read_all("runner", RunnerConfig::parse);
}

#[test]
fn only_directory_is_required() {
    let config = parse("[runner]\ndirectory = ./runner\n");
    assert_eq!(config.directory, Path::new("./runner"));
    assert_eq!(config.spool, Path::new("./runner/spool"));
    assert_eq!(config.check_span, seconds(30));
    assert_eq!(config.metrics, None);
    assert_eq!(
        config.client,
        ClientSettings {
            path: None,
            passphrase: None,
            delay_results: None,
            early_results: false,
            timeout: seconds(60),
            connect_timeout: seconds(10),
            settle: seconds(120),
            giveup: seconds(7 * 86_400),
            page_size: 250,
            pages: 2,
            parallel: 2,
        }
    );
    let (timeout, giveup) = (seconds(300), seconds(5 * 86_400));
    assert_eq!(config.plugins, PluginSettings { timeout, parallel: 4, giveup });
    let age = |days: u64| Keep::For(seconds(days * 86_400));
    let (done, invalid) = (age(30), age(90));
    assert_eq!(config.retention, RetentionSettings { done, invalid, results: Keep::All });
}

#[test]
fn every_key_is_read() {
    let config = parse(include_str!("../../../tests/data/config/runner/good-all.cfg"));
    assert_eq!(config.check_span, seconds(86_400));
    assert_eq!(config.spool, Path::new("/var/spool/mig"));
    assert_eq!(config.metrics.unwrap(), Path::new("/var/lib/node_exporter/mig-runner.prom"));
    assert_eq!(
        config.client,
        ClientSettings {
            path: Some("/etc/mig/migrc".into()),
            passphrase: Some(PassphraseSource::File("/etc/mig/passphrase".into())),
            delay_results: Some(Duration::ZERO),
            early_results: true,
            timeout: seconds(90),
            connect_timeout: Duration::from_millis(500),
            settle: seconds(35),
            giveup: seconds(3 * 86_400),
            page_size: 100,
            pages: 1,
            parallel: 8,
        }
    );
    let (timeout, giveup) = (seconds(3600), seconds(36 * 3600));
    assert_eq!(config.plugins, PluginSettings { timeout, parallel: 16, giveup });
    let results = Keep::For(seconds(365 * 86_400));
    let (done, invalid) = (Keep::Count(1000), Keep::All);
    assert_eq!(config.retention, RetentionSettings { done, invalid, results });
}

#[test]
fn passphrase_is_read_and_not_shown() {
    let text = "[runner]\ndirectory = /x\n[client]\npassphrase = \" hunter2\"\n";
    let config = parse(text);
    let secret = Secret::from(" hunter2".to_owned());
    assert_eq!(config.client.passphrase, Some(PassphraseSource::Inline(secret)));
    assert!(!format!("{config:?}").contains("hunter2"));
}

const WORDS: &str = "[runner] [logging] [client] [plugins] [retention] [metrics] directory \
     checkdirectory mode level port maxfilesize facility protocol host file \
     passphrase passphrasefile delayresults earlyresults settle giveup pagesize \
     timeout parallel done invalid textfile";

proptest! {
    #[test]
    fn any_file_is_accepted_or_rejected_with_a_reason(text in any_file(WORDS)) {
        prop_assert!(is_reported(&RunnerConfig::parse(text.as_bytes(), Path::new("FILE"))));
    }
}
