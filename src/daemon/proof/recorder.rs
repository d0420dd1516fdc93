//! Plugins that remember what they got.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::disk::model::{Fuse, ModelFs};
use crate::disk::read;
use crate::names::{PluginName, RunId};
use crate::plugin::run::{PluginCall, PluginExit, PluginLimits, PluginOutcome};
use crate::plugin::{Deliver, PluginError};
use crate::wake::Stop;

/// More than any document of a test has.
const BYTES_MAX: u64 = 1 << 24;

#[derive(Debug, Default)]
pub(super) struct Recorder {
    fs: Option<ModelFs>,
    fuse: Arc<Fuse>,
    got: Mutex<Vec<(String, String, Vec<u8>)>>,
    failures: Mutex<BTreeMap<String, u32>>,
}

impl Deliver for Recorder {
    fn deliver(
        &self,
        delivery: &PluginCall<'_>,
        _limits: &PluginLimits,
        _stop: &Stop,
    ) -> Result<PluginExit, PluginError> {
        let (output, took) = (String::new(), Duration::ZERO);
        let ended = |outcome| Ok(PluginExit { outcome, output, lines: 0, took });
        let fs = self.fs.as_ref().unwrap();
        let document = read(fs, delivery.results, BYTES_MAX);
        let (true, Ok(document)) = (self.fuse.exchange(), document) else {
            return ended(PluginOutcome::Stopped);
        };
        let name = delivery.plugin.to_string();
        let mut failures = self.failures.lock().unwrap();
        if let Some(left) = failures.get_mut(&name).filter(|left| **left > 0) {
            *left -= 1;
            return ended(PluginOutcome::TryLater);
        }
        self.got.lock().unwrap().push((name, delivery.run.to_string(), document));
        ended(if self.fuse.exchange() { PluginOutcome::Delivered } else { PluginOutcome::Stopped })
    }
}

impl Recorder {
    /// Returns plugins that got the same, on another file system.
    pub(super) fn fork(&self, fs: ModelFs) -> Recorder {
        let got = Mutex::new(self.got.lock().unwrap().clone());
        let failures = Mutex::new(self.failures.lock().unwrap().clone());
        let fuse = Arc::clone(fs.fuse());
        Recorder { fs: Some(fs), fuse, got, failures }
    }

    /// Sets how often a plugin fails before it takes what it gets.
    pub(super) fn fail(&self, plugin: &str, times: u32) {
        self.failures.lock().unwrap().insert(plugin.to_owned(), times);
    }

    /// Tells whether a plugin got this document of a run.
    pub(super) fn has_got(&self, plugin: &PluginName, run: &RunId, document: &[u8]) -> bool {
        let (plugin, run) = (plugin.to_string(), run.to_string());
        let got = self.got.lock().unwrap();
        got.iter().any(|(to, of, what)| *to == plugin && *of == run && what == document)
    }

    /// Feeds to `hasher` all that they remember.
    pub(super) fn digest(&self, hasher: &mut impl Hasher) {
        self.got.lock().unwrap().hash(hasher);
        self.failures.lock().unwrap().hash(hasher);
    }
}
