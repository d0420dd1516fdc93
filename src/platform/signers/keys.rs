//! The keys of the investigators, as last read from the database, and which of them are imported.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::chain::Chain;
use crate::data::InvestigatorRow;
use crate::pgp::{ImportError, KeyIds, KeyText, OneLineSignature};

/// Time before a key that was refused is imported again, unless it is replaced.
const REFUSED_RETRY_DELAY: Duration = Duration::from_secs(60);

/// The known keys, by the fingerprint of their investigator.
#[derive(Debug, Default)]
pub(super) struct Keys(HashMap<String, Known>);

/// The key of one investigator.
#[derive(Debug)]
struct Known {
    /// The name of the investigator.
    name: String,
    is_active: bool,
    /// The stored text, as a hash.
    text: u64,
    ids: KeyIds,
    /// The key; `None` if there is none, or its text is damaged.
    key: Option<Arc<KeyText>>,
    import: Import,
    /// The last reason why the key cannot be used.
    fault: Option<Fault>,
    /// Whether that reason is still to be logged.
    is_unlogged: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Import {
    Pending,
    Done,
    /// The key was refused at this time.
    Refused(Instant),
}

/// Why a key cannot be used.
#[derive(Debug, Clone)]
struct Fault {
    /// The kind of the error; `None` if the text of the key is damaged.
    kind: Option<Discriminant<ImportError>>,
    text: String,
}

impl Fault {
    /// Returns whether this is the same event as another fault of the same key. The texts of errors
    /// are not compared, because they may contain the name of a temporary folder.
    fn is_same(&self, other: &Fault) -> bool {
        self.kind == other.kind
    }
}

impl Known {
    fn new(row: &InvestigatorRow) -> Known {
        let (key, fault) = match KeyText::read(&row.publickey) {
            Ok(key) => (Some(key), None),
            Err(_) if row.publickey.is_empty() => (None, None),
            Err(error) => (None, Some(Fault { kind: None, text: error.to_string() })),
        };
        Known {
            name: row.name.clone(),
            is_active: row.is_active(),
            text: hash(&row.publickey),
            ids: KeyIds::new(&row.fingerprint, key.as_ref()),
            key: key.map(Arc::new),
            import: Import::Pending,
            is_unlogged: fault.is_some() && row.is_active(),
            fault,
        }
    }

    /// Returns the key if it is imported.
    fn imported(&self) -> Option<&Arc<KeyText>> {
        self.key.as_ref().filter(|_| self.import == Import::Done)
    }
}

impl Keys {
    /// Replaces the key of an investigator if its text has changed. Returns the key whose home is not
    /// needed any more.
    pub(super) fn update(&mut self, row: &InvestigatorRow) -> Option<Arc<KeyText>> {
        let Some(known) = self.0.get_mut(&row.fingerprint) else {
            self.0.insert(row.fingerprint.clone(), Known::new(row));
            return None;
        };
        let is_unchanged = known.text == hash(&row.publickey);
        known.is_active = row.is_active();
        known.name.clone_from(&row.name);
        if is_unchanged && known.is_active {
            return None;
        }
        let unused = known.imported().cloned();
        if is_unchanged {
            known.import = Import::Pending;
        } else {
            *known = Known::new(row);
        }
        unused
    }

    /// Replaces all keys by those of `rows`. Returns the keys whose homes are not needed any more.
    pub(super) fn update_all(&mut self, rows: &[InvestigatorRow]) -> Vec<Arc<KeyText>> {
        let listed: HashSet<&str> = rows.iter().map(|row| row.fingerprint.as_str()).collect();
        let (mut unused, mut removed) = (Vec::new(), Vec::new());
        for (fingerprint, known) in &self.0 {
            if !listed.contains(fingerprint.as_str()) {
                unused.extend(known.imported().cloned());
                removed.push(fingerprint.clone());
            }
        }
        for fingerprint in removed {
            self.0.remove(&fingerprint);
        }
        unused.extend(rows.iter().filter_map(|row| self.update(row)));
        unused
    }

    /// Forgets the key of an investigator. Returns it if it was imported.
    pub(super) fn forget(&mut self, fingerprint: &str) -> Option<Arc<KeyText>> {
        self.0.remove(fingerprint)?.imported().cloned()
    }

    /// Returns the fingerprints of the active investigators with a key that a signature names as its
    /// issuer; first those whose key is imported, then those whose primary key it names.
    pub(super) fn owners(&self, signature: &OneLineSignature) -> Vec<String> {
        let mut owners: Vec<(bool, usize, &String)> = self
            .0
            .iter()
            .filter(|(_, known)| known.is_active)
            .filter_map(|(fingerprint, known)| {
                let parts = known.key.as_ref()?.parts();
                let part = parts.iter().position(|part| signature.names(part))?;
                Some((known.imported().is_none(), part, fingerprint))
            })
            .collect();
        owners.sort_unstable();
        owners.into_iter().map(|(_, _, fingerprint)| fingerprint.clone()).collect()
    }

    pub(super) fn is_any_imported(&self) -> bool {
        self.0.values().any(|known| known.imported().is_some())
    }

    /// Returns the imported key of an investigator.
    pub(super) fn imported(&self, fingerprint: &str) -> Option<Arc<KeyText>> {
        self.0.get(fingerprint)?.imported().cloned()
    }

    /// Returns the key of an investigator if it is to be imported now.
    pub(super) fn to_import(&self, fingerprint: &str) -> Option<Arc<KeyText>> {
        let known = self.0.get(fingerprint)?;
        let is_due = match known.import {
            Import::Pending => true,
            Import::Done => false,
            Import::Refused(at) => at.elapsed() >= REFUSED_RETRY_DELAY,
        };
        known.key.clone().filter(|_| is_due)
    }

    /// Checks that the key of an investigator is that of its fingerprint, and that no subkey is the
    /// key of another investigator.
    pub(super) fn check(&self, fingerprint: &str) -> Result<(), ImportError> {
        let Some(known) = self.0.get(fingerprint) else { return Ok(()) };
        let found = known.key.as_ref().and_then(|key| key.fingerprint());
        if let Some(found) = found.filter(|found| found.as_str() != fingerprint) {
            return Err(ImportError::Fingerprint { found: found.to_string() });
        }
        let mut others = self.0.iter().filter(|(other, _)| *other != fingerprint);
        match others.find(|(_, other)| known.ids.claims(&other.ids)) {
            Some((_, other)) => Err(ImportError::Shared { owner: other.name.clone() }),
            None => Ok(()),
        }
    }

    /// Records whether a key was imported or refused. Returns whether it is still the key of an active
    /// investigator.
    pub(super) fn set_imported(
        &mut self,
        fingerprint: &str,
        key: &Arc<KeyText>,
        is_done: bool,
    ) -> bool {
        let known = self.0.get_mut(fingerprint);
        let known = known.filter(|known| known.is_active && known.key.as_ref() == Some(key));
        let Some(known) = known else { return false };
        known.import = if is_done { Import::Done } else { Import::Refused(Instant::now()) };
        if is_done {
            known.fault = None;
        }
        true
    }

    /// Records why a key cannot be used.
    pub(super) fn set_fault(&mut self, fingerprint: &str, error: &ImportError) {
        let fault = Fault { kind: Some(discriminant(error)), text: Chain(error).to_string() };
        if let Some(known) = self.0.get_mut(fingerprint) {
            known.is_unlogged |= !known.fault.as_ref().is_some_and(|known| known.is_same(&fault));
            known.fault = Some(fault);
        }
    }

    /// Returns the reasons that are still to be logged, with the names of the investigators.
    pub(super) fn take_unlogged(&mut self) -> Vec<(String, String)> {
        let unlogged = self.0.values_mut().filter_map(|known| {
            let is_unlogged = std::mem::take(&mut known.is_unlogged);
            let fault = known.fault.clone().filter(|_| is_unlogged)?;
            Some((known.name.clone(), fault.text))
        });
        unlogged.collect()
    }
}

fn hash(key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}
