//! The parts of an action, each with its fields in Go's order.

use std::fmt;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::go::json::{Bytes, CanonicalJson, go_struct};
use crate::go::time::Time;

/// A request to one module of the agents.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Operation {
    pub(crate) module: String,
    /// The module's parameters; base64 of gzip if they are compressed.
    pub(crate) parameters: CanonicalJson,
    pub(crate) is_compressed: bool,
    /// Whether to compress the parameters before signing.
    pub(crate) want_compressed: bool,
}

go_struct!(Operation as "Operation" {
    module: "module",
    parameters: "parameters",
    is_compressed: "is_compressed" omitempty,
    want_compressed: "want_compressed" omitempty,
});

impl Operation {
    /// Compresses the parameters if the operation requests it and they are not compressed yet:
    /// gzip in base64 replaces them.
    ///
    /// The compressed bytes differ from those of Go's compressor. This does no harm, because the
    /// signature covers the compressed form, which agents receive unchanged.
    pub(super) fn compress(&mut self) {
        if !self.want_compressed || self.is_compressed {
            return;
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        // Writing to memory does not fail; if it did, the parameters would be sent uncompressed.
        let written = encoder.write_all(self.parameters.as_str().as_bytes());
        if let Ok(bytes) = written.and_then(|()| encoder.finish()) {
            self.parameters = CanonicalJson::string(&STANDARD.encode(bytes));
            self.is_compressed = true;
        }
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Description {
    pub(crate) author: String,
    pub(crate) email: String,
    pub(crate) url: String,
    pub(crate) revision: f64,
}

go_struct!(Description as "Description" {
    author: "author" omitempty,
    email: "email" omitempty,
    url: "url" omitempty,
    revision: "revision" omitempty,
});

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Threat {
    pub(crate) reference: String,
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

/// The number of an action's commands by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Counters {
    pub(crate) sent: i64,
    /// Finished, in any way.
    pub(crate) done: i64,
    pub(crate) inflight: i64,
    pub(crate) success: i64,
    pub(crate) cancelled: i64,
    pub(crate) expired: i64,
    pub(crate) failed: i64,
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

/// A user of the platform with permissions.
#[derive(Clone, PartialEq, Default)]
pub(crate) struct Investigator {
    pub(crate) id: f64,
    pub(crate) name: String,
    pub(crate) fingerprint: String,
    pub(crate) public_key: Bytes,
    /// Only the platform's own investigators have one.
    pub(crate) private_key: Bytes,
    /// An API key, only when it has just been created.
    pub(crate) api_key: String,
    /// `active` or `disabled`.
    pub(crate) status: String,
    pub(crate) created_at: Time,
    pub(crate) last_modified: Time,
    pub(crate) permissions: Permissions,
}

impl fmt::Debug for Investigator {
    // Not derived, because the value may contain keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Investigator({:?}, {:?})", self.name, self.fingerprint)
    }
}

#[cfg(feature = "platform")]
impl Investigator {
    /// Returns the JSON in the platform's responses.
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

/// Defines the permissions, each with its own key.
macro_rules! permissions {
    ($($field:ident: $doc:literal),* $(,)?) => {
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
    /// Parses permissions as the platform does.
    pub(crate) fn parse(text: &[u8]) -> Result<Permissions, crate::go::json::ParseError> {
        crate::go::json::parse(text)
    }
}
