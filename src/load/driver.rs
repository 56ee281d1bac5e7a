//! Makes the arrivals of one run, and nothing else: it repeats pacing's one step over a timetable of its own.

use super::Hands;
use super::attempts::Attempts;
use super::settings::Settings;
use crate::domain::moment::Moment;
use crate::pacing::drive;
use crate::schedule::Timetable;
use crate::seams;
use std::pin::pin;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What the driver is given.
pub(super) struct Driver {
    pub(super) attempts: Arc<Attempts>,
    pub(super) settings: Arc<Settings>,
    pub(super) began: Moment,
    /// Lets the rate go down to zero.
    pub(super) down: CancellationToken,
    /// Ends the arrivals at once.
    pub(super) none: CancellationToken,
}

impl Driver {
    /// Starts it; it ends after the last arrival.
    pub(super) fn start(self, hands: &Hands) -> JoinHandle<()> {
        let hands = hands.clone();
        seams::spawn("load driver", async move { self.run(&hands).await })
    }

    async fn run(self, hands: &Hands) {
        let Self { attempts, settings, began, down, none } = self;
        let (clock, wait) = (&*hands.clock, &*hands.wait);
        let mut timetable = Timetable::new();
        let mut arrivals = Vec::new();
        timetable.begin((), &settings.profile, began);
        // A profile ends with its time, not with its last arrival: until then a rate of zero is asked for too.
        let end = began + settings.profile.lasts();
        let mut going_down = false;
        // Begun once and asked again each time: to begin is to take a place in a list, and to leave it again.
        let mut told_to_end = pin!(none.cancelled());
        let mut told_to_go_down = pin!(down.cancelled());
        loop {
            let over = timetable.is_empty();
            if over && (going_down || clock.now() >= end) {
                return;
            }
            tokio::select! {
                biased;
                () = &mut told_to_end => return,
                () = &mut told_to_go_down, if !going_down => {
                    going_down = true;
                    let now = clock.now();
                    let rest = settings.profile.ramped_down(now.since(began), settings.ramp_down);
                    timetable.begin((), &rest, now);
                }
                () = wait.until(end), if over => {}
                () = drive(&mut timetable, clock, wait, &mut arrivals), if !over => attempts.arrive(&mut arrivals),
            }
        }
    }
}
