//! Load runs: a probe driven at a set rate, in an open model, watched by guards.
//!
//! ```text
//! settings  what a run is told           report     what a run tells
//! run       one run, from its first arrival to the end of its last attempt
//! driver    makes the arrivals           attempts   what becomes of one
//! workers   the tasks that make them, kept from one to the next
//! in_flight how much is under way, and since when
//! guards    when a run must stop: pure   stop       how a run is stopped from outside
//! budget    the ceilings at run time     quota      what an account has in a region: pure
//! keeper    the loads of the configuration, each at its time of day
//! ```
//!
//! A run touches no health series: what it counts goes to its own `LoadRecorder`.

mod attempts;
mod budget;
mod driver;
mod guards;
mod in_flight;
mod keeper;
mod quota;
mod report;
mod run;
mod settings;
mod stop;
mod workers;

pub use budget::{Budget, OverCeiling, Reservation};
pub use keeper::{COOL_DOWN, Keeper, KeeperParts, NOT_BEFORE, Prepare, Rules, Switch};
pub use quota::{Quota, account_quota};
pub use report::{Ended, Report, Worst};
pub use run::run;
pub use settings::{Guards, Settings};
pub use stop::Stop;

use crate::attempt::Attempter;
use crate::seams::{Clock, Wait};
use std::sync::Arc;

/// What a run works with.
#[derive(Clone)]
pub struct Hands {
    /// Makes the attempts.
    pub attempter: Arc<Attempter>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Waiting on them.
    pub wait: Arc<dyn Wait>,
}
