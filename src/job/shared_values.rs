//! Parts that jobs have in common, kept once: many jobs have the same schedule, the same settings or
//! the same action.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use super::Job;
use crate::config::job::JobConfig;
use crate::schedule::Cron;

/// The parts of all jobs, each different one once.
#[derive(Debug, Default)]
pub(super) struct SharedValues {
    configs: HashSet<Arc<JobConfig>>,
    schedules: HashSet<Arc<Cron>>,
    actions: HashSet<Arc<str>>,
}

impl SharedValues {
    /// Replaces the parts of a new job with equal ones of other jobs.
    pub(super) fn share(&mut self, job: &mut Job) {
        share(&mut self.configs, &mut job.config);
        share(&mut self.schedules, &mut job.schedule);
        share(&mut self.actions, &mut job.action);
    }

    /// Removes the parts that no job has any more.
    pub(super) fn remove_unused(&mut self) {
        remove_unused(&mut self.configs);
        remove_unused(&mut self.schedules);
        remove_unused(&mut self.actions);
    }
}

fn share<T: ?Sized + Eq + Hash>(known: &mut HashSet<Arc<T>>, value: &mut Arc<T>) {
    match known.get(value) {
        Some(equal) => *value = Arc::clone(equal),
        None => {
            known.insert(Arc::clone(value));
        }
    }
}

fn remove_unused<T: ?Sized + Eq + Hash>(known: &mut HashSet<Arc<T>>) {
    known.retain(|value| Arc::strong_count(value) > 1);
}
