//! Imports a public key into an empty home and checks whether the platform can use it.
//!
//! Only an import checks the self-signatures. Parts that GnuPG drops are missing from its export;
//! such a key is rejected, because the platform's own library rejects it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::PathBuf;

use gpgme::{Context, Error, ExportMode, Key, KeyAlgorithm, KeyListMode, Subkey, UserIdSignature};
use serde::{Deserialize, Serialize};

use super::{Call, Calls};
use crate::pgp::fingerprint::Fingerprint;
use crate::pgp::gnupg;
use crate::pgp::key_packets::KeyPackets;
use crate::pgp::public_key_error::PublicKeyError;
use crate::pgp::wire;

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pgp) struct CheckKey {
    /// An empty home, which then contains the key.
    #[serde(with = "wire::path")]
    pub(in crate::pgp) home: PathBuf,
    /// The packets of one key. Nothing else may reach GnuPG.
    #[serde(with = "wire::bytes")]
    pub(in crate::pgp) data: Vec<u8>,
}

/// A key with which the platform can verify signatures.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pgp) struct CheckedKey {
    pub(in crate::pgp) fingerprint: Fingerprint,
    /// The first user id.
    pub(in crate::pgp) owner: String,
}

impl Call for CheckKey {
    type Answer = Result<CheckedKey, PublicKeyError>;

    fn run(self, _: &mut Calls) -> Self::Answer {
        let given = KeyPackets::read(&self.data)?;
        let imported = gnupg::import(&self.home, &self.data).map_err(PublicKeyError::GnuPg)?;
        let fingerprint = imported.ok_or(PublicKeyError::SelfSignature)?;
        let mut context = gnupg::context(&self.home).map_err(PublicKeyError::GnuPg)?;
        // In this mode GnuPG checks all signatures on user ids; an import checks only the first.
        context
            .set_key_list_mode(KeyListMode::LOCAL | KeyListMode::SIGS)
            .map_err(PublicKeyError::GnuPg)?;
        let key = context.get_key(fingerprint.as_str()).map_err(PublicKeyError::GnuPg)?;
        let damaged =
            count_dropped(&mut context, &given, &fingerprint)? + count_bad_signatures(&key);
        if damaged > 0 {
            return Err(PublicKeyError::Partial { key: fingerprint, count: damaged });
        }
        let owner = check(&key, &fingerprint)?;
        Ok(CheckedKey { fingerprint, owner })
    }
}

/// Returns the number of packets of the owner of a key that GnuPG did not import.
fn count_dropped(
    context: &mut Context,
    given: &KeyPackets<'_>,
    fingerprint: &Fingerprint,
) -> Result<usize, PublicKeyError> {
    let mut exported = Vec::new();
    context.set_armor(false);
    context
        .export([fingerprint.as_str()], ExportMode::empty(), &mut exported)
        .map_err(PublicKeyError::GnuPg)?;
    let id = fingerprint.id().ok_or(PublicKeyError::GnuPg(Error::INV_VALUE))?;
    let given = given.own(&id);
    if exported.is_empty() {
        // The key has just been imported, so GnuPG could not read its keyring.
        return Err(PublicKeyError::GnuPg(Error::NOT_PROCESSED));
    }
    let kept = KeyPackets::read(&exported).map_or_else(|_| BTreeSet::new(), |kept| kept.own(&id));
    Ok(given.difference(&kept).count())
}

/// Returns the number of bad signatures on the user ids of a key. Signatures by other keys cannot
/// be checked.
fn count_bad_signatures(key: &Key) -> usize {
    let is_bad =
        |signature: &UserIdSignature<'_>| signature.status().code() == Error::BAD_SIGNATURE.code();
    key.user_ids().map(|user| user.signatures().filter(is_bad).count()).sum()
}

/// Checks that the platform can verify signatures with a key; returns its first user id.
fn check(key: &Key, fingerprint: &Fingerprint) -> Result<String, PublicKeyError> {
    let primary = key.primary_key().ok_or(PublicKeyError::GnuPg(Error::INV_VALUE))?;
    let unusable = |why| PublicKeyError::Unusable { key: fingerprint.clone(), why: Cow::from(why) };
    let why = [
        (key.is_revoked(), "is revoked"),
        (key.is_expired(), "is expired: extend it, and export it again"),
        (key.is_disabled(), "is disabled"),
        (key.is_invalid(), "is invalid"),
    ];
    if let Some((_, why)) = why.into_iter().find(|(is, _)| *is) {
        return Err(unusable(why));
    }
    let signing: Vec<Subkey<'_>> =
        key.subkeys().filter(|part| part.can_sign() && !part.is_bad()).collect();
    if signing.is_empty() {
        return Err(unusable("cannot sign"));
    }
    for part in signing.iter().chain([&primary]) {
        if !matches!(part.algorithm(), KeyAlgorithm::Rsa | KeyAlgorithm::RsaSign) {
            let algorithm = part.algorithm_name().unwrap_or_else(|_| "unknown".to_owned());
            return Err(PublicKeyError::Type { key: fingerprint.clone(), algorithm });
        }
    }
    Ok(key.user_ids().next().and_then(|user| user.id().ok()).unwrap_or_default().to_owned())
}
