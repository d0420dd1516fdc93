//! `investigator list` and `show`. Private keys and API keys are never read.

use jiff::Timestamp;
use serde::Serialize;

use super::who::Who;
use crate::cli::data::listing::{Line, Listing, UNREADABLE, marked, or_mark};
use crate::cli::data::place::Source;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::text::wrapped;
use crate::data::{InvestigatorRow, Odd};
use crate::exit::Exit;

/// Show all investigators
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-data investigator list")]
pub(super) struct List {
    /// As a JSON list, with all that is known
    #[arg(long)]
    json: bool,
}

/// Show one investigator; with --json the public key, too
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  mig-data investigator show --json 'Bob Kelso' | jq -r .publickey")]
pub(super) struct Show {
    #[command(flatten)]
    who: Who,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// An investigator, as shown; values that cannot be read are missing.
#[derive(Debug, Serialize)]
struct Shown {
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
    #[serde(skip_serializing_if = "Odd::is_empty")]
    odd: Odd,
}

impl Shown {
    fn of(one: &InvestigatorRow) -> Shown {
        let odd = one.odd.clone();
        Shown {
            id: odd.readable("id", one.id.number()),
            name: odd.readable("name", one.name.clone()),
            pgpfingerprint: one.fingerprint.clone(),
            status: odd.readable("status", one.status.clone()),
            createdat: odd.readable("createdat", one.createdat),
            lastmodified: odd.readable("lastmodified", one.lastmodified),
            permissions: odd.readable("permissions", one.permissions.names()),
            publickey: None,
            apikeyset: None,
            odd,
        }
    }
}

impl Line for Shown {
    fn line(&self) -> String {
        let id = self.id.map_or(UNREADABLE.to_owned(), |id| id.to_string());
        let (status, name) = (or_mark(self.status.as_ref()), or_mark(self.name.as_ref()));
        let line = format!("| {id:<4} | {status:<8} | {:<40} | {name}", self.pgpfingerprint);
        marked(line, &self.odd)
    }
}

impl List {
    /// Shows them.
    pub(super) fn run(&self, source: &Source) -> Result<Exit, Failure> {
        let head = format!("| {:<4} | {:<8} | {:<40} | name", "id", "status", "fingerprint");
        let mut listing = Listing::new(self.json, &head);
        for one in source.read()?.investigators()? {
            listing.row(&Shown::of(&one))?;
        }
        listing.end()?;
        Ok(Exit::Done)
    }
}

impl Show {
    /// Shows the investigator.
    pub(super) fn run(&self, source: &Source) -> Result<Exit, Failure> {
        let store = source.read()?;
        let one = self.who.find(&store)?;
        let has_api_key = store.has_api_key(one.id)?;
        if self.json {
            let key = String::from_utf8_lossy(&one.publickey).into_owned();
            let shown =
                Shown { publickey: Some(key), apikeyset: Some(has_api_key), ..Shown::of(&one) };
            output::json_pretty(&shown)?;
            return Ok(Exit::Done);
        }
        let number = one.odd.readable("id", one.id);
        let number = number.map_or(UNREADABLE.to_owned(), |id| id.to_string());
        output::answer(format!("investigator {number}"))?;
        let has_key =
            if one.publickey.is_empty() { "none: nothing signed counts" } else { "there" };
        let or_mark = |name: &str, text: String| match one.odd.has_lost(name) {
            true => UNREADABLE.to_owned(),
            false => text,
        };
        let mark = (!one.odd.is_empty()).then(|| ("! odd", one.odd.to_string()));
        let rows = [
            ("name", or_mark("name", one.name.clone())),
            ("status", or_mark("status", one.status.clone())),
            ("fingerprint", one.fingerprint.clone()),
            ("public key", has_key.to_owned()),
            ("API key", if has_api_key { "there" } else { "none" }.to_owned()),
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
