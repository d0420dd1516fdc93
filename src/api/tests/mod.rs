//! Tests of the client against servers whose replies the tests set.

mod hostile;
mod large;
mod proxied;
mod recorded;
mod replay;
mod requests;
mod tls;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::proxy::Variables;
use super::settings::Certificates;
use super::testing::{FixedSigner, ReplySetter, Server};
use super::{Api, ApiError, Client, Credentials, HttpSettings, Page, Posted, Search};
use crate::action::{CommandText, Signature};
use crate::clock::SystemClock;
use crate::names::ActionId;

const PATIENT: Duration = Duration::from_secs(60);

fn settings(url: &str) -> HttpSettings {
    HttpSettings {
        url: url.to_owned(),
        credentials: Credentials::Signer(Arc::new(FixedSigner("sig="))),
        certificates: Certificates::System,
        identity: None,
        proxies: Variables::default(),
        connect_span: PATIENT,
        call_span: PATIENT,
        page_span: PATIENT,
    }
}

fn client_with(settings: HttpSettings) -> Client {
    let log = slog::Logger::root(slog::Discard, slog::o!());
    Client::new(settings, Arc::new(SystemClock), log).unwrap()
}

fn client(server: &Server) -> Client {
    client_with(settings(&server.url()))
}

/// Returns a server, the setter of its replies, and a client. Tests reuse one client for many
/// replies, because creating a client is expensive.
fn settable_server() -> (Server, ReplySetter, Client) {
    let (server, setter) = Server::with_reply_setter();
    let client = client(&server);
    (server, setter, client)
}

fn signature(line: &str) -> Signature {
    Signature::try_from(line.to_owned()).unwrap()
}

/// Returns the signatures in an action.
fn signatures(action_json: &str) -> Vec<Signature> {
    let action: serde_json::Value = serde_json::from_str(action_json).unwrap_or_default();
    let lines = action["pgpsignatures"].as_array().cloned().unwrap_or_default();
    lines.iter().filter_map(|line| line.as_str()?.to_owned().try_into().ok()).collect()
}

/// Fetches a page and collects its commands.
fn fetch(
    client: &Client,
    id: u64,
    offset: u64,
    limit: u32,
) -> (Vec<String>, Result<Page, ApiError>) {
    let mut commands = Vec::new();
    let page = client.commands(ActionId(id), offset, limit, &mut |command: CommandText<'_>| {
        commands.push(command.text().to_owned());
        Ok(())
    });
    (commands, page)
}

fn search<'a>(
    name: &'a str,
    signatures: &'a [Signature],
    taken: &'a BTreeSet<ActionId>,
) -> Search<'a> {
    let valid_from: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    let expire_after = "2026-11-22T12:06:00Z".parse().unwrap();
    Search { name, valid_from, expire_after, signatures, taken }
}

/// Summarizes the outcome of a POST.
fn outcome(posted: &Posted) -> String {
    match posted {
        Posted::Accepted { id, .. } => format!("accepted {id}"),
        Posted::Refused { next, .. } => format!("{next:?}"),
        Posted::Unknown { cause } => format!("unknown, {:?}", cause.scope()),
    }
}
