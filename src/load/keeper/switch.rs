//! The kill switch: everything that runs under the keeper, and how to stop it.

use crate::domain::name::Name;
use crate::load::Stop;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Stops the loads of the configuration. Cheap to clone; for the stop request over HTTP and for signals.
#[derive(Debug, Clone, Default)]
pub struct Switch {
    running: Arc<Mutex<BTreeMap<Name, Stop>>>,
}

impl Switch {
    /// Asks every load that runs, or waits to begin, to end in good order, and names them. Later ones begin as
    /// configured: what keeps them from it is the stop file.
    pub fn stop_all(&self, because: &'static str) -> Vec<Name> {
        let running = self.running();
        running.values().for_each(|stop| stop.request(because));
        running.keys().cloned().collect()
    }

    /// The loads that run or wait to begin.
    #[must_use]
    pub fn names(&self) -> Vec<Name> {
        self.running().keys().cloned().collect()
    }

    /// The agent ends: arrivals stop now.
    pub(super) fn halt_all(&self, because: &'static str) {
        self.running().values().for_each(|stop| stop.halt(because));
    }

    pub(super) fn cut_all(&self, because: &'static str) {
        self.running().values().for_each(|stop| stop.cut(because));
    }

    /// Lists a load until what is given back is dropped; `None` while it is listed already.
    pub(super) fn list(&self, name: &Name) -> Option<Listed> {
        let mut running = self.running();
        if running.contains_key(name) {
            return None;
        }
        let stop = Stop::new();
        running.insert(name.clone(), stop.clone());
        drop(running);
        Some(Listed { switch: self.clone(), name: name.clone(), stop })
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Name, Stop>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_listed_once_at_a_time() {
        let (switch, name) = (Switch::default(), "nightly".parse().unwrap());
        let listed = switch.list(&name).unwrap();
        assert!(switch.list(&name).is_none(), "it still runs");
        assert_eq!(switch.stop_all("test"), std::slice::from_ref(&name));
        assert!(listed.stop.is_requested());
        drop(listed);
        assert_eq!(switch.names(), []);
        assert!(!switch.list(&name).unwrap().stop.is_requested(), "the next run is another one");
    }
}
