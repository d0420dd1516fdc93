//! Tests of the client through proxies on loopback: HTTP, a CONNECT tunnel, and SOCKS 5.
//!
//! No name service knows the API's name. So each test also shows that the client neither resolves
//! the name nor connects directly.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::tls::{pem, start};
use super::{Server, client_with, settings};
use crate::api::proxy::{Variable, Variables};
use crate::api::settings::Certificates;
use crate::api::testing::Reply;
use crate::api::{Api, ApiError, HttpSettings, Route};

/// The URL of an API that only a proxy can reach.
const API: &str = "http://mig.invalid/api/v1/";
const DASHBOARD: &str =
    r#"{"collection":{"items":[{"data":[{"name":"online agents","value":6}]}]}}"#;

/// A proxy that connects every client to one address, and records the requests.
struct Proxy {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Starts a proxy; `serve` reads and answers a client's request.
    fn start(upstream: String, serve: Serve) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&requests);
        // The thread ends with the test process; it owns nothing that must be closed.
        thread::spawn(move || {
            for client in listener.incoming() {
                let (mut client, notes, upstream) =
                    (client.unwrap(), Arc::clone(&notes), upstream.clone());
                thread::spawn(move || {
                    let ProxyRequest { note, pass_on } = serve(&mut client)?;
                    notes.lock().unwrap().push(note);
                    let mut server = TcpStream::connect(upstream)?;
                    server.write_all(&pass_on)?;
                    let (mut from_client, mut to_server) =
                        (client.try_clone()?, server.try_clone()?);
                    thread::spawn(move || {
                        io::copy(&mut from_client, &mut to_server).ok();
                        to_server.shutdown(Shutdown::Write).ok();
                    });
                    io::copy(&mut server, &mut client)?;
                    client.shutdown(Shutdown::Both)
                });
            }
        });
        Proxy { address, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Reads and answers a client's request to the proxy.
type Serve = fn(&mut TcpStream) -> io::Result<ProxyRequest>;

/// A client's request to a proxy.
struct ProxyRequest {
    note: String,
    /// The bytes to send to the server first.
    pass_on: Vec<u8>,
}

fn head(client: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(take(client, 1)?);
    }
    Ok(String::from_utf8(head).unwrap())
}

fn take(client: &mut TcpStream, bytes: usize) -> io::Result<Vec<u8>> {
    let mut taken = vec![0; bytes];
    client.read_exact(&mut taken)?;
    Ok(taken)
}

fn text(client: &mut TcpStream) -> io::Result<String> {
    let length = take(client, 1)?[0];
    Ok(String::from_utf8(take(client, length.into())?).unwrap())
}

/// Records the first line and the credentials; passes everything on to the server.
fn http(client: &mut TcpStream) -> io::Result<ProxyRequest> {
    let head = head(client)?;
    Ok(ProxyRequest { note: note(&head), pass_on: head.into_bytes() })
}

fn connect(client: &mut TcpStream) -> io::Result<ProxyRequest> {
    let head = head(client)?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    Ok(ProxyRequest { note: note(&head), pass_on: Vec::new() })
}

fn note(head: &str) -> String {
    let is_pass = |line: &&str| line.to_ascii_lowercase().starts_with("proxy-authorization");
    let pass = head.lines().find(is_pass).and_then(|line| line.split_once(' '));
    format!("{} {}", head.lines().next().unwrap(), pass.map_or("-", |(_, pass)| pass))
}

/// Implements SOCKS 5 as in RFC 1928 and RFC 1929.
fn socks(client: &mut TcpStream) -> io::Result<ProxyRequest> {
    assert_eq!(take(client, 1)?, [5]);
    let methods = text(client)?;
    let mut note = String::new();
    if methods.contains('\u{2}') {
        client.write_all(&[5, 2])?;
        assert_eq!(take(client, 1)?, [1]);
        note = format!("{}:{} ", text(client)?, text(client)?);
        client.write_all(&[1, 0])?;
    } else {
        client.write_all(&[5, 0])?;
    }
    // Version, CONNECT, reserved, and the address type of a name.
    assert_eq!(take(client, 4)?, [5, 1, 0, 3]);
    let name = text(client)?;
    let port = take(client, 2)?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    note += &format!("{name}:{}", u16::from_be_bytes([port[0], port[1]]));
    Ok(ProxyRequest { note, pass_on: Vec::new() })
}

/// Returns an environment with only this variable.
fn set(name: &'static str, value: impl AsRef<OsStr>) -> Variables {
    let variable = Some(Variable { name, value: value.as_ref().to_owned() });
    match name {
        "http_proxy" => Variables { http: variable, ..Variables::default() },
        "https_proxy" => Variables { https: variable, ..Variables::default() },
        _ => Variables { all: variable, ..Variables::default() },
    }
}

/// Requests the dashboard through a proxy.
fn ask(url: &str, proxies: Variables, certificates: Certificates) -> Result<Option<u64>, ApiError> {
    let client = client_with(HttpSettings { proxies, certificates, ..settings(url) });
    assert!(matches!(client.route(), Route::Through(_)));
    Ok(client.dashboard()?.agents_online)
}

fn server() -> (Server, String) {
    let server = Server::start(|_| Reply::json(200, DASHBOARD));
    let address = server.url().split('/').nth(2).unwrap().to_owned();
    (server, address)
}

#[test]
fn proxy_receives_the_full_url_and_the_credentials() {
    let (_server, address) = server();
    let proxy = Proxy::start(address, http);
    let proxies = set("http_proxy", format!("us%20er:p@ss%2F@{}", proxy.address));
    assert_eq!(ask(API, proxies, Certificates::System).unwrap(), Some(6));
    // "us er:p@ss/"
    assert_eq!(
        proxy.requests(),
        ["GET http://mig.invalid/api/v1/dashboard HTTP/1.1 Basic dXMgZXI6cEBzcy8="]
    );
}

#[test]
fn socks_proxy_receives_the_name_and_the_credentials() {
    for (scheme, credentials, noted) in [
        ("socks5", "", "mig.invalid:80"),
        ("socks5h", "", "mig.invalid:80"),
        ("socks5", "us%20er:p@ss%2F@", "us er:p@ss/ mig.invalid:80"),
    ] {
        let (_server, address) = server();
        let proxy = Proxy::start(address, socks);
        let proxies = set("all_proxy", format!("{scheme}://{credentials}{}", proxy.address));
        assert_eq!(ask(API, proxies, Certificates::System).unwrap(), Some(6), "{scheme}");
        assert_eq!(proxy.requests(), [noted], "{scheme}");
    }
}

#[test]
fn https_uses_a_tunnel_and_checks_the_apis_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let Some(tls) = start(folder.path(), "") else {
        return crate::testing::skip("openssl is not installed");
    };
    let address = tls.url.split('/').nth(2).unwrap().to_owned();
    let trusted = || Certificates::With(pem(folder.path(), "server.pem"));
    let api = "https://mig.invalid:8443/api/";
    let serves: [(&str, Serve, &str); 2] = [
        ("http", connect, "CONNECT mig.invalid:8443 HTTP/1.1 Basic dTpw"),
        ("socks5", socks, "u:p mig.invalid:8443"),
    ];
    for (scheme, serve, noted) in serves {
        let proxy = Proxy::start(address.clone(), serve);
        let value = format!("{scheme}://u:p@{}", proxy.address);
        assert_eq!(ask(api, set("https_proxy", &value), trusted()).unwrap(), Some(6), "{scheme}");
        assert_eq!(proxy.requests(), [noted], "{scheme}");
        let other = api.replace("mig.", "other.");
        let error = ask(&other, set("https_proxy", &value), trusted()).unwrap_err();
        assert!(matches!(error, ApiError::Connect { .. }), "{scheme}: {error:?}");
    }
}

#[test]
fn unreachable_proxy_is_an_error() {
    let (server, address) = server();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for scheme in ["http", "https", "socks5"] {
        let proxies = set("http_proxy", format!("{scheme}://user:hunter2@{gone}"));
        // The API is on this host, under an address that the client does not recognize as such.
        let url = server.url().replace(&address, &address.replace("127.0.0.1", "0.0.0.0"));
        let error = ask(&url, proxies, Certificates::System).unwrap_err();
        assert!(matches!(error, ApiError::Connect { .. }), "{scheme}: {error:?}");
        let message = crate::chain::Chain(&error).to_string();
        assert!(!message.contains("hunter2"), "{message}");
    }
}
