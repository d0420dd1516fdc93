//! Who asks: the token of an investigator, really verified, or an API key.
//!
//! A token is `1;TIME;NONCE;SIGNATURE`, signed over the three first parts and a
//! line feed. It may be used until it ages out; who has overheard it has what its
//! owner may do for that long, which is why the platform listens on loopback.

use std::time::Duration;

use super::{Api, Refusal, Request};
use crate::action::Time;
use crate::chain::Chain;
use crate::clock::elapsed;
use crate::data::{ApiKey, InvestigatorRow};
use crate::pgp::RsaNumbers;
use crate::platform::signers::SignatureError;

/// The header with the token.
const TOKEN: &str = "x-pgpauthorization";
/// The header with an API key.
const KEY: &str = "x-migapikey";
/// How far a token's time may be from ours, before or after.
const TOKEN_SPAN: Duration = Duration::from_secs(600);
/// The form of a token's time, as Go's errors write it.
const LAYOUT: &str = "2006-01-02T15:04:05Z";

/// Why a token identifies no investigator.
enum Unknown {
    /// It is not good; the text is the original's.
    Refused(String),
    /// It could not be judged.
    Unjudged(SignatureError),
}

impl From<String> for Unknown {
    fn from(text: String) -> Unknown {
        Unknown::Refused(text)
    }
}

impl Api {
    /// Returns the active investigator who sent a request.
    pub(super) fn authenticate(&self, request: &Request) -> Result<InvestigatorRow, Refusal> {
        let failed = |text: &str| {
            let text = format!("Authorization verification failed with error '{text}'");
            Refusal::new(401, text)
        };
        match (request.header(TOKEN), request.header(KEY)) {
            (Some(token), _) => self.bearer(token).map_err(|unknown| match unknown {
                Unknown::Refused(text) => failed(&format!("verifySignedToken() -> {text}")),
                Unknown::Unjudged(error) => Refusal::unjudged(&error),
            }),
            (None, Some(key)) => {
                self.key_owner(key)?.ok_or_else(|| failed("API key authentication failed"))
            }
            (None, None) => Err(Refusal::new(401, "Valid authentication header not found")),
        }
    }

    /// Returns the active investigator whose API key this is. As on the real platform, an unknown key
    /// and a table that cannot be read have the same answer.
    fn key_owner(&self, key: &str) -> Result<Option<InvestigatorRow>, Refusal> {
        let Some(key) = ApiKey::sent(key) else { return Ok(None) };
        match self.store.investigator_with_key(&key) {
            Err(error) if !error.is_temporary() => {
                slog::error!(self.log, "cannot look for the owner of an API key"; "error" => %Chain(&error));
                Ok(None)
            }
            found => Ok(found?),
        }
    }

    fn bearer(&self, token: &str) -> Result<InvestigatorRow, Unknown> {
        let parts: Vec<&str> = token.split(';').collect();
        let [version, time, nonce, signature] = parts.as_slice() else {
            return Err("invalid token format".to_owned().into());
        };
        if *version != "1" {
            return Err("invalid token version, must be 1".to_owned().into());
        }
        let time = parse_time(time)?;
        let now = self.clock.now();
        if elapsed(time, now).max(elapsed(now, time)) > TOKEN_SPAN {
            return Err("token timestamp is not within acceptable time limits".to_owned().into());
        }
        let signed = format!("1;{};{nonce}\n", parts.get(1).copied().unwrap_or_default());
        // No agent looks at a token, so its number may be short.
        let signed = self.signers.who_signed(signed.as_bytes(), signature, RsaNumbers::AnyLength);
        signed.map_err(|error| match error {
            SignatureError::Data(error) if !error.is_temporary() => {
                format!("Error while finding investigator: '{}'", Chain(&error)).into()
            }
            error if error.is_verdict() => {
                format!("GetFingerprintFromSignature() -> {}", Chain(&error)).into()
            }
            error => Unknown::Unjudged(error),
        })
    }
}

/// Reads a token's time: UTC, written with a `Z`; the error is in Go's words.
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
    fn a_tokens_time_is_utc() {
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
