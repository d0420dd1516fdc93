//! Tests of the client against a server with self-signed certificates.
//!
//! The system's `openssl` creates the certificates and is the server. The tests are skipped where
//! it is not installed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{client_with, settings};
use crate::api::settings::{Certificates, ClientIdentity, Pem};
use crate::api::{Api, ApiError, Dashboard, HttpSettings, SettingsError};

const ANSWER: &str = concat!(
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n",
    r#"{"collection":{"items":[{"data":[{"name":"online agents","value":6}]}]}}"#
);

/// A server that ends with its test.
pub(super) struct Tls {
    child: Child,
    pub(super) url: String,
}

impl Drop for Tls {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn openssl(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Creates a self-signed certificate, `NAME.pem`, and its key, `NAME.key`.
fn create_certificate(folder: &Path, name: &str, extra: &str) {
    let command = openssl(
        folder,
        &format!(
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -keyout {name}.key -out {name}.pem{extra}"
        ),
    );
    assert!({ command }.status().unwrap().success());
}

/// Starts a server in `folder`; returns `None` if `openssl` is not installed.
#[expect(clippy::disallowed_methods, reason = "what test fixtures are not files of the runner")]
pub(super) fn start(folder: &Path, extra: &str) -> Option<Tls> {
    openssl(folder, "version").status().ok()?;
    create_certificate(folder, "server", " -addext subjectAltName=IP:127.0.0.1,DNS:mig.invalid");
    create_certificate(folder, "client", "");
    create_certificate(folder, "other", "");
    std::fs::create_dir_all(folder.join("api")).unwrap();
    std::fs::write(folder.join("api/dashboard"), ANSWER).unwrap();
    let serve =
        format!("s_server -accept 127.0.0.1:0 -cert server.pem -key server.key -HTTP{extra}");
    let mut child = crate::spawn::start(&mut openssl(folder, &serve)).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port =
        lines.find_map(|line| Some(line.unwrap().strip_prefix("ACCEPT 127.0.0.1:")?.to_owned()));
    // The server prints a line for each request, which must be read.
    std::thread::spawn(move || lines.for_each(drop));
    Some(Tls { url: format!("https://127.0.0.1:{}/api/", port.unwrap()), child })
}

pub(super) fn pem(folder: &Path, name: &str) -> Pem {
    Pem::read(&folder.join(name)).unwrap()
}

fn dashboard(
    tls: &Tls,
    certificates: Certificates,
    identity: Option<ClientIdentity>,
) -> Result<Dashboard, ApiError> {
    client_with(HttpSettings { certificates, identity, ..settings(&tls.url) }).dashboard()
}

#[test]
fn server_certificate_is_checked_against_the_ca_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let Some(tls) = start(folder, "") else { return eprintln!("no openssl: nothing was tested") };
    let seen = Dashboard { agents_online: Some(6) };
    let with = |name| Certificates::With(pem(folder, name));
    assert_eq!(dashboard(&tls, with("server.pem"), None).unwrap(), seen);
    assert_eq!(dashboard(&tls, Certificates::Unchecked, None).unwrap(), seen);
    for certificates in [Certificates::System, with("other.pem")] {
        let error = dashboard(&tls, certificates, None).unwrap_err();
        assert!(matches!(error, ApiError::Connect { .. }), "{error:?}");
        let text = crate::chain::Chain(&error).to_string();
        assert!(text.contains("certificate"), "{text}");
    }
}

#[test]
fn client_certificate_is_sent_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let ask = " -Verify 1 -verify_return_error -CAfile client.pem";
    let Some(tls) = start(folder, ask) else { return eprintln!("no openssl: nothing was tested") };
    let with = || Certificates::With(pem(folder, "server.pem"));
    let identity = |key| {
        let (certificate, key) = (pem(folder, "client.pem"), pem(folder, key));
        Some(ClientIdentity { certificate, key })
    };
    assert!(dashboard(&tls, with(), identity("client.key")).is_ok());
    assert!(dashboard(&tls, with(), None).is_err());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test breaks files on purpose")]
fn invalid_certificate_is_rejected_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.pem");
    std::fs::write(&path, "nonsense").unwrap();
    let error_with = |certificates, identity| {
        let settings = HttpSettings { certificates, identity, ..settings("https://h/") };
        crate::api::settings::http(&settings).unwrap_err()
    };
    let read = || Pem::read(&path).unwrap();
    let error = error_with(Certificates::With(read()), None);
    assert!(matches!(error, SettingsError::NoCertificate { .. }), "{error:?}");
    assert!(error.to_string().contains("empty.pem"));
    let identity = ClientIdentity { certificate: read(), key: read() };
    let error = error_with(Certificates::System, Some(identity));
    assert!(error.to_string().contains("PKCS#8") && error.to_string().contains("empty.pem"));
    assert!(Pem::read(&folder.path().join("none.pem")).is_err());
}
