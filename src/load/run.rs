//! One run: arrivals as the profile says, a look at the guards each second, and an end in good order.
//!
//! The driver only makes arrivals. The watch beside it closes each second, judges, and tells the driver to go down.
//! Neither waits for an answer, and the driver waits for nothing but the next arrival.

use super::Hands;
use super::attempts::Attempts;
use super::driver::Driver;
use super::guards::{Overdue, Tripped, judge, measure};
use super::report::{Ended, Report, Worst};
use super::settings::Settings;
use super::stop::Stop;
use crate::attempt::PreparedTarget;
use crate::domain::load::Guard;
use crate::domain::moment::Moment;
use crate::recording::LoadRecorder;
use crate::schedule::Profile;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);
/// Every attempt ends by its own timeout, with a verdict. What is left so much later has no verdict to come.
const BEYOND_TIMEOUT: Duration = Duration::from_secs(1);

/// Drives one load run to its end. The run begins at the moment that the recorder began, so make the recorder
/// directly before. Whether the run is within the ceilings is for the caller to see to, with a `Budget`.
///
/// Dropping the future ends the run as [`Stop::cut`] does. Arrivals and attempts are tasks of the runtime that polls
/// it: beside health probes that is best one of its own, so that neither waits for the other.
pub async fn run(
    settings: Arc<Settings>,
    prepared: Arc<PreparedTarget>,
    recorder: Arc<LoadRecorder>,
    hands: Hands,
    stop: Stop,
) -> Report {
    let began = recorder.began();
    let since = hands.clock.now().since(began);
    let began_at = hands.clock.wall();
    let began_at = began_at.checked_sub(since).unwrap_or(began_at);
    // Below the caller's, so that the end of this run is not the end of others under the same handle.
    let cut = stop.cut_token().child_token();
    let _ends = Ends { cut: cut.clone(), recorder: Arc::clone(&recorder) };
    tracing::info!(
        load = %settings.name,
        target = %settings.target.id,
        peak_per_second = settings.profile.peak(),
        lasts_seconds = settings.profile.lasts().as_secs_f64(),
        "a load run begins"
    );
    let timeout = prepared.target().timeout;
    let attempts = Attempts::begin(&settings, prepared, Arc::clone(&recorder), &hands, cut.clone());
    let mut watch = Watch {
        asked: Asked { profile: settings.profile.clone(), began, down: None },
        settings: Arc::clone(&settings),
        recorder: Arc::clone(&recorder),
        attempts: Arc::clone(&attempts),
        stop,
        last: began,
        seconds: 0,
        ended: None,
        worst: Worst::default(),
    };
    watch.until_driven(&hands, &cut).await;
    watch.until_drained(&hands, &cut, timeout).await;
    let now = hands.clock.now();
    watch.close_second(now);
    if now.since(began) < watch.settings.guards.window {
        // No window has been whole: the run is one by itself.
        watch.look(now);
    }
    let report = Report {
        settings,
        began_at,
        lasted: now.since(began),
        ended: watch.ended.unwrap_or(Ended::Completed),
        asked_by: watch
            .stop
            .because()
            .filter(|_| matches!(watch.ended, Some(Ended::Stopped { guard: Guard::Requested, .. }))),
        worst: watch.worst,
        record: recorder.record(),
    };
    log_end(&report);
    report
}

/// The state of the watch over one run.
struct Watch {
    settings: Arc<Settings>,
    recorder: Arc<LoadRecorder>,
    attempts: Arc<Attempts>,
    stop: Stop,
    asked: Asked,
    /// The end of the last second that was closed.
    last: Moment,
    /// Whole seconds of the run that have ended.
    seconds: u32,
    /// How the run ends, once it does otherwise than by its profile.
    ended: Option<Ended>,
    /// The worst that was looked at.
    worst: Worst,
}

impl Watch {
    /// Until there are no more arrivals.
    async fn until_driven(&mut self, hands: &Hands, cut: &CancellationToken) {
        let (down, none) = (CancellationToken::new(), cut.child_token());
        let mut driver = Driver {
            attempts: Arc::clone(&self.attempts),
            settings: Arc::clone(&self.settings),
            began: self.recorder.began(),
            down: down.clone(),
            none: none.clone(),
        }
        .start(hands);
        loop {
            let going = self.ended.is_none();
            tokio::select! {
                biased;
                () = hands.wait.until(self.next_second()) => {
                    let now = hands.clock.now();
                    self.close_second(now);
                    if going {
                        let seen = self.look(now);
                        if let Some(tripped) = judge(&self.settings.guards, &seen) {
                            self.end_by(tripped, now);
                            self.go_down(now, &down);
                        }
                    }
                }
                () = self.stop.requested(), if going => {
                    let now = hands.clock.now();
                    self.end_on_request(now);
                    self.go_down(now, &down);
                }
                () = self.stop.halted(), if !none.is_cancelled() => none.cancel(),
                ended = &mut driver => {
                    if ended.is_err() {
                        // Nobody makes arrivals any more; to call that completed would be a lie.
                        tracing::error!(load = %self.settings.name, "the driver of a load run panicked");
                        self.end_on_request(hands.clock.now());
                    }
                    return;
                }
            }
        }
    }

    /// Until nothing is in flight.
    async fn until_drained(&mut self, hands: &Hands, cut: &CancellationToken, timeout: Duration) {
        let deadline = hands.clock.now() + timeout + BEYOND_TIMEOUT;
        let attempts = Arc::clone(&self.attempts);
        let drained = attempts.drained();
        tokio::pin!(drained);
        loop {
            tokio::select! {
                biased;
                () = &mut drained => return,
                () = cut.cancelled(), if self.ended.is_none() => self.end_on_request(hands.clock.now()),
                () = hands.wait.until(deadline.min(self.next_second())) => {
                    let now = hands.clock.now();
                    if now >= self.next_second() {
                        self.close_second(now);
                    }
                    if now >= deadline {
                        cut.cancel();
                        drained.await;
                        return;
                    }
                }
            }
        }
    }

    fn next_second(&self) -> Moment {
        self.recorder.began() + SECOND * (self.seconds + 1)
    }

    /// Closes the second that runs. Where the agent was held up it is a long one.
    fn close_second(&mut self, now: Moment) {
        let lasted = now.since(self.last);
        if lasted.is_zero() {
            return;
        }
        let asked = self.asked.between(self.last, now) / lasted.as_secs_f64();
        self.recorder.second_over(now, asked);
        self.last = now;
        self.seconds = u32::try_from(now.since(self.recorder.began()).as_secs()).unwrap_or(u32::MAX - 1);
    }

    /// What the guards see now.
    fn look(&mut self, now: Moment) -> Worst {
        let guards = &self.settings.guards;
        let window = self.recorder.window(guards.window);
        let overdue = guards
            .p99
            .map_or_else(Overdue::default, |limit| self.attempts.in_flight().older_than(limit, now));
        let seen = measure(&window, &overdue, now.since(self.recorder.began()) >= guards.window);
        self.worst = self.worst.or_worse(seen);
        seen
    }

    fn end_by(&mut self, tripped: Tripped, now: Moment) {
        let Tripped { guard, measured, allowed } = tripped;
        let after = now.since(self.recorder.began());
        self.recorder.stopped(guard);
        self.ended = Some(Ended::Stopped { guard, after, measured, allowed });
        tracing::warn!(
            load = %self.settings.name,
            %guard,
            measured,
            allowed,
            after_seconds = after.as_secs_f64(),
            "a guard stops the load run"
        );
    }

    fn end_on_request(&mut self, now: Moment) {
        let after = now.since(self.recorder.began());
        self.recorder.stopped(Guard::Requested);
        self.ended = Some(Ended::Stopped { guard: Guard::Requested, after, measured: 0.0, allowed: 0.0 });
        tracing::warn!(
            load = %self.settings.name,
            guard = %Guard::Requested,
            because = self.stop.because(),
            after_seconds = after.as_secs_f64(),
            "the load run is stopped"
        );
    }

    /// From here on the rate falls to zero.
    fn go_down(&mut self, now: Moment, down: &CancellationToken) {
        let over = if self.stop.is_at_once() { Duration::ZERO } else { self.settings.ramp_down };
        self.asked.go_down(now, over);
        down.cancel();
    }
}

/// The rate asked for, also where the run leaves its profile.
struct Asked {
    profile: Profile,
    began: Moment,
    down: Option<(Profile, Moment)>,
}

impl Asked {
    fn go_down(&mut self, now: Moment, over: Duration) {
        self.down = Some((self.profile.ramped_down(now.since(self.began), over), now));
    }

    /// The arrivals expected between two moments.
    fn between(&self, from: Moment, to: Moment) -> f64 {
        let of = |profile: &Profile, began: Moment, from: Moment, to: Moment| {
            profile.expected_arrivals(from.since(began), to.since(began))
        };
        match &self.down {
            None => of(&self.profile, self.began, from, to),
            Some((profile, since)) => {
                of(&self.profile, self.began, from.min(*since), to.min(*since))
                    + of(profile, *since, from.max(*since), to.max(*since))
            }
        }
    }
}

/// Whatever ends a run, also a caller who drops it: nothing of it goes on.
struct Ends {
    cut: CancellationToken,
    recorder: Arc<LoadRecorder>,
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.cut.cancel();
        self.recorder.over();
    }
}

fn log_end(report: &Report) {
    let record = &report.record;
    let stopped_by = match report.ended {
        Ended::Completed => None,
        Ended::Stopped { guard, .. } => Some(guard.as_str()),
    };
    tracing::info!(
        load = %report.settings.name,
        stopped_by,
        lasted_seconds = report.lasted.as_secs_f64(),
        due = record.due,
        sent = record.sent,
        ended = record.ended,
        missed = record.missed(),
        unsent = record.unsent,
        aborted = record.aborted,
        response_p50_seconds = record.response.quantile(0.5).as_secs_f64(),
        response_p99_seconds = record.response.quantile(0.99).as_secs_f64(),
        response_max_seconds = record.response.max().as_secs_f64(),
        service_p99_seconds = record.service.quantile(0.99).as_secs_f64(),
        "a load run has ended"
    );
}
