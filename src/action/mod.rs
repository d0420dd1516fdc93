//! MIG's actions: what the platform runs, and the text that is signed.
//!
//! An action is read and written as Go does it ([`go_json`]), because agents
//! check the signature over text that they make themselves from what they
//! received. There is no I/O here, and no key: what signs is passed in.

mod check;
mod compress;
pub(crate) mod document;
mod finding;
mod glance;
mod go_json;
mod parts;
mod result;
pub(crate) mod sign;
mod status;
mod time;

pub(crate) use check::CheckError;
pub(crate) use finding::{Finding, findings};
pub(crate) use go_json::{ParseError, Value};
#[cfg(feature = "platform")]
pub(crate) use parts::Permissions;
pub(crate) use parts::{Counters, Description, Investigator, Operation, Threat};
pub(crate) use result::{Command, CommandError, Summary};
pub(crate) use sign::{SignError, SignVerdict, Signature, Signer, Unknown};
pub(crate) use status::CommandStatus;
pub(crate) use time::Time;

use jiff::Timestamp;

use crate::names::ActionId;
use go_json::go_struct;

/// The version of the syntax that the platform takes.
const SYNTAX_VERSION: u16 = 2;

/// An action, with every field that the platform knows.
///
/// Its zero value is what Go makes of `null`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Action {
    /// The id that the platform gave; zero before that. A float in Go, too.
    pub(crate) id: f64,
    /// The name, shown in lists and part of what is signed.
    pub(crate) name: String,
    /// Which agents are asked: a condition in SQL.
    pub(crate) target: String,
    /// Who wrote the action.
    pub(crate) description: Description,
    /// What the action looks for.
    pub(crate) threat: Threat,
    /// From when on agents run it.
    pub(crate) valid_from: Time,
    /// When agents stop running it.
    pub(crate) expire_after: Time,
    /// What agents do; `None` is `null`, which the platform refuses.
    pub(crate) operations: Option<Vec<Operation>>,
    /// The signatures so far.
    pub(crate) signatures: Option<Vec<String>>,
    /// Who signed, as the platform tells.
    pub(crate) investigators: Option<Vec<Investigator>>,
    /// How far the platform is with it.
    pub(crate) status: String,
    /// When the platform began.
    pub(crate) start_time: Time,
    /// When the platform was done.
    pub(crate) finish_time: Time,
    /// When the platform last changed something.
    pub(crate) last_update_time: Time,
    /// How many commands are in which state.
    pub(crate) counters: Counters,
    /// The version of the syntax.
    pub(crate) syntax_version: u16,
}

go_struct!(Action as "Action" {
    id: "id",
    name: "name",
    target: "target",
    description: "description" omitempty,
    threat: "threat" omitempty,
    valid_from: "validfrom",
    expire_after: "expireafter",
    operations: "operations",
    signatures: "pgpsignatures",
    investigators: "investigators" omitempty,
    status: "status" omitempty,
    start_time: "starttime" omitempty,
    finish_time: "finishtime" omitempty,
    last_update_time: "lastupdatetime" omitempty,
    counters: "counters" omitempty,
    syntax_version: "syntaxversion" omitempty,
});

impl Action {
    /// Reads an action file.
    ///
    /// # Errors
    /// Go would refuse the text, or a key is given twice.
    pub(crate) fn parse(text: &[u8]) -> Result<Action, ParseError> {
        go_json::read(text)
    }

    /// Returns the text that is signed: no JSON, and no line feed at its end.
    pub(crate) fn signed_text(&self) -> String {
        // Upstream prints the second number with the verb for text, and Go says so in its own way.
        let mut text = format!(
            "name={};target={};validfrom={};expireafter=%!s(int64={});operations=",
            self.name,
            self.target,
            self.valid_from.unix(),
            self.expire_after.unix(),
        );
        go_json::append(&self.operations, &mut text);
        text.push(';');
        text
    }

    /// Returns the JSON that is posted.
    pub(crate) fn to_json(&self) -> String {
        go_json::write(self)
    }

    /// Returns the id that the platform gave; `None` if it gave none.
    pub(crate) fn action_id(&self) -> Option<ActionId> {
        action_id(self.id)
    }

    /// Makes the action ready to be signed for one run: its name, its period in
    /// whole seconds, the version of its syntax, and its operations compressed
    /// where they ask for it.
    ///
    /// Signatures over what it was before are dropped: the platform checks every
    /// one and would refuse the action for them.
    pub(crate) fn dated(&mut self, name: &str, valid_from: Timestamp, expire_after: Timestamp) {
        name.clone_into(&mut self.name);
        self.valid_from = Time::from(valid_from).whole_second();
        self.expire_after = Time::from(expire_after).whole_second();
        self.syntax_version = SYNTAX_VERSION;
        self.signatures = None;
        for operation in self.operations.iter_mut().flatten() {
            compress::compress(operation);
        }
    }

    /// Replaces the target, where it is the name of a macro.
    pub(crate) fn set_target(&mut self, target: &str) {
        target.clone_into(&mut self.target);
    }

    /// Signs the action and adds the signature to those it has.
    ///
    /// # Errors
    /// Nothing was signed; the action is as before.
    pub(crate) fn sign_with(&mut self, signer: &dyn Signer) -> Result<Signature, SignError> {
        let signature = signer.sign(self.signed_text().as_bytes())?;
        self.signatures.get_or_insert_default().push(signature.as_str().to_owned());
        Ok(signature)
    }

    /// Pads the signatures that the action has; see [`Signer::padded`].
    ///
    /// # Errors
    /// The length of a key could not be read; the action is as before.
    pub(crate) fn pad_with(
        &mut self,
        signer: &dyn Signer,
        unknown: Unknown,
    ) -> Result<(), SignError> {
        let mut padded = self.signatures.clone().unwrap_or_default();
        for line in &mut padded {
            if let Some(signature) = signer.padded(line, unknown)? {
                *line = signature.into();
            }
        }
        if let Some(signatures) = &mut self.signatures {
            *signatures = padded;
        }
        Ok(())
    }
}

/// Reads an id, a float in Go, as the whole number that it is.
fn action_id(id: f64) -> Option<ActionId> {
    // Display writes a whole float without a point, and whatever is none does not parse.
    format!("{id}").parse().ok().filter(|id| *id > 0).map(ActionId)
}

#[cfg(test)]
mod tests;
