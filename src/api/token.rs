//! Authorization of requests: a signed token, or an API key.
//!
//! A token is `1;TIME;NONCE;SIGNATURE`, where the signature covers the first three fields and a
//! line feed. The API accepts a token for ten minutes by its own clock, any number of times. The
//! client reuses a token for five minutes, because signing is the most expensive part of a request.
//!
//! **Invariant.** The value of a header is never shown, not even by `Debug`.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderName, HeaderValue};

use super::settings::{Credentials, SettingsError};
use crate::action::{SignError, Signature, Signer};

/// Maximum age of a token that is reused.
const TOKEN_SPAN: Duration = Duration::from_secs(300);
const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-pgpauthorization");
const KEY_HEADER: HeaderName = HeaderName::from_static("x-migapikey");

/// A token could not be created.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error("cannot get a random number from the system")]
    Random { source: io::Error },
    #[error("the token contains a character that a header cannot contain")]
    Header { source: reqwest::header::InvalidHeaderValue },
}

/// The source of authorization headers.
#[derive(Debug)]
pub(super) enum Authorization {
    /// A constant header.
    ApiKey(HeaderValue),
    Tokens(Tokens),
}

#[derive(Debug, Clone)]
pub(super) struct AuthHeader {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
}

impl Authorization {
    /// # Errors
    /// The API key contains a character that a header cannot contain.
    pub(super) fn new(credentials: Credentials) -> Result<Authorization, SettingsError> {
        match credentials {
            Credentials::Signer(signer) => Ok(Authorization::Tokens(Tokens::new(signer))),
            Credentials::ApiKey(key) => {
                let mut value =
                    HeaderValue::from_str(key.expose()).map_err(|_| SettingsError::ApiKey)?;
                value.set_sensitive(true);
                Ok(Authorization::ApiKey(value))
            }
        }
    }

    /// Returns the header for a request at `now`.
    pub(super) fn header(&self, now: Timestamp) -> Result<AuthHeader, TokenError> {
        match self {
            Authorization::ApiKey(value) => {
                Ok(AuthHeader { name: KEY_HEADER, value: value.clone() })
            }
            Authorization::Tokens(tokens) => tokens.header(now, None),
        }
    }

    /// Returns a header other than one that was refused, or `None` if there is no other.
    pub(super) fn renewed(
        &self,
        refused: &AuthHeader,
        now: Timestamp,
    ) -> Result<Option<AuthHeader>, TokenError> {
        match self {
            Authorization::ApiKey(_) => Ok(None),
            Authorization::Tokens(tokens) => tokens.header(now, Some(&refused.value)).map(Some),
        }
    }
}

/// Creates tokens and keeps the last one.
pub(super) struct Tokens {
    signer: Arc<dyn Signer>,
    last: Mutex<Option<Token>>,
}

#[derive(Debug)]
struct Token {
    made: Timestamp,
    value: HeaderValue,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("signer", &self.signer).finish_non_exhaustive()
    }
}

impl Tokens {
    fn new(signer: Arc<dyn Signer>) -> Tokens {
        Tokens { signer, last: Mutex::new(None) }
    }

    /// Returns the last token if it is not too old and was not refused, else a new one.
    ///
    /// Concurrent callers wait while a token is being signed, and then use it.
    fn header(
        &self,
        now: Timestamp,
        refused: Option<&HeaderValue>,
    ) -> Result<AuthHeader, TokenError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let value = match &*last {
            Some(token) if token.is_reusable(now) && Some(&token.value) != refused => {
                token.value.clone()
            }
            Some(_) | None => {
                let value = self.signed(now)?;
                *last = Some(Token { made: now, value: value.clone() });
                value
            }
        };
        Ok(AuthHeader { name: TOKEN_HEADER, value })
    }

    fn signed(&self, now: Timestamp) -> Result<HeaderValue, TokenError> {
        let claim = claim(now, nonce()?);
        // The signature covers the claim and a line feed.
        let signature = self.signer.sign(format!("{claim}\n").as_bytes())?;
        header_value(&claim, &signature).map_err(|source| TokenError::Header { source })
    }
}

impl Token {
    /// Returns whether the token can be reused. A token from the future, after the clock was set
    /// back, cannot.
    fn is_reusable(&self, now: Timestamp) -> bool {
        Duration::try_from(now.duration_since(self.made)).is_ok_and(|age| age < TOKEN_SPAN)
    }
}

/// Returns the signed fields of a token.
fn claim(now: Timestamp, nonce: u64) -> String {
    // The API's parser requires whole seconds.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    format!("1;{now};{nonce}")
}

fn header_value(
    claim: &str,
    signature: &Signature,
) -> Result<HeaderValue, reqwest::header::InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(&format!("{claim};{signature}"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Returns an unpredictable number.
fn nonce() -> Result<u64, TokenError> {
    let mut bytes = [0; 8];
    crate::random::fill(&mut bytes).map_err(|source| TokenError::Random { source })?;
    Ok(u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::UnknownKey;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Numbers its signatures, and checks the text that it signs.
    #[derive(Debug, Default)]
    struct Counting(AtomicU32);

    impl Signer for Counting {
        fn sign(&self, bytes: &[u8]) -> Result<Signature, SignError> {
            let text = std::str::from_utf8(bytes).unwrap();
            assert!(text.starts_with("1;") && text.ends_with('\n'), "{text:?}");
            assert_eq!(text.matches(';').count(), 2);
            let count = self.0.fetch_add(1, Ordering::Relaxed);
            Ok(Signature::try_from(format!("s{count}=")).unwrap())
        }

        fn fingerprint(&self) -> &'static str {
            "0"
        }

        fn padded(&self, _: &str, _: UnknownKey) -> Result<Option<Signature>, SignError> {
            Ok(None)
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn authorization() -> Authorization {
        Authorization::new(Credentials::Signer(Arc::new(Counting::default()))).unwrap()
    }

    fn signature(header: &AuthHeader) -> &str {
        header.value.to_str().unwrap().rsplit(';').next().unwrap()
    }

    #[test]
    fn claim_has_whole_seconds_and_a_z() {
        assert_eq!(claim(at("2026-11-22T01:11:20.999Z"), 7), "1;2026-11-22T01:11:20Z;7");
    }

    #[test]
    fn a_token_has_four_parts_and_a_fresh_nonce() {
        let authorization = authorization();
        let now = at("2026-11-22T12:00:00Z");
        let one = authorization.header(now).unwrap();
        let other = authorization.renewed(&one, now).unwrap().unwrap();
        let parts = |header: &AuthHeader| -> Vec<String> {
            header.value.to_str().unwrap().split(';').map(str::to_owned).collect()
        };
        assert_eq!((one.name.as_str(), parts(&one).len()), ("x-pgpauthorization", 4));
        assert_ne!(parts(&one)[2], parts(&other)[2]);
        assert!(!format!("{one:?}").contains("s0="), "{one:?}");
    }

    #[test]
    fn a_token_is_used_until_it_is_five_minutes_old() {
        let authorization = authorization();
        let signed = |time| signature(&authorization.header(at(time)).unwrap()).to_owned();
        assert_eq!(signed("2026-11-22T12:00:00Z"), "s0=");
        assert_eq!(signed("2026-11-22T12:04:59Z"), "s0=");
        assert_eq!(signed("2026-11-22T12:05:00Z"), "s1=");
        // After the clock was set back, the API may regard the old token as one from the future.
        assert_eq!(signed("2026-11-22T12:04:59Z"), "s2=");
    }

    #[test]
    fn refused_token_is_renewed_once_for_all_its_users() {
        let authorization = authorization();
        let now = at("2026-11-22T12:00:00Z");
        let refused = authorization.header(now).unwrap();
        let one = authorization.renewed(&refused, now).unwrap().unwrap();
        let other = authorization.renewed(&refused, now).unwrap().unwrap();
        assert_eq!((signature(&one), signature(&other)), ("s1=", "s1="));
    }

    #[test]
    fn api_key_is_constant_and_never_shown() {
        let key = "k3y".to_owned().into();
        let authorization = Authorization::new(Credentials::ApiKey(key)).unwrap();
        let now = at("2026-11-22T12:00:00Z");
        let header = authorization.header(now).unwrap();
        assert_eq!((header.name.as_str(), header.value.as_bytes()), ("x-migapikey", &b"k3y"[..]));
        assert!(authorization.renewed(&header, now).unwrap().is_none());
        assert!(!format!("{authorization:?}").contains("k3y"));
        let bad = Credentials::ApiKey("a\nb".to_owned().into());
        assert!(matches!(Authorization::new(bad), Err(SettingsError::ApiKey)));
    }
}
