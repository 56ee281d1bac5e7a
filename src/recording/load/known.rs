//! The loads that are known: announced by the configuration, or running. What is neither is forgotten with its series.

use crate::domain::moment::Moment;
use crate::domain::name::Name;
use crate::recording::load::{LoadBooks, LoadInfo, LoadRecorder};
use crate::recording::{Recorder, Shared, locked};
use std::sync::Arc;

/// A load that is announced or runs.
pub(in crate::recording) struct Load {
    books: Arc<LoadBooks>,
    announced: bool,
}

impl Shared {
    /// The loads that are announced or run; the others are forgotten.
    pub(in crate::recording) fn loads(&self) -> Vec<Arc<LoadBooks>> {
        let mut loads = locked(&self.loads);
        loads.retain(|_, load| load.announced || load.books.is_running());
        loads.values().map(|load| Arc::clone(&load.books)).collect()
    }
}

impl Recorder {
    /// Sets the announced loads: their series are there from now on, at zero before the first run. A load that is
    /// neither among them nor runs is forgotten with its series.
    pub fn set_loads(&self, announced: &[LoadInfo]) {
        let mut loads = locked(&self.shared.loads);
        for load in loads.values_mut() {
            load.announced = false;
        }
        for info in announced {
            let load = loads.entry(info.name.clone()).or_insert_with(|| self.new_load(&info.name));
            load.announced = true;
            load.books.announce(&info.target);
        }
        drop(loads);
        let _forgotten = self.shared.loads();
    }

    /// Begins to record a run of this load. Its counters go on where its last run left them, if it is announced.
    pub fn begin_load(&self, name: &Name, began: Moment) -> Arc<LoadRecorder> {
        let mut loads = locked(&self.shared.loads);
        // The end of an unannounced load's last run made it a stranger, whether a scrape came by since or not.
        loads.retain(|_, load| load.announced || load.books.is_running());
        let load = loads.entry(name.clone()).or_insert_with(|| self.new_load(name));
        Arc::new(LoadRecorder::new(&load.books, began))
    }

    fn new_load(&self, name: &Name) -> Load {
        let bounds = self.shared.families.load_response.bounds();
        Load { books: Arc::new(LoadBooks::new(name, bounds)), announced: false }
    }
}
