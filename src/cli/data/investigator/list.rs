//! `investigator list` and `show`. Neither shows private keys or API keys.

use jiff::Timestamp;
use serde::Serialize;

use super::who::InvestigatorName;
use crate::cli::data::listing::{Listing, TableRow, UNREADABLE, marked, or_mark};
use crate::cli::data::source::DataSource;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::text::wrapped;
use crate::data::{InvalidColumns, InvestigatorRow};
use crate::exit::Exit;

/// List all investigators
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-data investigator list")]
pub(super) struct List {
    /// Print a JSON list with all columns
    #[arg(long)]
    json: bool,
}

/// Show one investigator; --json includes the public key
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  mig-data investigator show --json 'Bob Kelso' | jq -r .publickey")]
pub(super) struct Show {
    #[command(flatten)]
    who: InvestigatorName,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// An investigator in the output. Unreadable values are `None`. The fields are the keys of the JSON
/// output.
#[derive(Debug, Serialize)]
struct ShownInvestigator {
    id: Option<i64>,
    name: Option<String>,
    pgpfingerprint: String,
    status: Option<String>,
    createdat: Option<Timestamp>,
    lastmodified: Option<Timestamp>,
    permissions: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    publickey: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    apikeyset: Option<bool>,
    #[serde(rename = "odd", skip_serializing_if = "InvalidColumns::is_empty")]
    invalid: InvalidColumns,
}

impl ShownInvestigator {
    fn new(one: &InvestigatorRow) -> ShownInvestigator {
        let invalid = one.invalid.clone();
        ShownInvestigator {
            id: invalid.readable("id", one.id.number()),
            name: invalid.readable("name", one.name.clone()),
            pgpfingerprint: one.fingerprint.clone(),
            status: invalid.readable("status", one.status.clone()),
            createdat: invalid.readable("createdat", one.createdat),
            lastmodified: invalid.readable("lastmodified", one.lastmodified),
            permissions: invalid.readable("permissions", one.permissions.names()),
            publickey: None,
            apikeyset: None,
            invalid,
        }
    }
}

impl TableRow for ShownInvestigator {
    fn line(&self) -> String {
        let id = self.id.map_or(UNREADABLE.to_owned(), |id| id.to_string());
        let (status, name) = (or_mark(self.status.as_ref()), or_mark(self.name.as_ref()));
        let line = format!("| {id:<4} | {status:<8} | {:<40} | {name}", self.pgpfingerprint);
        marked(line, &self.invalid)
    }
}

impl List {
    pub(super) fn run(&self, source: &DataSource) -> Result<Exit, Failure> {
        let head = format!("| {:<4} | {:<8} | {:<40} | name", "id", "status", "fingerprint");
        let mut listing = Listing::new(self.json, &head);
        for one in source.read()?.investigators()? {
            listing.row(&ShownInvestigator::new(&one))?;
        }
        listing.end()?;
        Ok(Exit::Done)
    }
}

impl Show {
    pub(super) fn run(&self, source: &DataSource) -> Result<Exit, Failure> {
        let store = source.read()?;
        let one = self.who.find(&store)?;
        let has_api_key = store.has_api_key(one.id)?;
        if self.json {
            let key = String::from_utf8_lossy(&one.publickey).into_owned();
            let shown = ShownInvestigator {
                publickey: Some(key),
                apikeyset: Some(has_api_key),
                ..ShownInvestigator::new(&one)
            };
            output::json_pretty(&shown)?;
            return Ok(Exit::Done);
        }
        let number = one.invalid.readable("id", one.id);
        let number = number.map_or(UNREADABLE.to_owned(), |id| id.to_string());
        output::answer(format!("investigator {number}"))?;
        let has_key =
            if one.publickey.is_empty() { "none: signatures are rejected" } else { "stored" };
        let or_mark = |name: &str, text: String| match one.invalid.is_unreadable(name) {
            true => UNREADABLE.to_owned(),
            false => text,
        };
        let mark = (!one.invalid.is_empty()).then(|| ("! invalid", one.invalid.to_string()));
        let rows = [
            ("name", or_mark("name", one.name.clone())),
            ("status", or_mark("status", one.status.clone())),
            ("fingerprint", one.fingerprint.clone()),
            ("public key", has_key.to_owned()),
            ("API key", if has_api_key { "stored" } else { "none" }.to_owned()),
            ("permissions", or_mark("permissions", one.permissions.to_string())),
            ("created", or_mark("createdat", one.createdat.to_string())),
            ("modified", or_mark("lastmodified", one.lastmodified.to_string())),
        ];
        for (name, value) in rows.into_iter().chain(mark) {
            for line in wrapped(&value, &format!("  {name:<12} "), &" ".repeat(15)) {
                output::answer(line)?;
            }
        }
        Ok(Exit::Done)
    }
}
