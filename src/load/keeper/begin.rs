//! One configured load, from its time of day to its end.

use super::Shared;
use super::switch::Listed;
use crate::domain::load::Guard;
use crate::load::{Ended, Settings, Stop, run};
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// How long a load waits for the session of its signer before it is left out.
const SESSION_WITHIN: Duration = Duration::from_secs(600);

pub(super) async fn begin(shared: Arc<Shared>, load: Arc<Settings>, listed: Listed) {
    if let Err(against) = perform(&shared, &load, &listed.stop).await {
        tracing::warn!(load = %load.name, against, "the load is left out until tomorrow");
    }
}

/// Waits for the session, takes from the ceilings, and runs; or says what speaks against it.
async fn perform(shared: &Shared, load: &Arc<Settings>, stop: &Stop) -> Result<(), String> {
    let parts = &shared.parts;
    let target = &load.target;
    session(shared, load, stop).await?;
    // Another load may have been stopped while this one waited, and another member may have come who begins it.
    if !(shared.rules.load().begins_loads)() {
        return Err("another member begins the loads now".into());
    }
    if shared.cooling(&target.account).is_some() {
        return Err("its account cools down after a stopped load".into());
    }
    let peak = load.profile.peak();
    let reservation = parts.budget.try_reserve(&target.account, peak).map_err(|over| {
        let recorder = parts.recorder.begin_load(&load.name, parts.hands.clock.now());
        recorder.stopped(Guard::Ceiling);
        recorder.over();
        over.to_string()
    })?;
    let prepared = (shared.rules.load().prepare)(load).map_err(|problem| problem.to_string())?;
    let recorder = parts.recorder.begin_load(&load.name, parts.hands.clock.now());
    let run = run(Arc::clone(load), Arc::new(prepared), recorder, parts.hands.clone(), stop.clone());
    let report = {
        tokio::pin!(run);
        loop {
            tokio::select! {
                biased;
                report = &mut run => break report,
                () = second(shared) => if !stop.is_requested() && shared.stop_file_exists() {
                    stop.request("the stop file exists");
                },
            }
        }
    };
    drop(reservation);
    if let Ended::Stopped { guard, .. } = report.ended
        && guard != Guard::Requested
    {
        shared.cool_down(&target.account);
        tracing::warn!(
            load = %load.name,
            account = %target.account,
            cool_down_seconds = shared.rules.load().cool_down.as_secs(),
            "no load begins on the account for a while"
        );
    }
    Ok(())
}

/// Resolves when the signer has a session, or with what speaks against waiting on.
async fn session(shared: &Shared, load: &Settings, stop: &Stop) -> Result<(), String> {
    let parts = &shared.parts;
    let until = parts.hands.clock.now() + SESSION_WITHIN;
    let mut said = false;
    loop {
        if stop.is_requested() {
            return Err(format!("{} before it began", stop.because().unwrap_or("it was stopped")));
        }
        if shared.stop_file_exists() {
            return Err("the stop file exists".into());
        }
        let Err(none) = parts.store.session(&load.target.signer) else { return Ok(()) };
        if parts.hands.clock.now() >= until {
            return Err(format!("its signer has no session: {}", none.reason));
        }
        if !std::mem::replace(&mut said, true) {
            tracing::info!(load = %load.name, reason = %none.reason, "the load waits for the session of its signer");
        }
        second(shared).await;
    }
}

async fn second(shared: &Shared) {
    let hands = &shared.parts.hands;
    hands.wait.until(hands.clock.now() + SECOND).await;
}
