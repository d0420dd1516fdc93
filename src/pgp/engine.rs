//! The way to GnuPG: contexts of a home, and what its errors mean.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use gpgme::{Context, Error, PinentryMode, Protocol};

#[cfg(any(test, feature = "data"))]
use super::Fingerprint;

/// The longest path of a home in which the agent can open its sockets, in bytes.
///
/// Measured with GnuPG 2.2: its longest socket, `S.gpg-agent.browser`, still fits.
pub(super) const HOME_BYTES_MAX: usize = 86;

/// Returns a context of GnuPG with its home at `home`; it never asks anybody anything.
pub(super) fn context(home: &Path) -> Result<Context, Error> {
    let mut context = Context::from_protocol(Protocol::OpenPgp)?;
    let home = CString::new(home.as_os_str().as_bytes()).map_err(|_| Error::INV_VALUE)?;
    context.set_engine_home_dir(home)?;
    context.set_armor(true);
    // No look into networks or lists of revocations: only what is in the home.
    context.set_offline(true);
    context.set_pinentry_mode(PinentryMode::Loopback)?;
    Ok(context)
}

/// Imports a key into a home; returns its fingerprint, or nothing if GnuPG refuses the key.
///
/// # Errors
/// GnuPG failed. It reports no error when it cannot write its keyring (no space is left, for
/// instance): then it has considered no key.
#[cfg(any(test, feature = "data"))]
pub(super) fn import(home: &Path, key: &[u8]) -> Result<Option<Fingerprint>, Error> {
    let result = context(home)?.import(key)?;
    let mut taken = None;
    for import in result.imports() {
        import.result()?;
        taken = import.fingerprint().ok().map(Fingerprint::new);
    }
    match taken {
        None if result.considered() == 0 => Err(Error::NOT_PROCESSED),
        taken => Ok(taken),
    }
}

/// Returns the number of the system's error that an error of GnuPG stands for, if it is one.
pub(crate) fn system_error(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let error = error.downcast_ref::<Error>()?;
    Some(error.to_errno()).filter(|number| *number != 0)
}

/// Tells whether an error is what a dead agent looks like; the next call starts a new one.
pub(super) fn is_agent_gone(error: Error) -> bool {
    [Error::EOF, Error::UNUSABLE_SECKEY, Error::NO_AGENT]
        .iter()
        .any(|gone| gone.code() == error.code())
}

/// Returns whether an error means that GnuPG's compliance mode allows neither this key nor this machine: the
/// type of the key has been checked before.
pub(super) fn is_forbidden(error: Error) -> bool {
    [Error::FORBIDDEN, Error::PUBKEY_ALGO].iter().any(|forbidden| forbidden.code() == error.code())
}

/// Tells whether an error will not go away by itself.
pub(super) fn is_final(error: Error) -> bool {
    let last = [
        Error::BAD_PASSPHRASE,
        Error::CANCELED,
        Error::NO_PASSPHRASE,
        Error::NO_PIN_ENTRY,
        Error::NO_SECKEY,
        Error::UNUSABLE_SECKEY,
    ];
    last.iter().any(|last| last.code() == error.code())
}
