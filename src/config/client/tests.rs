//! Tests of every key of `.migrc`, and of invalid files.

use proptest::prelude::*;

use super::super::testing::{any_file, is_reported, read_all};
use super::*;

fn parse(text: &str) -> ClientConfig {
    ClientConfig::parse(text.as_bytes(), Path::new("FILE")).unwrap()
}

#[test]
fn sample_files_are_accepted_or_rejected() {
    read_all("client", ClientConfig::parse);
}

#[test]
fn every_key_is_read() {
    let config = parse(include_str!("../../../tests/data/config/client/good-all.cfg"));
    assert_eq!(
        config.api,
        ApiSettings {
            url: "HTTPS://[::1]:1664/api/v1/".to_owned(),
            skip_verify: true,
            ca_cert: Some("ca.pem".into()),
            client_cert: Some("runner.pem".into()),
            client_key: Some("runner.key".into()),
        }
    );
    assert_eq!(
        config.gpg,
        GpgSettings {
            home: None,
            key_id: "E60892BB9BD89A69F759A1A0A3D652173B763E8F".to_owned(),
            keyserver: Some("http://pool.sks-keyservers.net".to_owned()),
            api_key: Some(Secret::from("hunter2".to_owned())),
        }
    );
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn target_macro_is_expanded() {
    let config = parse(include_str!("../../../tests/data/config/client/good-all.cfg"));
    assert_eq!(config.expand("all"), "status='online'");
    assert_eq!(config.expand("linux"), "environment->>'os' = 'linux' OR name ~* '^a:b'");
    assert_eq!(config.expand("forgotten"), "forgotten");
    assert_eq!(config.expand("name='all'"), "name='all'");
}

#[test]
fn invalid_url_is_rejected() {
    for bad in [
        "localhost",
        "://x",
        "http://",
        "http:///api",
        "http://:80/",
        "file:///etc",
        "http://a b/",
        "http://a/?x",
        "http://a/#x",
    ] {
        assert!(parse_url(bad).is_err(), "{bad}");
    }
    assert_eq!(parse_url("http://a"), Ok("http://a/".to_owned()));
}

const WORDS: &str = "[api] [gpg] [targets] url skipverifycert clientkey clientcert keyid \
     useapikeyauth macro";

proptest! {
    #[test]
    fn any_file_is_accepted_or_rejected_with_a_reason(text in any_file(WORDS)) {
        prop_assert!(is_reported(&ClientConfig::parse(text.as_bytes(), Path::new("FILE"))));
    }
}
