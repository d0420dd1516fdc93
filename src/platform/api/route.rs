//! The routes of the API: their methods and paths, permissions, and the size of their bodies.

use super::ROOT;
use crate::data::Permission;

/// Maximum size of a body, in bytes; the rest of a longer one is not read.
const BODY_BYTES_MAX: usize = 10 << 20;
/// Maximum size of the body of a request that anyone may send, in bytes. A real heartbeat has about
/// 500 bytes.
const OPEN_BODY_BYTES_MAX: usize = 64 << 10;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    GetHeartbeat,
    PostHeartbeat,
    Ip,
    /// The key with this fingerprint.
    PublicKey(String),
    Create,
    Action,
    Command,
    Agent,
    Investigator,
    InvestigatorCreate,
    InvestigatorUpdate,
    Search,
    Dashboard,
}

impl Route {
    /// Returns the route of a request; `None` if there is no such route.
    pub(super) fn of(method: &str, path: &str) -> Option<Route> {
        let name = path.strip_prefix(ROOT)?;
        Some(match (method, name) {
            ("GET", "heartbeat") => Route::GetHeartbeat,
            ("POST", "heartbeat") => Route::PostHeartbeat,
            ("GET", "ip") => Route::Ip,
            ("GET", "action") => Route::Action,
            ("GET", "command") => Route::Command,
            ("GET", "agent") => Route::Agent,
            ("GET", "investigator") => Route::Investigator,
            ("GET", "search") => Route::Search,
            ("GET", "dashboard") => Route::Dashboard,
            ("POST", "action/create/") => Route::Create,
            ("POST", "investigator/create/") => Route::InvestigatorCreate,
            ("POST", "investigator/update/") => Route::InvestigatorUpdate,
            ("GET", name) => {
                let fingerprint = name.strip_prefix("publickey/")?;
                if fingerprint.is_empty() || fingerprint.contains('/') {
                    return None;
                }
                Route::PublicKey(fingerprint.to_owned())
            }
            _ => return None,
        })
    }

    /// Returns the permission that a route requires; `None` if it needs no authentication.
    pub(super) fn permission(&self) -> Option<Permission> {
        match self {
            Route::GetHeartbeat | Route::PostHeartbeat | Route::Ip | Route::PublicKey(_) => None,
            Route::Create => Some(Permission::ActionCreate),
            Route::Action => Some(Permission::Action),
            Route::Command => Some(Permission::Command),
            Route::Agent => Some(Permission::Agent),
            Route::Investigator => Some(Permission::Investigator),
            Route::InvestigatorCreate => Some(Permission::InvestigatorCreate),
            Route::InvestigatorUpdate => Some(Permission::InvestigatorUpdate),
            Route::Search => Some(Permission::Search),
            Route::Dashboard => Some(Permission::Dashboard),
        }
    }

    /// Returns the maximum size of the body, in bytes; `None` if the route has no body.
    pub(super) fn body_bytes_max(&self) -> Option<usize> {
        match self {
            Route::PostHeartbeat => Some(OPEN_BODY_BYTES_MAX),
            Route::Create | Route::InvestigatorCreate | Route::InvestigatorUpdate => {
                Some(BODY_BYTES_MAX)
            }
            Route::GetHeartbeat
            | Route::Ip
            | Route::PublicKey(_)
            | Route::Action
            | Route::Command
            | Route::Agent
            | Route::Investigator
            | Route::Search
            | Route::Dashboard => None,
        }
    }
}
