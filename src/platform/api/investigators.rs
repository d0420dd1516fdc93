//! `POST investigator/create/` and `POST investigator/update/`: add and change investigators.
//!
//! As in the original, an investigator who may use either request may grant any permission, and the
//! last administrator cannot give up that permission.

use serde_json::value::RawValue;

use super::create::form;
use super::multipart::Multipart;
use super::read::{float, whole};
use super::response::{Item, collection};
use super::{Api, ApiRequest, ApiResponse, Body, Refusal};
use crate::action::{Investigator, Permissions as PermissionNames};
use crate::chain::Chain;
use crate::data::{DataError, Id, InvestigatorStatus, Permission, Permissions};
use crate::platform::admit::AdmitError;
use crate::platform::view;

/// Maximum length of a name, in characters: the width of the column.
const NAME_CHARS_MAX: usize = 1024;

impl Api {
    /// Adds an investigator: a form with `name`, `permissions` as JSON and the file `publickey`.
    pub(super) fn create_investigator(
        &self,
        request: &ApiRequest,
        body: &Body,
    ) -> Result<ApiResponse, Refusal> {
        let refuse = |message: String| Refusal::new(500, message);
        let Body::Whole(body) = body else {
            return Err(refuse("http: POST too large".to_owned()));
        };
        let kind = request.header("content-type").unwrap_or_default();
        let form = Multipart::parse(kind, body).map_err(|error| refuse(error.to_string()))?;
        let name = form.value("name");
        if name.is_empty() {
            return Err(refuse("Investigator name must not be empty".to_owned()));
        }
        storable(&name).map_err(refuse)?;
        let permissions = parse_permissions(&form.value("permissions")).map_err(refuse)?;
        let key = form.file("publickey").ok_or_else(|| refuse("http: no such file".to_owned()))?;
        if key.is_empty() {
            return Err(refuse("Investigator Public Key must not be empty".to_owned()));
        }
        let fingerprint = self.signers.admit(key).map_err(|error| match error {
            AdmitError::Key(error) if error.is_verdict() => refuse(Chain(&error).to_string()),
            AdmitError::Key(error) => Refusal::unavailable(&error),
            AdmitError::Data(error) => error.into(),
        })?;
        let (fingerprint, now) = (fingerprint.as_str(), self.clock.now());
        let bits = view::bits(&permissions);
        self.store.insert_investigator(&name, fingerprint, key, bits, now).map_err(|error| {
            match error {
                DataError::Duplicate { .. } => {
                    refuse("Investigator's PGP Fingerprint already exists in database".to_owned())
                }
                error => error.into(),
            }
        })?;
        let row = self.store.investigator(fingerprint)?;
        let id = row.ok_or_else(|| refuse("the investigator was removed meanwhile".to_owned()))?.id;
        slog::info!(self.log, "investigator added"; "investigator" => &name, "key" => fingerprint);
        let investigator = Investigator {
            id: id.float(),
            name,
            fingerprint: fingerprint.to_owned(),
            public_key: key.to_owned().into(),
            permissions,
            ..Investigator::default()
        };
        self.changed(201, request, id, &investigator)
    }

    /// Changes the status or the permissions of an investigator: a form with `id` and `status` or
    /// `permissions` as JSON.
    pub(super) fn update_investigator(
        &self,
        request: &ApiRequest,
        body: &Body,
    ) -> Result<ApiResponse, Refusal> {
        let refuse = |message: &str| Refusal::new(500, message);
        let form = form(request, body).map_err(|error| refuse(&error))?;
        let field = |name| form.first(name).unwrap_or_default();
        if field("id").is_empty() {
            return Err(refuse("Investigator ID must not be empty"));
        }
        let number = float(field("id")).map_err(|error| refuse(&error))?;
        let (status, permissions) = (field("status"), field("permissions"));
        if status.is_empty() && permissions.is_empty() {
            return Err(refuse("No updates to the investigator were specified"));
        }
        let unknown = || Refusal::new(404, format!("Investigator ID '{number:.0}' not found"));
        let id = whole(number).ok_or_else(unknown)?;
        let changed = self.store.investigator_by_id(id)?.ok_or_else(unknown)?;
        let mut investigator = Investigator { id: id.float(), ..Investigator::default() };
        if status.is_empty() {
            investigator.permissions =
                parse_permissions(permissions).map_err(|error| refuse(&error))?;
            let bits = view::bits(&investigator.permissions);
            self.keep_an_administrator(id, bits)?;
            self.store.set_permissions(id, bits, None, self.clock.now())?;
            slog::info!(self.log, "permissions of investigator changed";
                "investigator" => id.number(), "permissions" => %bits);
        } else {
            let known = [InvestigatorStatus::Active, InvestigatorStatus::Disabled]
                .into_iter()
                .find(|known| known.as_str() == status)
                .ok_or_else(|| refuse(&format!("Invalid investigator status '{status}'")))?;
            self.store.set_investigator_status(id, known, self.clock.now())?;
            self.signers.withdraw(&changed.fingerprint);
            status.clone_into(&mut investigator.status);
            slog::info!(self.log, "status of investigator changed";
                "investigator" => id.number(), "status" => status);
        }
        self.changed(200, request, id, &investigator)
    }

    /// Refuses permissions of `id` that would leave no investigator who may change investigators.
    fn keep_an_administrator(&self, id: Id, bits: Permissions) -> Result<(), Refusal> {
        let (read, update) = (Permission::Investigator, Permission::InvestigatorUpdate);
        if bits.allows(read) && bits.allows(update) {
            return Ok(());
        }
        let is_admin = |bits: Permissions| {
            [read, Permission::InvestigatorCreate, update].into_iter().any(|one| bits.allows(one))
        };
        let others = self.store.investigators()?;
        match others.iter().any(|other| other.id != id && is_admin(other.permissions)) {
            true => Ok(()),
            false => {
                let text = "Failed to update investigator: 'will not remove last admin'";
                Err(Refusal::new(500, text))
            }
        }
    }

    fn changed(
        &self,
        status: u16,
        request: &ApiRequest,
        id: Id,
        investigator: &Investigator,
    ) -> Result<ApiResponse, Refusal> {
        let value = RawValue::from_string(investigator.to_json())?;
        let item =
            Item::new(self.link("investigator", id), format!("Investigator ID {id}"), &value)?;
        Ok(collection(status, &format!("{}{}", self.base, request.uri()), &[item], None)?)
    }
}

/// Parses permissions; the error text is the original's.
fn parse_permissions(text: &str) -> Result<PermissionNames, String> {
    PermissionNames::parse(text.as_bytes()).map_err(|error| error.fault().to_string())
}

/// Checks that every database can store a name.
fn storable(name: &str) -> Result<(), String> {
    let failed = |text: &str| Err(format!("Failed to create investigator: 'pq: {text}'"));
    if name.contains('\0') {
        return failed("invalid byte sequence for encoding \"UTF8\": 0x00");
    }
    match name.chars().count() > NAME_CHARS_MAX {
        true => failed("value too long for type character varying(1024)"),
        false => Ok(()),
    }
}
