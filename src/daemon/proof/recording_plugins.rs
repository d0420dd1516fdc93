//! Simulated plugins that record what they receive.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::disk::model::{FaultInjector, ModelFs};
use crate::disk::read;
use crate::names::{PluginName, RunId};
use crate::plugin::run::{PluginCall, PluginExit, PluginLimits, PluginOutcome};
use crate::plugin::{Deliver, PluginError};
use crate::wake::Stop;

/// Size limit for a document; no document of a test reaches it.
const BYTES_MAX: u64 = 1 << 24;

#[derive(Debug, Default)]
pub(super) struct RecordingPlugins {
    fs: Option<ModelFs>,
    faults: Arc<FaultInjector>,
    /// The plugin, run and document of each delivery.
    received: Mutex<Vec<(String, String, Vec<u8>)>>,
    /// Remaining number of failures of each plugin.
    failures: Mutex<BTreeMap<String, u32>>,
}

impl Deliver for RecordingPlugins {
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
        let (true, Ok(document)) = (self.faults.allows_request(), document) else {
            return ended(PluginOutcome::Stopped);
        };
        let name = delivery.plugin.to_string();
        let mut failures = self.failures.lock().unwrap();
        if let Some(left) = failures.get_mut(&name).filter(|left| **left > 0) {
            *left -= 1;
            return ended(PluginOutcome::TryLater);
        }
        self.received.lock().unwrap().push((name, delivery.run.to_string(), document));
        ended(if self.faults.allows_request() {
            PluginOutcome::Delivered
        } else {
            PluginOutcome::Stopped
        })
    }
}

impl RecordingPlugins {
    /// Returns plugins with the same records, on another file system.
    pub(super) fn copy(&self, fs: ModelFs) -> RecordingPlugins {
        let received = Mutex::new(self.received.lock().unwrap().clone());
        let failures = Mutex::new(self.failures.lock().unwrap().clone());
        let faults = Arc::clone(fs.faults());
        RecordingPlugins { fs: Some(fs), faults, received, failures }
    }

    /// Sets the number of times a plugin fails before it accepts a delivery.
    pub(super) fn set_failures(&self, plugin: &str, times: u32) {
        self.failures.lock().unwrap().insert(plugin.to_owned(), times);
    }

    /// Returns whether a plugin received this document of a run.
    pub(super) fn has_received(&self, plugin: &PluginName, run: &RunId, document: &[u8]) -> bool {
        let (plugin, run) = (plugin.to_string(), run.to_string());
        let received = self.received.lock().unwrap();
        received.iter().any(|(to, of, what)| *to == plugin && *of == run && what == document)
    }

    /// Feeds all records to `hasher`.
    pub(super) fn digest(&self, hasher: &mut impl Hasher) {
        self.received.lock().unwrap().hash(hasher);
        self.failures.lock().unwrap().hash(hasher);
    }
}
