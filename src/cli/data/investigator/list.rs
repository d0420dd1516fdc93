//! `investigator list` and `show`. Private keys and API keys are never read.

use jiff::Timestamp;
use serde::Serialize;

use super::Who;
use crate::cli::data::listing::{Line, Listing};
use crate::cli::data::place::Source;
use crate::cli::failure::Failure;
use crate::cli::layout::wrapped;
use crate::cli::output;
use crate::data::InvestigatorRow;
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

/// An investigator, as it is told.
#[derive(Debug, Serialize)]
struct Shown {
    id: i64,
    name: String,
    pgpfingerprint: String,
    status: String,
    createdat: Timestamp,
    lastmodified: Timestamp,
    permissions: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    publickey: Option<String>,
}

impl Shown {
    fn of(one: &InvestigatorRow) -> Shown {
        Shown {
            id: one.id.number(),
            name: one.name.clone(),
            pgpfingerprint: one.fingerprint.clone(),
            status: one.status.clone(),
            createdat: one.createdat,
            lastmodified: one.lastmodified,
            permissions: one.permissions.names(),
            publickey: None,
        }
    }
}

impl Line for Shown {
    fn line(&self) -> String {
        let Shown { id, status, pgpfingerprint, name, .. } = self;
        format!("| {id:<4} | {status:<8} | {pgpfingerprint:<40} | {name}")
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
        let one = self.who.find(&source.read()?)?;
        if self.json {
            let key = String::from_utf8_lossy(&one.publickey).into_owned();
            let shown = Shown { publickey: Some(key), ..Shown::of(&one) };
            let text = serde_json::to_string_pretty(&shown).map_err(Failure::Encode)?;
            output::raw(&format!("{text}\n"))?;
            return Ok(Exit::Done);
        }
        output::answer(format!("investigator {}", one.id))?;
        let has_key =
            if one.publickey.is_empty() { "none: nothing signed counts" } else { "there" };
        for (name, value) in [
            ("name", one.name.clone()),
            ("status", one.status.clone()),
            ("fingerprint", one.fingerprint.clone()),
            ("public key", has_key.to_owned()),
            ("permissions", one.permissions.to_string()),
            ("created", one.createdat.to_string()),
            ("modified", one.lastmodified.to_string()),
        ] {
            for line in wrapped(&value, &format!("  {name:<12} "), &" ".repeat(15)) {
                output::answer(line)?;
            }
        }
        Ok(Exit::Done)
    }
}
