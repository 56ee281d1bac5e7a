//! The guards of a load in numbers: what each allowed and the worst it saw once the run is over, and how near each
//! is while it runs. When a guard fires is decided in `crate::load`, not here.

use super::measured::share;
use crate::domain::load::Guard;
use crate::load::{Guards, Report};
use crate::recording::LoadRecorder;
use serde::Serialize;
use std::time::Duration;

/// A guard that watched the run: a share, or seconds for `p99`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct GuardRow {
    pub(super) guard: &'static str,
    pub(super) allowed: f64,
    /// The worst of any window that held evidence enough to judge on; none where none did.
    pub(super) worst: Option<f64>,
    pub(super) window_seconds: f64,
}

/// How near a guard is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Near {
    pub(super) guard: &'static str,
    /// None while there is nothing to measure.
    pub(super) measured: Option<f64>,
    pub(super) allowed: f64,
}

/// The guards that watched, each with the worst it saw.
pub(super) fn of(report: &Report) -> Vec<GuardRow> {
    let (guards, worst) = (&report.settings.guards, &report.worst);
    let window_seconds = guards.window.as_secs_f64();
    [
        (Guard::Errors, guards.errors, worst.errors),
        (Guard::Throttled, guards.throttled, worst.throttled),
        (Guard::P99, guards.p99.map(|p99| p99.as_secs_f64()), worst.p99),
        (Guard::Missed, guards.missed, worst.missed),
    ]
    .into_iter()
    .filter_map(|(guard, allowed, worst)| {
        Some(GuardRow { guard: guard.as_str(), allowed: allowed?, worst, window_seconds })
    })
    .collect()
}

/// How near each guard is, over its window.
pub(super) fn near(recorder: &LoadRecorder, guards: &Guards) -> Vec<Near> {
    let window = recorder.window(guards.window);
    let p99 = (window.p99 > Duration::ZERO).then_some(window.p99.as_secs_f64());
    [
        (Guard::Errors, share(window.unexpected, window.ended), guards.errors),
        (Guard::Throttled, share(window.throttled, window.ended), guards.throttled),
        (Guard::P99, p99, guards.p99.map(|most| most.as_secs_f64())),
        (Guard::Missed, share(window.missed, window.due), guards.missed),
    ]
    .into_iter()
    .filter_map(|(guard, measured, allowed)| {
        Some(Near { guard: guard.as_str(), measured, allowed: allowed? })
    })
    .collect()
}
