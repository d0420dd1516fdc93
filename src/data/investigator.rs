//! The table `investigators`: who may sign and ask, and for what.
//!
//! The column with private keys is the real scheduler's own and is never read.

use jiff::Timestamp;

use super::database::query;
use super::filter::{Filter, Page};
use super::{DataError, Id, Row, Store};

/// Something that the API does only for those who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Searches.
    Search,
    /// Reads an action.
    Action,
    /// Posts an action.
    ActionCreate,
    /// Reads a command.
    Command,
    /// Reads an agent.
    Agent,
    /// Reads the dashboard.
    Dashboard,
    /// Reads an investigator.
    Investigator,
}

/// What an investigator may do: a bit for each thing, as the platform keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Permissions(i64);

impl Permissions {
    /// All that a runner needs.
    pub(crate) const RUNNER: Permissions = Permissions(63);

    /// Returns the permissions that have these bits.
    pub(crate) const fn new(bits: i64) -> Permissions {
        Permissions(bits)
    }

    /// Returns the bits.
    pub(crate) const fn bits(self) -> i64 {
        self.0
    }

    /// Tells whether this is permitted.
    pub(crate) fn allow(self, permission: Permission) -> bool {
        let bit = match permission {
            Permission::Search => 1,
            Permission::Action => 2,
            Permission::ActionCreate => 4,
            Permission::Command => 8,
            Permission::Agent => 16,
            Permission::Dashboard => 32,
            Permission::Investigator => 65_536,
        };
        self.0 & bit != 0
    }
}

/// An investigator.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InvestigatorRow {
    /// The number.
    pub(crate) id: Id,
    /// The name.
    pub(crate) name: String,
    /// The key's fingerprint, in upper case.
    pub(crate) fingerprint: String,
    /// The key, armored.
    pub(crate) publickey: Vec<u8>,
    /// `active` or `disabled`.
    pub(crate) status: String,
    /// When this became known.
    pub(crate) createdat: Timestamp,
    /// When this was changed last.
    pub(crate) lastmodified: Timestamp,
    /// What is permitted.
    pub(crate) permissions: Permissions,
}

impl InvestigatorRow {
    /// Tells whether what this investigator signs counts.
    pub(crate) fn is_active(&self) -> bool {
        self.status == "active"
    }
}

fn read(mut row: Row) -> Result<InvestigatorRow, DataError> {
    Ok(InvestigatorRow {
        id: row.id()?,
        name: row.text()?,
        fingerprint: row.text()?.to_ascii_uppercase(),
        publickey: row.bytes()?,
        status: row.text()?,
        createdat: row.time()?,
        lastmodified: row.time()?,
        permissions: Permissions::new(row.number()?),
    })
}

impl Store {
    /// Keeps a new, active investigator; `Duplicate` if the key is known.
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
            publickey.into(),
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

    /// Returns all investigators.
    pub(crate) fn investigators(&self) -> Result<Vec<InvestigatorRow>, DataError> {
        self.all(&query!("investigators"), &[], read)
    }

    /// Returns those who signed an action.
    pub(crate) fn signers(&self, action: Id) -> Result<Vec<InvestigatorRow>, DataError> {
        self.all(&query!("signers"), &[action.into()], read)
    }
}
