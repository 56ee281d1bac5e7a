//! The kill switch: everything that runs under the keeper, and how to stop it.

use crate::domain::name::Name;
use crate::load::{Settings, Stop};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Stops the loads of the configuration. Cheap to clone; for the stop request over HTTP and for signals.
#[derive(Debug, Clone, Default)]
pub struct Switch {
    running: Arc<Mutex<BTreeMap<Name, Entry>>>,
}

#[derive(Debug)]
struct Entry {
    stop: Stop,
    settings: Arc<Settings>,
}

impl Switch {
    /// Asks every load that runs, or waits to begin, to end in good order, and names them. Later ones begin as
    /// configured: what keeps them from it is the stop file.
    pub fn stop_all(&self, because: &'static str) -> Vec<Name> {
        let running = self.running();
        running.values().for_each(|entry| entry.stop.request(because));
        running.keys().cloned().collect()
    }

    /// The loads that run or wait to begin.
    #[must_use]
    pub fn names(&self) -> Vec<Name> {
        self.running().keys().cloned().collect()
    }

    /// The agent ends: arrivals stop now.
    pub(super) fn halt_all(&self, because: &'static str) {
        self.running().values().for_each(|entry| entry.stop.halt(because));
    }

    pub(super) fn cut_all(&self, because: &'static str) {
        self.running().values().for_each(|entry| entry.stop.cut(because));
    }

    /// Asks those to end in good order that are not to go on.
    pub(super) fn stop_unless(&self, goes_on: impl Fn(&Settings) -> bool, because: &'static str) {
        let running = self.running();
        let stopped = running.values().filter(|entry| !goes_on(&entry.settings));
        stopped.for_each(|entry| entry.stop.request(because));
    }

    /// Lists a load until what is given back is dropped; `None` while it is listed already.
    pub(super) fn list(&self, load: &Arc<Settings>) -> Option<Listed> {
        let mut running = self.running();
        if running.contains_key(&load.name) {
            return None;
        }
        let stop = Stop::new();
        running.insert(load.name.clone(), Entry { stop: stop.clone(), settings: Arc::clone(load) });
        drop(running);
        Some(Listed { switch: self.clone(), name: load.name.clone(), stop })
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Name, Entry>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A load that runs or waits to begin.
pub(super) struct Listed {
    switch: Switch,
    name: Name,
    pub(super) stop: Stop,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.switch.running().remove(&self.name);
    }
}
