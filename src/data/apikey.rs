//! API keys: the alternative to signed tokens for authentication at the API.
//!
//! A key is 32 letters and digits from the system's random source. The database holds what the
//! original platform stores, so that the original's API accepts the key too: a salt of 16 random
//! bytes, and the PBKDF2 hash of key and salt. The key itself is shown once and never stored.

use std::io;

use jiff::Timestamp;
use pbkdf2::pbkdf2_hmac_array;
use sha2::Sha256;

use super::database::query;
use super::error::DataError;
use super::id::Id;
use super::investigator::InvestigatorRow;
use super::store::Store;
use crate::config::secret::Secret;
use crate::random;

/// The characters of a key.
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const KEY_LETTERS: usize = 32;
/// Maximum length of a key that is checked, in bytes.
const KEY_BYTES_MAX: usize = 128;
/// Number of PBKDF2 rounds.
const ROUNDS: u32 = 4096;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// Random bytes from this value on are discarded, so that all letters are equally likely.
const FAIR_BYTES: u8 = 248;

/// A key as the client sends it.
#[derive(Debug)]
pub(crate) struct ApiKey(Secret);

/// The stored form of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct StoredKey {
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl ApiKey {
    /// Generates a random key.
    ///
    /// # Errors
    /// The system's random source failed.
    pub(crate) fn generate() -> io::Result<ApiKey> {
        let mut key = String::with_capacity(KEY_LETTERS);
        while key.len() < KEY_LETTERS {
            let mut byte = [0];
            random::fill(&mut byte)?;
            let fair = byte.into_iter().filter(|byte| *byte < FAIR_BYTES);
            key.extend(fair.filter_map(|byte| {
                LETTERS.get(usize::from(byte) % LETTERS.len()).copied().map(char::from)
            }));
        }
        Ok(ApiKey(Secret::from(key)))
    }

    /// Returns the key that a client sent, or `None` if no key has that length.
    pub(crate) fn from_client(text: &str) -> Option<ApiKey> {
        let is_possible = (1..=KEY_BYTES_MAX).contains(&text.len());
        is_possible.then(|| ApiKey(Secret::from(text.to_owned())))
    }

    /// Returns the key in clear text, to show it once.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }

    fn hash(&self, salt: &[u8]) -> [u8; HASH_BYTES] {
        pbkdf2_hmac_array::<Sha256, HASH_BYTES>(self.expose().as_bytes(), salt, ROUNDS)
    }

    /// Returns the form to store, with a new salt.
    fn to_stored(&self) -> io::Result<StoredKey> {
        let mut salt = vec![0; SALT_BYTES];
        random::fill(&mut salt)?;
        let hash = self.hash(&salt).to_vec();
        Ok(StoredKey { salt, hash })
    }
}

impl StoredKey {
    /// Returns whether this is the stored form of `key`, in constant time.
    fn matches(&self, key: &ApiKey) -> bool {
        let hash = key.hash(&self.salt);
        let differing =
            hash.iter().zip(&self.hash).fold(0, |all, (one, other)| all | (one ^ other));
        differing == 0 && hash.len() == self.hash.len()
    }
}

impl Store {
    /// Replaces the API key of an investigator; returns whether the investigator exists.
    ///
    /// # Errors
    /// The tables cannot be written, or the system's random source failed.
    pub(crate) fn set_api_key(
        &self,
        investigator: Id,
        key: &ApiKey,
        now: Timestamp,
    ) -> Result<bool, DataError> {
        let stored = key.to_stored().map_err(|source| DataError::Random { source })?;
        let (hash, salt) = (stored.hash.as_slice().into(), stored.salt.as_slice().into());
        let values = [investigator.into(), hash, salt, now.into()];
        Ok(self.run(&query!("set_api_key"), &values)? > 0)
    }

    /// Returns whether an investigator has an API key.
    pub(crate) fn has_api_key(&self, investigator: Id) -> Result<bool, DataError> {
        let values = [investigator.into()];
        let has = self.one(&query!("has_api_key"), &values, |mut row| row.read_number("has"))?;
        Ok(has.is_some_and(|has| has != 0))
    }

    /// Returns the active investigator with this key.
    pub(crate) fn investigator_with_key(
        &self,
        key: &ApiKey,
    ) -> Result<Option<InvestigatorRow>, DataError> {
        // The substitute for an unreadable hash is empty and matches no key.
        let keys = self.all(&query!("api_keys"), &[], |mut row| {
            let id = row.read_id("id");
            (id, StoredKey { hash: row.read_bytes("apikey"), salt: row.read_bytes("apisalt") })
        })?;
        // Every key is checked, so that the response time does not show whose key matches.
        let owners: Vec<Id> =
            keys.iter().filter(|(_, stored)| stored.matches(key)).map(|(id, _)| *id).collect();
        let Some(owner) = owners.first() else { return Ok(None) };
        let investigator = self.investigator_by_id(*owner)?;
        Ok(investigator.filter(InvestigatorRow::is_active))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_that_of_the_original_platform() {
        // A known vector of PBKDF2-HMAC-SHA256 with 4096 rounds.
        let key = ApiKey::from_client("password").unwrap();
        let hash: String = key.hash(b"salt").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a");
    }

    #[test]
    fn keys_have_32_letters_and_digits_and_are_unique() {
        let (one, other) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
        assert_eq!(one.expose().len(), KEY_LETTERS);
        assert!(one.expose().bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(one.expose(), other.expose());
        assert!(!format!("{one:?}").contains(one.expose()));
        let (stored, again) = (one.to_stored().unwrap(), one.to_stored().unwrap());
        assert_ne!(stored, again, "each has its own salt");
        assert!(stored.matches(&one) && !stored.matches(&other));
    }

    #[test]
    fn keys_of_impossible_length_and_empty_hashes_match_nothing() {
        assert!(ApiKey::from_client("").is_none());
        assert!(ApiKey::from_client(&"x".repeat(KEY_BYTES_MAX + 1)).is_none());
        let empty = StoredKey { salt: Vec::new(), hash: Vec::new() };
        assert!(!empty.matches(&ApiKey::from_client("x").unwrap()));
    }
}
