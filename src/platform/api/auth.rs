//! Authentication: a token that an investigator has signed, or an API key.
//!
//! A token is `1;TIME;NONCE;SIGNATURE`. The signature covers the first three parts and a line feed.
//! A token may be used repeatedly until it expires. Anyone who intercepts it has its owner's
//! permissions for that time, so the platform listens on loopback by default.

use std::time::Duration;

use super::{Api, ApiRequest, Refusal, Repeatable};
use crate::chain::Chain;
use crate::clock::elapsed;
use crate::data::{ApiKey, InvestigatorRow};
use crate::go::time::Time;
use crate::logging::Suppressed;
use crate::pgp::RsaNumbers;
use crate::platform::signers::SignatureError;

/// The header that contains the token.
const TOKEN: &str = "x-pgpauthorization";
/// The header that contains an API key.
const KEY: &str = "x-migapikey";
/// Size limit of a token, in bytes: a signature by the longest RSA key needs a tenth of it.
const TOKEN_BYTES_MAX: usize = 32 * 1024;
/// Maximum difference between a token's time and now, in both directions.
const TOKEN_AGE_MAX: Duration = Duration::from_secs(600);
/// The format of a token's time, as Go's error messages quote it.
const LAYOUT: &str = "2006-01-02T15:04:05Z";

/// Why a token identifies no investigator.
enum TokenError {
    /// The token is invalid; the text is the original's.
    Invalid(String),
    /// The token could not be checked now.
    Unchecked(SignatureError),
}

impl From<String> for TokenError {
    fn from(text: String) -> TokenError {
        TokenError::Invalid(text)
    }
}

impl Api {
    /// Returns the active investigator who has sent a request.
    pub(super) fn authenticate(&self, request: &ApiRequest) -> Result<InvestigatorRow, Refusal> {
        let failed = |text: &str| {
            let text = format!("Authorization verification failed with error '{text}'");
            Refusal::new(401, text)
        };
        match (request.header(TOKEN), request.header(KEY)) {
            (Some(token), _) => self.token_owner(token).map_err(|error| match error {
                TokenError::Invalid(text) => failed(&format!("verifySignedToken() -> {text}")),
                TokenError::Unchecked(error) => Refusal::unavailable(&error),
            }),
            (None, Some(key)) => {
                self.key_owner(key)?.ok_or_else(|| failed("API key authentication failed"))
            }
            (None, None) => Err(Refusal::new(401, "Valid authentication header not found")),
        }
    }

    /// Returns the active investigator with this API key. As in the original, the response does not
    /// distinguish an unknown key from a table that cannot be read.
    fn key_owner(&self, key: &str) -> Result<Option<InvestigatorRow>, Refusal> {
        let Some(key) = ApiKey::from_client(key) else { return Ok(None) };
        match self.store.investigator_with_key(&key) {
            Err(error) if !error.is_temporary() => {
                let now = self.clock.now();
                if let Some(suppressed) = self.repeats.record(Repeatable::KeyLookup, now) {
                    slog::error!(self.log, "cannot look up API key";
                        "error" => %Chain(&error), Suppressed(suppressed));
                }
                Ok(None)
            }
            found => Ok(found?),
        }
    }

    fn token_owner(&self, token: &str) -> Result<InvestigatorRow, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(format!("token is longer than {TOKEN_BYTES_MAX} bytes").into());
        }
        let parts: Vec<&str> = token.split(';').collect();
        let [version, time, nonce, signature] = parts.as_slice() else {
            return Err("invalid token format".to_owned().into());
        };
        if *version != "1" {
            return Err("invalid token version, must be 1".to_owned().into());
        }
        let time = parse_time(time)?;
        let now = self.clock.now();
        if elapsed(time, now).max(elapsed(now, time)) > TOKEN_AGE_MAX {
            return Err("token timestamp is not within acceptable time limits".to_owned().into());
        }
        let signed = format!("1;{};{nonce}\n", parts.get(1).copied().unwrap_or_default());
        // Agents do not verify tokens, so the RSA number may be short.
        let signed = self.signers.who_signed(signed.as_bytes(), signature, RsaNumbers::AnyLength);
        signed.map_err(|error| match error {
            SignatureError::Data(error) if !error.is_temporary() => {
                format!("Error while finding investigator: '{}'", Chain(&error)).into()
            }
            error if error.is_verdict() => {
                format!("GetFingerprintFromSignature() -> {}", Chain(&error)).into()
            }
            error => TokenError::Unchecked(error),
        })
    }
}

/// Parses a token's time, which must be UTC with a `Z`; the error text is Go's.
fn parse_time(text: &str) -> Result<jiff::Timestamp, String> {
    let wrong = |rest: &str, part: &str| {
        format!("parsing time {text:?} as {LAYOUT:?}: cannot parse {rest:?} as {part:?}")
    };
    let time: Time = text.parse().map_err(|_| wrong(text, "2006"))?;
    if !text.ends_with('Z') {
        let zone = text.rfind(['+', '-']).and_then(|at| text.get(at..)).unwrap_or_default();
        return Err(wrong(zone, "Z"));
    }
    Ok(time.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_time_must_be_utc() {
        assert_eq!(parse_time("2026-11-22T01:01:36Z").unwrap().as_second(), 1_795_309_296);
        assert_eq!(parse_time("2026-11-22T01:01:36.5Z").unwrap().subsec_millisecond(), 500);
        assert_eq!(
            parse_time("2026-11-22T01:01:36+00:00").unwrap_err(),
            r#"parsing time "2026-11-22T01:01:36+00:00" as "2006-01-02T15:04:05Z": cannot parse "+00:00" as "Z""#
        );
        assert_eq!(
            parse_time("yesterday").unwrap_err(),
            r#"parsing time "yesterday" as "2006-01-02T15:04:05Z": cannot parse "yesterday" as "2006""#
        );
    }
}
