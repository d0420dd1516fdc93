//! Access to GnuPG's library: contexts for a home, and the meaning of its errors.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use gpgme::{Context, Error, PinentryMode, Protocol};
use serde::{Deserialize, Serialize};

#[cfg(any(test, feature = "data"))]
use super::fingerprint::Fingerprint;
use super::wire;

/// The longest path of a home in which the agent can create its sockets, in bytes.
///
/// Measured with GnuPG 2.2, whose longest socket name is `S.gpg-agent.browser`.
pub(super) const HOME_BYTES_MAX: usize = 86;

/// Whether the library did not find GnuPG.
static IS_ENGINE_MISSING: AtomicBool = AtomicBool::new(false);

/// An error of the library, as the answer to a call.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct LibraryError(#[serde(with = "wire::gnupg")] pub(super) Error);

impl From<Error> for LibraryError {
    fn from(error: Error) -> LibraryError {
        LibraryError(error)
    }
}

/// Returns whether the library did not find GnuPG, which it remembers.
pub(super) fn is_engine_missing() -> bool {
    IS_ENGINE_MISSING.load(Ordering::Relaxed)
}

/// Returns a GnuPG context for the home `home` that never prompts a user.
pub(super) fn context(home: &Path) -> Result<Context, Error> {
    let context = configured_context(home);
    if context.as_ref().is_err_and(|error| error.code() == Error::INV_ENGINE.code()) {
        IS_ENGINE_MISSING.store(true, Ordering::Relaxed);
    }
    context
}

fn configured_context(home: &Path) -> Result<Context, Error> {
    let mut context = Context::from_protocol(Protocol::OpenPgp)?;
    let home = CString::new(home.as_os_str().as_bytes()).map_err(|_| Error::INV_VALUE)?;
    context.set_engine_home_dir(home)?;
    context.set_armor(true);
    // Use only the home: no network and no lists of revocations.
    context.set_offline(true);
    context.set_pinentry_mode(PinentryMode::Loopback)?;
    Ok(context)
}

/// Imports a key into a home; returns its fingerprint, or `None` if GnuPG rejects the key.
///
/// GnuPG reports no error when it cannot write its keyring, for instance on a full disk. In that
/// case it has considered no key, and this returns an error.
#[cfg(any(test, feature = "data"))]
pub(super) fn import(home: &Path, key: &[u8]) -> Result<Option<Fingerprint>, Error> {
    let result = context(home)?.import(key)?;
    let mut imported = None;
    for import in result.imports() {
        import.result()?;
        imported = import.fingerprint().ok().map(Fingerprint::new);
    }
    match imported {
        None if result.considered() == 0 => Err(Error::NOT_PROCESSED),
        imported => Ok(imported),
    }
}

/// Returns the system error number that an error of GnuPG contains; `None` if there is none.
pub(crate) fn system_error(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let error = error.downcast_ref::<Error>()?;
    Some(error.to_errno()).filter(|number| *number != 0)
}

/// Returns whether an error means that the agent has ended. The next call starts a new one.
pub(super) fn is_agent_gone(error: Error) -> bool {
    [Error::EOF, Error::UNUSABLE_SECKEY, Error::NO_AGENT]
        .iter()
        .any(|gone| gone.code() == error.code())
}

/// Returns whether an error means that GnuPG's compliance mode does not allow this key or this
/// machine. The type of the key has been checked before.
pub(super) fn is_forbidden(error: Error) -> bool {
    [Error::FORBIDDEN, Error::PUBKEY_ALGO].iter().any(|forbidden| forbidden.code() == error.code())
}

/// Returns whether an error persists until the operator acts.
pub(super) fn is_permanent(error: Error) -> bool {
    let permanent = [
        Error::BAD_PASSPHRASE,
        Error::CANCELED,
        Error::NO_PASSPHRASE,
        Error::NO_PIN_ENTRY,
        Error::NO_SECKEY,
        Error::UNUSABLE_SECKEY,
    ];
    permanent.iter().any(|known| known.code() == error.code())
}
