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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Guards;
    use crate::recording::examples::target;
    use crate::schedule::{Arrivals, Profile};
    use std::time::Duration;

    fn load(name: &str) -> Arc<Settings> {
        Arc::new(Settings {
            name: name.parse().unwrap(),
            target: Arc::new(target("payments/hoot/hello")),
            profile: Profile { stages: Vec::new(), arrivals: Arrivals::Even },
            guards: Guards::default(),
            at: None,
            in_flight: 1,
            reuse_signatures: true,
            ramp_down: Duration::ZERO,
        })
    }

    #[test]
    fn a_load_is_listed_once_at_a_time() {
        let (switch, nightly) = (Switch::default(), load("nightly"));
        let listed = switch.list(&nightly).unwrap();
        assert!(switch.list(&nightly).is_none(), "it still runs");
        assert_eq!(switch.stop_all("test"), std::slice::from_ref(&nightly.name));
        assert!(listed.stop.is_requested());
        drop(listed);
        assert_eq!(switch.names(), []);
        assert!(!switch.list(&nightly).unwrap().stop.is_requested(), "the next run is another one");
    }

    #[test]
    fn only_those_are_stopped_that_are_not_to_go_on() {
        let switch = Switch::default();
        let (one, other) = (switch.list(&load("one")).unwrap(), switch.list(&load("other")).unwrap());
        switch.stop_unless(|load| load.name.as_str() == "one", "test");
        assert!(!one.stop.is_requested() && other.stop.is_requested());
    }
}
