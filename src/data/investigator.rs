//! The table `investigators`: the users who may sign actions and use the API.
//!
//! The column with private keys belongs to the original's scheduler and is never read.

use jiff::Timestamp;

use super::database::query;
use super::error::DataError;
use super::filter::{SearchFilter, SearchPage};
use super::id::Id;
use super::invalid::InvalidColumns;
use super::permissions::Permissions;
use super::row::Row;
use super::store::Store;

/// The name of the scheduler's own investigator, whose key signs the actions that stop duplicate
/// agents.
pub(crate) const SCHEDULER: &str = "migscheduler";

/// The first line of an armored public key.
const ARMOR: &[u8] = b"-----BEGIN PGP PUBLIC KEY BLOCK-----";
const STATUSES: [InvestigatorStatus; 2] =
    [InvestigatorStatus::Active, InvestigatorStatus::Disabled];

/// Whether an investigator has any rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvestigatorStatus {
    /// Signatures of this investigator are accepted.
    Active,
    Disabled,
}

impl InvestigatorStatus {
    /// Returns the platform's word for the status.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            InvestigatorStatus::Active => "active",
            InvestigatorStatus::Disabled => "disabled",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InvestigatorRow {
    pub(crate) id: Id,
    pub(crate) name: String,
    /// The fingerprint of the key, in upper case.
    pub(crate) fingerprint: String,
    pub(crate) publickey: Vec<u8>,
    /// `active` or `disabled`.
    pub(crate) status: String,
    pub(crate) createdat: Timestamp,
    pub(crate) lastmodified: Timestamp,
    pub(crate) permissions: Permissions,
    pub(crate) invalid: InvalidColumns,
}

impl InvestigatorRow {
    /// Returns whether signatures of this investigator are accepted.
    pub(crate) fn is_active(&self) -> bool {
        self.status == InvestigatorStatus::Active.as_str()
    }
}

fn read(mut row: Row) -> InvestigatorRow {
    let (id, name) = (row.read_id("id"), row.read_name("name"));
    let fingerprint = row.read_optional_text("pgpfingerprint").to_ascii_uppercase();
    let publickey = row.read_bytes("publickey");
    if !publickey.is_empty() && !publickey.trim_ascii_start().starts_with(ARMOR) {
        row.note_implausible("publickey", format!("not an armored key: {} bytes", publickey.len()));
    }
    let status = row.read_word("status", &STATUSES.map(InvestigatorStatus::as_str));
    let (createdat, lastmodified) = (row.read_time("createdat"), row.read_time("lastmodified"));
    let permissions = Permissions::new(row.read_number("permissions"));
    if permissions.has_unknown() {
        row.note_implausible("permissions", permissions.bits().to_string());
    }
    let invalid = row.into_invalid();
    InvestigatorRow {
        id,
        name,
        fingerprint,
        publickey,
        status,
        createdat,
        lastmodified,
        permissions,
        invalid,
    }
}

impl Store {
    /// Inserts an active investigator. An empty `publickey` is stored as NULL.
    ///
    /// # Errors
    /// `Duplicate` if an investigator with this fingerprint exists.
    pub(crate) fn insert_investigator(
        &self,
        name: &str,
        fingerprint: &str,
        publickey: &[u8],
        permissions: Permissions,
        now: Timestamp,
    ) -> Result<(), DataError> {
        let values = [
            name.into(),
            fingerprint.into(),
            Some(publickey).filter(|key| !key.is_empty()).into(),
            now.into(),
            permissions.bits().into(),
        ];
        self.run(&query!("insert_investigator"), &values).map(drop)
    }

    /// Returns the investigator whose key has this fingerprint; case is ignored.
    pub(crate) fn investigator(
        &self,
        fingerprint: &str,
    ) -> Result<Option<InvestigatorRow>, DataError> {
        self.one(&query!("investigator_by_fingerprint"), &[fingerprint.into()], read)
    }

    pub(crate) fn investigator_by_id(&self, id: Id) -> Result<Option<InvestigatorRow>, DataError> {
        self.one(&query!("investigator"), &[id.into()], read)
    }

    /// Returns a page of the investigators that match a filter, in the order of their ids.
    pub(crate) fn search_investigators(
        &self,
        filter: &SearchFilter,
        page: SearchPage,
    ) -> Result<Vec<InvestigatorRow>, DataError> {
        let restrict = |condition: &mut _| filter.restrict_investigators(condition);
        self.search(&query!("search_investigators"), page, restrict, read)
    }

    pub(crate) fn investigators(&self) -> Result<Vec<InvestigatorRow>, DataError> {
        self.all(&query!("investigators"), &[], read)
    }

    /// Returns the investigators who signed an action.
    pub(crate) fn signers(&self, action: Id) -> Result<Vec<InvestigatorRow>, DataError> {
        self.all(&query!("signers"), &[action.into()], read)
    }

    /// Returns the investigators with this name. Names need not be unique.
    pub(crate) fn investigators_named(
        &self,
        name: &str,
    ) -> Result<Vec<InvestigatorRow>, DataError> {
        self.all(&query!("investigators_by_name"), &[name.into()], read)
    }

    /// Sets the status of an investigator; returns whether that changed it.
    pub(crate) fn set_investigator_status(
        &self,
        id: Id,
        status: InvestigatorStatus,
        now: Timestamp,
    ) -> Result<bool, DataError> {
        let values = [id.into(), status.as_str().into(), now.into()];
        Ok(self.run(&query!("set_investigator_status"), &values)? > 0)
    }

    /// Replaces the permissions of an investigator; returns whether a row changed. If `from` is
    /// given, they are replaced only if the current permissions are `from`.
    pub(crate) fn set_permissions(
        &self,
        id: Id,
        permissions: Permissions,
        from: Option<Permissions>,
        now: Timestamp,
    ) -> Result<bool, DataError> {
        let from = from.map(Permissions::bits);
        let values = [id.into(), permissions.bits().into(), now.into(), from.into()];
        Ok(self.run(&query!("set_permissions"), &values)? > 0)
    }

    /// Stores the public key of an investigator who has none; returns whether a row changed.
    pub(crate) fn set_investigator_key(
        &self,
        id: Id,
        publickey: &[u8],
        now: Timestamp,
    ) -> Result<bool, DataError> {
        let values = [id.into(), publickey.into(), now.into()];
        Ok(self.run(&query!("set_investigator_key"), &values)? > 0)
    }
}
