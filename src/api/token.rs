//! What a request is authorised with: a signed token, or an API key.
//!
//! A token is `1;TIME;NONCE;SIGNATURE`, the signature over the first three and a
//! line feed. The API takes it for ten minutes by its own clock, and takes it
//! again and again; we use one for five, because signing is what a request
//! costs most.
//!
//! **Invariant.** The value of a header is never shown, by `Debug` neither.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderName, HeaderValue};

use super::settings::{Credentials, SettingsError};
use crate::action::{SignError, Signature, Signer};

/// How long a token is used.
const TOKEN_SPAN: Duration = Duration::from_secs(300);
/// The header of a signed token.
const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-pgpauthorization");
/// The header of an API key.
const KEY_HEADER: HeaderName = HeaderName::from_static("x-migapikey");

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    /// It could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The system gave no random number.
    #[error("cannot get a random number from the system")]
    Random { source: io::Error },
    /// What was signed cannot stand in a header.
    #[error("cannot put the token into a header")]
    Header {
        /// What is wrong with it.
        source: reqwest::header::InvalidHeaderValue,
    },
}

/// What authorises our requests.
#[derive(Debug)]
pub(super) enum Authority {
    /// The same for all of them.
    ApiKey(HeaderValue),
    /// A token, as long as it is young.
    Tokens(Tokens),
}

/// The header that authorises a request.
#[derive(Debug, Clone)]
pub(super) struct Pass {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
}

impl Authority {
    /// Returns what makes the headers for `credentials`.
    ///
    /// # Errors
    /// The API key cannot be put into a header.
    pub(super) fn new(credentials: Credentials) -> Result<Authority, SettingsError> {
        match credentials {
            Credentials::Signer(signer) => Ok(Authority::Tokens(Tokens::new(signer))),
            Credentials::ApiKey(key) => {
                let mut value =
                    HeaderValue::from_str(key.expose()).map_err(|_| SettingsError::ApiKey)?;
                value.set_sensitive(true);
                Ok(Authority::ApiKey(value))
            }
        }
    }

    /// Returns the header for a request made now.
    pub(super) fn pass(&self, now: Timestamp) -> Result<Pass, TokenError> {
        match self {
            Authority::ApiKey(value) => Ok(Pass { name: KEY_HEADER, value: value.clone() }),
            Authority::Tokens(tokens) => tokens.pass(now, None),
        }
    }

    /// Returns another header than one that was refused; `None` if there is no other.
    pub(super) fn renewed(
        &self,
        refused: &Pass,
        now: Timestamp,
    ) -> Result<Option<Pass>, TokenError> {
        match self {
            Authority::ApiKey(_) => Ok(None),
            Authority::Tokens(tokens) => tokens.pass(now, Some(&refused.value)).map(Some),
        }
    }
}

/// Makes tokens, and keeps the last.
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

    /// Returns the last token if it is young and not the one that was refused, else a new one.
    ///
    /// Whoever comes meanwhile waits for the one that is being signed, and takes that.
    fn pass(&self, now: Timestamp, refused: Option<&HeaderValue>) -> Result<Pass, TokenError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let value = match &*last {
            Some(token) if token.is_young(now) && Some(&token.value) != refused => {
                token.value.clone()
            }
            Some(_) | None => {
                let value = self.signed(now)?;
                *last = Some(Token { made: now, value: value.clone() });
                value
            }
        };
        Ok(Pass { name: TOKEN_HEADER, value })
    }

    fn signed(&self, now: Timestamp) -> Result<HeaderValue, TokenError> {
        let claim = claim(now, nonce()?);
        // The API verifies the signature over the claim and a line feed.
        let signature = self.signer.sign(format!("{claim}\n").as_bytes())?;
        header(&claim, &signature).map_err(|source| TokenError::Header { source })
    }
}

impl Token {
    /// Tells whether the token can be used; one from the future, after the clock went back, cannot.
    fn is_young(&self, now: Timestamp) -> bool {
        Duration::try_from(now.duration_since(self.made)).is_ok_and(|age| age < TOKEN_SPAN)
    }
}

/// Returns what a token says, without its signature.
fn claim(now: Timestamp, nonce: u64) -> String {
    // Whole seconds, as the API's parser wants them.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    format!("1;{now};{nonce}")
}

fn header(
    claim: &str,
    signature: &Signature,
) -> Result<HeaderValue, reqwest::header::InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(&format!("{claim};{signature}"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Returns a number that nobody can guess.
fn nonce() -> Result<u64, TokenError> {
    let mut bytes = [0; 8];
    crate::random::fill(&mut bytes).map_err(|source| TokenError::Random { source })?;
    Ok(u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Unknown;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Signs with a number that tells one signature from the next, and checks what it signs.
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

        fn padded(&self, _: &str, _: Unknown) -> Result<Option<Signature>, SignError> {
            Ok(None)
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn authority() -> Authority {
        Authority::new(Credentials::Signer(Arc::new(Counting::default()))).unwrap()
    }

    fn signature(pass: &Pass) -> &str {
        pass.value.to_str().unwrap().rsplit(';').next().unwrap()
    }

    #[test]
    fn a_claim_has_whole_seconds_and_a_z() {
        assert_eq!(claim(at("2026-11-22T01:11:20.999Z"), 7), "1;2026-11-22T01:11:20Z;7");
    }

    #[test]
    fn a_token_has_four_parts_and_a_fresh_nonce() {
        let authority = authority();
        let now = at("2026-11-22T12:00:00Z");
        let one = authority.pass(now).unwrap();
        let other = authority.renewed(&one, now).unwrap().unwrap();
        let parts = |pass: &Pass| -> Vec<String> {
            pass.value.to_str().unwrap().split(';').map(str::to_owned).collect()
        };
        assert_eq!((one.name.as_str(), parts(&one).len()), ("x-pgpauthorization", 4));
        assert_ne!(parts(&one)[2], parts(&other)[2]);
        assert!(!format!("{one:?}").contains("s0="), "{one:?}");
    }

    #[test]
    fn a_token_is_used_until_it_is_five_minutes_old() {
        let authority = authority();
        let pass = |time| signature(&authority.pass(at(time)).unwrap()).to_owned();
        assert_eq!(pass("2026-11-22T12:00:00Z"), "s0=");
        assert_eq!(pass("2026-11-22T12:04:59Z"), "s0=");
        assert_eq!(pass("2026-11-22T12:05:00Z"), "s1=");
        // The clock went back: the API may take the old one for one of the future.
        assert_eq!(pass("2026-11-22T12:04:59Z"), "s2=");
    }

    #[test]
    fn a_refused_token_is_renewed_once_for_all_who_used_it() {
        let authority = authority();
        let now = at("2026-11-22T12:00:00Z");
        let refused = authority.pass(now).unwrap();
        let one = authority.renewed(&refused, now).unwrap().unwrap();
        let other = authority.renewed(&refused, now).unwrap().unwrap();
        assert_eq!((signature(&one), signature(&other)), ("s1=", "s1="));
    }

    #[test]
    fn an_api_key_is_always_the_same_and_never_shown() {
        let key = "k3y".to_owned().into();
        let authority = Authority::new(Credentials::ApiKey(key)).unwrap();
        let now = at("2026-11-22T12:00:00Z");
        let pass = authority.pass(now).unwrap();
        assert_eq!((pass.name.as_str(), pass.value.as_bytes()), ("x-migapikey", &b"k3y"[..]));
        assert!(authority.renewed(&pass, now).unwrap().is_none());
        assert!(!format!("{authority:?}").contains("k3y"));
        let bad = Credentials::ApiKey("a\nb".to_owned().into());
        assert!(matches!(Authority::new(bad), Err(SettingsError::ApiKey)));
    }
}
