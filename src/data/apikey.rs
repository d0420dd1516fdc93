//! API keys: what a client sends instead of a token, and what is kept of it.
//!
//! A key is 32 letters and digits from the system's random source. Kept is what the platform
//! keeps, so that its own API accepts the key: 16 random bytes, and what PBKDF2 makes of key and
//! bytes. The key itself is shown once and never kept.

use std::io;

use jiff::Timestamp;
use pbkdf2::pbkdf2_hmac_array;
use sha2::Sha256;

use super::database::query;
use super::{DataError, Id, InvestigatorRow, Store};
use crate::config::secret::Secret;
use crate::random;

/// What a key is made of.
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// How many letters a key has.
const KEY_LETTERS: usize = 32;
/// The longest key that is tried.
const KEY_BYTES_MAX: usize = 128;
/// How often the hash is taken.
const ROUNDS: u32 = 4096;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// Bytes from here on are thrown away, so that each letter is as likely as any other.
const FAIR_BYTES: u8 = 248;

/// A key as a client sends it.
#[derive(Debug)]
pub(crate) struct ApiKey(Secret);

/// What is kept of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl ApiKey {
    /// Makes a key that nobody can guess.
    ///
    /// # Errors
    /// The system has no random source.
    pub(crate) fn make() -> io::Result<ApiKey> {
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

    /// Returns the key that a client sent; nothing, if it cannot be one.
    pub(crate) fn sent(text: &str) -> Option<ApiKey> {
        let is_possible = (1..=KEY_BYTES_MAX).contains(&text.len());
        is_possible.then(|| ApiKey(Secret::from(text.to_owned())))
    }

    /// Returns the key itself, to show it once.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }

    fn hash(&self, salt: &[u8]) -> [u8; HASH_BYTES] {
        pbkdf2_hmac_array::<Sha256, HASH_BYTES>(self.expose().as_bytes(), salt, ROUNDS)
    }

    fn kept(&self) -> io::Result<Kept> {
        let mut salt = vec![0; SALT_BYTES];
        random::fill(&mut salt)?;
        let hash = self.hash(&salt).to_vec();
        Ok(Kept { salt, hash })
    }
}

impl Kept {
    /// Tells whether this is what is kept of `key`, in the same time whatever the key is.
    fn is_of(&self, key: &ApiKey) -> bool {
        let hash = key.hash(&self.salt);
        let differing =
            hash.iter().zip(&self.hash).fold(0, |all, (one, other)| all | (one ^ other));
        differing == 0 && hash.len() == self.hash.len()
    }
}

impl Store {
    /// Gives an investigator a key instead of any other; tells whether there is such an investigator.
    ///
    /// # Errors
    /// The tables cannot be written, or the system has no random source.
    pub(crate) fn set_api_key(
        &self,
        investigator: Id,
        key: &ApiKey,
        now: Timestamp,
    ) -> Result<bool, DataError> {
        let kept = key.kept().map_err(|source| DataError::Chance { source })?;
        let (hash, salt) = (kept.hash.as_slice().into(), kept.salt.as_slice().into());
        let values = [investigator.into(), hash, salt, now.into()];
        Ok(self.run(&query!("set_api_key"), &values)? > 0)
    }

    /// Tells whether an investigator has a key.
    pub(crate) fn has_api_key(&self, investigator: Id) -> Result<bool, DataError> {
        let values = [investigator.into()];
        let has = self.one(&query!("has_api_key"), &values, |mut row| row.read_number("has"))?;
        Ok(has.is_some_and(|has| has != 0))
    }

    /// Returns the active investigator who has this key.
    pub(crate) fn investigator_with_key(
        &self,
        key: &ApiKey,
    ) -> Result<Option<InvestigatorRow>, DataError> {
        // A row that cannot be read has a hash that no key has.
        let keys = self.all(&query!("api_keys"), &[], |mut row| {
            let id = row.read_id("id");
            (id, Kept { hash: row.read_bytes("apikey"), salt: row.read_bytes("apisalt") })
        })?;
        // All are tried, so that the time does not tell whose key it is.
        let owners: Vec<Id> =
            keys.iter().filter(|(_, kept)| kept.is_of(key)).map(|(id, _)| *id).collect();
        let Some(owner) = owners.first() else { return Ok(None) };
        let investigator = self.investigator_of(*owner)?;
        Ok(investigator.filter(InvestigatorRow::is_active))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_what_the_platform_keeps() {
        // A known vector of PBKDF2-HMAC-SHA256 with 4096 rounds.
        let key = ApiKey::sent("password").unwrap();
        let hash: String = key.hash(b"salt").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a");
    }

    #[test]
    fn a_key_is_32_letters_and_digits_and_no_two_are_the_same() {
        let (one, other) = (ApiKey::make().unwrap(), ApiKey::make().unwrap());
        assert_eq!(one.expose().len(), KEY_LETTERS);
        assert!(one.expose().bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(one.expose(), other.expose());
        assert!(!format!("{one:?}").contains(one.expose()));
        let (kept, again) = (one.kept().unwrap(), one.kept().unwrap());
        assert_ne!(kept, again, "each has a salt of its own");
        assert!(kept.is_of(&one) && !kept.is_of(&other));
    }

    #[test]
    fn what_is_no_key_is_not_tried() {
        assert!(ApiKey::sent("").is_none());
        assert!(ApiKey::sent(&"x".repeat(KEY_BYTES_MAX + 1)).is_none());
        let empty = Kept { salt: Vec::new(), hash: Vec::new() };
        assert!(!empty.is_of(&ApiKey::sent("x").unwrap()));
    }
}
