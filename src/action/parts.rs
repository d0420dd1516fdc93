//! The parts of an action, each with the fields and the order that Go gives it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::go::json::{Bytes, CanonicalJson, go_struct};
use crate::go::time::Time;

/// What one module of the agents is to do.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Operation {
    pub(crate) module: String,
    /// What the module takes; base64 of gzip if they are compressed.
    pub(crate) parameters: CanonicalJson,
    /// Whether the parameters are compressed.
    pub(crate) is_compressed: bool,
    /// Whether they are to be compressed before they are signed.
    pub(crate) want_compressed: bool,
}

go_struct!(Operation as "Operation" {
    module: "module",
    parameters: "parameters",
    is_compressed: "is_compressed" omitempty,
    want_compressed: "want_compressed" omitempty,
});

/// Who wrote an action.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Description {
    pub(crate) author: String,
    pub(crate) email: String,
    /// Where there is more to read.
    pub(crate) url: String,
    /// A number that rises.
    pub(crate) revision: f64,
}

go_struct!(Description as "Description" {
    author: "author" omitempty,
    email: "email" omitempty,
    url: "url" omitempty,
    revision: "revision" omitempty,
});

/// What an action looks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Threat {
    /// Where the threat is described.
    pub(crate) reference: String,
    /// How bad it is.
    pub(crate) level: String,
    pub(crate) family: String,
    pub(crate) kind: String,
}

go_struct!(Threat as "Threat" {
    reference: "ref" omitempty,
    level: "level" omitempty,
    family: "family" omitempty,
    kind: "type" omitempty,
});

/// How many of an action's commands are in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Counters {
    /// All that were sent.
    pub(crate) sent: i64,
    /// Those that are over.
    pub(crate) done: i64,
    /// Those that are not over.
    pub(crate) inflight: i64,
    /// Those that an agent ran.
    pub(crate) success: i64,
    /// Those that were called off.
    pub(crate) cancelled: i64,
    /// Those that no agent answered.
    pub(crate) expired: i64,
    /// Those that an agent could not run.
    pub(crate) failed: i64,
    /// Those that ran too long.
    pub(crate) timeout: i64,
}

go_struct!(Counters as "ActionCounters" {
    sent: "sent" omitempty,
    done: "done" omitempty,
    inflight: "inflight" omitempty,
    success: "success" omitempty,
    cancelled: "cancelled" omitempty,
    expired: "expired" omitempty,
    failed: "failed" omitempty,
    timeout: "timeout" omitempty,
});

/// Who may run what on the platform.
#[derive(Clone, PartialEq, Default)]
pub(crate) struct Investigator {
    /// The id that the platform gave.
    pub(crate) id: f64,
    pub(crate) name: String,
    /// The fingerprint of the investigator's key.
    pub(crate) fingerprint: String,
    pub(crate) public_key: Bytes,
    /// A private key: only the platform's own investigators have one.
    pub(crate) private_key: Bytes,
    /// An API key, when one was just made.
    pub(crate) api_key: String,
    /// Whether the investigator is active.
    pub(crate) status: String,
    /// When the investigator was added.
    pub(crate) created_at: Time,
    /// When the investigator was last changed.
    pub(crate) last_modified: Time,
    /// What the investigator may do.
    pub(crate) permissions: Permissions,
}

impl fmt::Debug for Investigator {
    // Not derived: it may hold keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Investigator({:?}, {:?})", self.name, self.fingerprint)
    }
}

#[cfg(feature = "platform")]
impl Investigator {
    /// Returns the JSON that the platform answers with.
    pub(crate) fn to_json(&self) -> String {
        crate::go::json::to_string(self)
    }
}

go_struct!(Investigator as "Investigator" {
    id: "id" omitempty,
    name: "name",
    fingerprint: "pgpfingerprint",
    public_key: "publickey" omitempty,
    private_key: "privatekey" omitempty,
    api_key: "apikey" omitempty,
    status: "status",
    created_at: "createdat",
    last_modified: "lastmodified",
    permissions: "permissions",
});

/// Defines permissions, each a key of its own.
macro_rules! permissions {
    ($($field:ident: $doc:literal),* $(,)?) => {
        /// What an investigator may do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub(crate) struct Permissions {
            $(#[doc = $doc] pub(crate) $field: bool,)*
        }
    };
}

permissions! {
    search: "Search.",
    action: "Read actions.",
    action_create: "Post actions.",
    command: "Read commands.",
    agent: "Read agents.",
    dashboard: "Read the dashboard.",
    loader: "Read loaders.",
    loader_status: "Change a loader's status.",
    loader_expect: "Set what a loader expects.",
    loader_key: "Renew a loader's key.",
    loader_new: "Add loaders.",
    manifest: "Read manifests.",
    manifest_sign: "Sign manifests.",
    manifest_status: "Change a manifest's status.",
    manifest_new: "Add manifests.",
    manifest_loaders: "Read a manifest's loaders.",
    investigator: "Read investigators.",
    investigator_create: "Add investigators.",
    investigator_update: "Change investigators.",
}

go_struct!(Permissions as "InvestigatorPerms" {
    search: "search",
    action: "action",
    action_create: "action_create",
    command: "command",
    agent: "agent",
    dashboard: "dashboard",
    loader: "loader",
    loader_status: "loader_status",
    loader_expect: "loader_expect",
    loader_key: "loader_key",
    loader_new: "loader_new",
    manifest: "manifest",
    manifest_sign: "manifest_sign",
    manifest_status: "manifest_status",
    manifest_new: "manifest_new",
    manifest_loaders: "manifest_loaders",
    investigator: "investigator",
    investigator_create: "investigator_create",
    investigator_update: "investigator_update",
});

#[cfg(feature = "platform")]
impl Permissions {
    /// Reads permissions as the platform does.
    pub(crate) fn parse(text: &[u8]) -> Result<Permissions, crate::go::json::ParseError> {
        crate::go::json::parse(text)
    }
}
