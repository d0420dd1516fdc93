//! MIG actions and the commands that result from them, without I/O.
//!
//! An action is parsed and written as Go does ([`json`]), because agents verify the signature over
//! text that they generate from the action that they receive. Keys are not handled here:
//! callers pass in a [`Signer`].

mod check;
pub(crate) mod document;
mod fast;
mod finding;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod parts;
mod raw;
mod result;
pub(crate) mod sign;
mod status;
mod too_large;

pub(crate) use check::CheckError;
pub(crate) use fast::CommandText;
pub(crate) use finding::{Finding, findings};
#[cfg(feature = "platform")]
pub(crate) use parts::Permissions;
pub(crate) use parts::{Counters, Description, Investigator, Operation, Threat};
pub(crate) use result::{Command, CommandError, Summary};
pub(crate) use sign::{SignError, SignVerdict, Signature, Signer, UnknownKey};
#[cfg(feature = "data")]
pub(crate) use status::CommandStatus;
pub(crate) use too_large::{LargeAnswer, LargeCommand};

use jiff::Timestamp;

use crate::go::json::{self, ParseError, go_struct};
use crate::go::time::Time;
use crate::names::ActionId;

/// The version of the syntax that the platform accepts.
const SYNTAX_VERSION: u16 = 2;

/// An action, with every field that the platform knows.
///
/// The default is what Go decodes from `null`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Action {
    /// The id assigned by the platform, or zero. It is a float because it is one in Go.
    pub(crate) id: f64,
    /// The name, which is part of the signed text.
    pub(crate) name: String,
    /// An SQL condition that selects the agents.
    pub(crate) target: String,
    pub(crate) description: Description,
    pub(crate) threat: Threat,
    /// Start of the period in which agents run it.
    pub(crate) valid_from: Time,
    /// End of the period in which agents run it.
    pub(crate) expire_after: Time,
    /// What agents do; `None` is `null`, which the platform rejects.
    pub(crate) operations: Option<Vec<Operation>>,
    pub(crate) signatures: Option<Vec<String>>,
    /// The signers, as reported by the platform.
    pub(crate) investigators: Option<Vec<Investigator>>,
    /// The platform's status of the action.
    pub(crate) status: String,
    /// When the platform started to process it.
    pub(crate) start_time: Time,
    /// When the platform finished it.
    pub(crate) finish_time: Time,
    pub(crate) last_update_time: Time,
    /// The number of commands by state.
    pub(crate) counters: Counters,
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

/// The text that follows the name in the signed text.
const TARGET_KEY: &str = ";target=";
/// The text that follows the target in the signed text.
const VALID_FROM_KEY: &str = ";validfrom=";

impl Action {
    /// Parses an action file.
    ///
    /// # Errors
    /// Go would reject the text, or a key is duplicated.
    pub(crate) fn parse(text: &[u8]) -> Result<Action, ParseError> {
        json::parse(text)
    }

    /// Returns the text that is signed, which is not JSON and has no trailing line feed.
    ///
    /// It can be split into fields in only one way if [`Action::ambiguous_field`] finds none.
    pub(crate) fn signed_text(&self) -> String {
        // The original formats the second number with the verb for strings, so Go inserts its error
        // notation.
        let mut text = format!(
            "name={}{TARGET_KEY}{}{VALID_FROM_KEY}{};expireafter=%!s(int64={});operations=",
            self.name,
            self.target,
            self.valid_from.unix(),
            self.expire_after.unix(),
        );
        json::append(&self.operations, &mut text);
        text.push(';');
        text
    }

    /// Returns a field whose value contains the text that begins or ends the target in the signed
    /// text, and that text. The signature of such an action would also be valid for another name or
    /// target. If only the longer of two possible names were refused, a signature that was made
    /// elsewhere for it would be valid for the shorter one.
    pub(crate) fn ambiguous_field(&self) -> Option<(&'static str, &'static str)> {
        let fields = [
            ("name", &self.name, TARGET_KEY),
            ("target", &self.target, TARGET_KEY),
            ("target", &self.target, VALID_FROM_KEY),
        ];
        let found = fields.into_iter().find(|(_, value, key)| value.contains(key));
        found.map(|(field, _, key)| (field, key))
    }

    pub(crate) fn to_json(&self) -> String {
        json::to_string(self)
    }

    /// Returns the id assigned by the platform, if there is one.
    pub(crate) fn action_id(&self) -> Option<ActionId> {
        action_id(self.id)
    }

    /// Prepares the action for signing in one run: sets its name, its period in whole seconds and
    /// the version of its syntax, and compresses the operations that request it.
    ///
    /// Earlier signatures are dropped: they do not match the new text, and the platform verifies
    /// every signature and would reject the action.
    pub(crate) fn dated(&mut self, name: &str, valid_from: Timestamp, expire_after: Timestamp) {
        name.clone_into(&mut self.name);
        self.valid_from = Time::from(valid_from).whole_second();
        self.expire_after = Time::from(expire_after).whole_second();
        self.syntax_version = SYNTAX_VERSION;
        self.signatures = None;
        for operation in self.operations.iter_mut().flatten() {
            operation.compress();
        }
    }

    /// Replaces the target, if it is the name of a macro.
    pub(crate) fn set_target(&mut self, target: &str) {
        target.clone_into(&mut self.target);
    }

    /// Signs the action and adds the signature to its signatures.
    ///
    /// # Errors
    /// Signing failed; the action is unchanged.
    pub(crate) fn sign_with(&mut self, signer: &dyn Signer) -> Result<Signature, SignError> {
        let signature = signer.sign(self.signed_text().as_bytes())?;
        self.signatures.get_or_insert_default().push(signature.as_str().to_owned());
        Ok(signature)
    }

    /// Pads the signatures of the action; see [`Signer::padded`].
    ///
    /// # Errors
    /// The length of a key could not be read; the action is unchanged.
    pub(crate) fn pad_with(
        &mut self,
        signer: &dyn Signer,
        unknown: UnknownKey,
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

/// Converts an id, a float in Go, to a whole number; `None` if it is not a positive whole number.
fn action_id(id: f64) -> Option<ActionId> {
    // Display writes whole floats without a point; others do not parse as integers.
    format!("{id}").parse().ok().filter(|id| *id > 0).map(ActionId)
}

#[cfg(test)]
mod tests;
