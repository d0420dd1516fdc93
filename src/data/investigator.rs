//! The table `investigators`: who may sign and ask, and for what.
//!
//! The column with private keys is the real scheduler's own and is never read.

use jiff::Timestamp;

use super::database::query;
use super::filter::{Filter, Page};
use super::{DataError, Id, Odd, Permissions, Row, Store};

/// The name of the scheduler's own investigator, whose key ends agents that are one too many.
pub(crate) const SCHEDULER: &str = "migscheduler";

/// How an armored key begins.
const ARMOR: &[u8] = b"-----BEGIN PGP PUBLIC KEY BLOCK-----";
/// Every status of an investigator.
const STATUSES: [InvestigatorStatus; 2] =
    [InvestigatorStatus::Active, InvestigatorStatus::Disabled];

/// Whether an investigator counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvestigatorStatus {
    /// What this one signs counts.
    Active,
    Disabled,
}

impl InvestigatorStatus {
    /// Returns the status as the platform writes it.
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
    /// The key's fingerprint, in upper case.
    pub(crate) fingerprint: String,
    pub(crate) publickey: Vec<u8>,
    /// `active` or `disabled`.
    pub(crate) status: String,
    /// When this became known.
    pub(crate) createdat: Timestamp,
    /// When this was changed last.
    pub(crate) lastmodified: Timestamp,
    pub(crate) permissions: Permissions,
    /// Which columns cannot be read.
    pub(crate) odd: Odd,
}

impl InvestigatorRow {
    /// Tells whether what this investigator signs counts.
    pub(crate) fn is_active(&self) -> bool {
        self.status == InvestigatorStatus::Active.as_str()
    }
}

fn read(mut row: Row) -> InvestigatorRow {
    let (id, name) = (row.read_id("id"), row.read_name("name"));
    let fingerprint = row.read_optional_text("pgpfingerprint").to_ascii_uppercase();
    let publickey = row.read_bytes("publickey");
    if !publickey.is_empty() && !publickey.trim_ascii_start().starts_with(ARMOR) {
        row.note("publickey", format!("no armored key: {} bytes", publickey.len()));
    }
    let status = row.read_word("status", &STATUSES.map(InvestigatorStatus::as_str));
    let (createdat, lastmodified) = (row.read_time("createdat"), row.read_time("lastmodified"));
    let permissions = Permissions::new(row.read_number("permissions"));
    if permissions.has_unknown() {
        row.note("permissions", permissions.bits().to_string());
    }
    let odd = row.into_odd();
    InvestigatorRow {
        id,
        name,
        fingerprint,
        publickey,
        status,
        createdat,
        lastmodified,
        permissions,
        odd,
    }
}

impl Store {
    /// Keeps a new, active investigator; `Duplicate` if the key is known. An empty `publickey` is none.
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

    /// Returns the investigator whose key has this fingerprint, in any case.
    pub(crate) fn investigator(
        &self,
        fingerprint: &str,
    ) -> Result<Option<InvestigatorRow>, DataError> {
        self.one(&query!("investigator_by_fingerprint"), &[fingerprint.into()], read)
    }

    /// Returns the investigator with this id.
    pub(crate) fn investigator_of(&self, id: Id) -> Result<Option<InvestigatorRow>, DataError> {
        self.one(&query!("investigator"), &[id.into()], read)
    }

    /// Returns a page of the investigators that a filter selects, the first added first.
    pub(crate) fn search_investigators(
        &self,
        filter: &Filter,
        page: Page,
    ) -> Result<Vec<InvestigatorRow>, DataError> {
        let query = query!("search_investigators");
        let (query, values) = filter.of_investigators(&query, page, self.database().dialect());
        self.all(&query, &values, read)
    }

    pub(crate) fn investigators(&self) -> Result<Vec<InvestigatorRow>, DataError> {
        self.all(&query!("investigators"), &[], read)
    }

    /// Returns those who signed an action.
    pub(crate) fn signers(&self, action: Id) -> Result<Vec<InvestigatorRow>, DataError> {
        self.all(&query!("signers"), &[action.into()], read)
    }

    /// Returns the investigators with this name, which need not be one.
    pub(crate) fn investigators_named(
        &self,
        name: &str,
    ) -> Result<Vec<InvestigatorRow>, DataError> {
        self.all(&query!("investigators_by_name"), &[name.into()], read)
    }

    /// Notes whether an investigator counts; tells whether that is new.
    pub(crate) fn set_investigator_status(
        &self,
        id: Id,
        status: InvestigatorStatus,
        now: Timestamp,
    ) -> Result<bool, DataError> {
        let values = [id.into(), status.as_str().into(), now.into()];
        Ok(self.run(&query!("set_investigator_status"), &values)? > 0)
    }

    /// Sets what an investigator may do; returns whether it was done. With `from` it is done only if these
    /// are the permissions that the investigator has.
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

    /// Gives an investigator whose key was not there the key; tells whether it was not.
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
