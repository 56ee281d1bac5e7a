//! A staged run as a row of arrivals: which count of the rate's integral each one stands for, and when that is.
//!
//! Both kinds of arrivals are points on the axis of *expected arrivals*, where every rate is one: even ones lie
//! at ½, 1½, 2½ …, those of a Poisson process have exponential gaps of mean 1. The stages' closed integrals,
//! inverted, turn a point into a time. So nothing is added up but the Poisson process's own gaps, and a change
//! of rate needs no thinning.
//!
//! Even arrivals lie in the middle of their share and not at its beginning: the number of arrivals is then the
//! integral, rounded, also when rounding errors touch it, and a ramp from zero does not begin with a shot.

use super::pattern::RATE_GRACE;
use super::profile::{Arrivals, Profile, Stage};
use std::time::Duration;

/// Where a run is.
#[derive(Debug)]
pub(super) struct Course {
    legs: Vec<Leg>,
    arrivals: Arrivals,
    /// Arrivals before the next one, made and skipped.
    index: u64,
    /// The point of the next arrival.
    point: f64,
    /// When the next arrival is due after the beginning; `None` after the last.
    due: Option<Duration>,
}

/// A stage that has arrivals, and what was before it.
#[derive(Debug)]
struct Leg {
    stage: Stage,
    begin: Duration,
    points_before: f64,
    points_after: f64,
}

impl Course {
    /// At the beginning.
    pub(super) fn new(profile: &Profile) -> Self {
        let mut legs = Vec::with_capacity(profile.stages.len());
        let (mut begin, mut points) = (Duration::ZERO, 0.0);
        for stage in &profile.stages {
            let points_after = points + stage.expected_within(stage.lasts().as_secs_f64());
            if points_after > points {
                legs.push(Leg { stage: *stage, begin, points_before: points, points_after });
            }
            begin = begin.saturating_add(stage.lasts());
            points = points_after;
        }
        let mut course = Self { legs, arrivals: profile.arrivals, index: 0, point: 0.0, due: None };
        course.point = course.point_after(0.0, 0);
        course.due = course.time_of(course.point);
        course
    }

    /// When the next arrival is due after the beginning; `None` after the last.
    pub(super) const fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Goes on to the arrival after the next one.
    pub(super) fn advance(&mut self) {
        self.index += 1;
        self.point = self.point_after(self.point, self.index);
        let due = self.time_of(self.point);
        // Two arrivals of a Poisson process may lie closer together than the inversion is exact.
        self.due = due.map(|due| self.due.map_or(due, |before| due.max(before)));
    }

    /// Goes past what comes too late to be made at `elapsed`, and says how many that is. Too late is what is
    /// older than [`RATE_GRACE`] and than the last arrival that the rate promised until now (for a constant
    /// rate: older than its gap). The last arrival that is due is never passed: it tells of those before it.
    pub(super) fn pass_late(&mut self, elapsed: Duration) -> u64 {
        let promised = self.points_until(elapsed) - 1.0;
        let in_time = self.points_until(elapsed.saturating_sub(RATE_GRACE)).min(promised);
        if self.point >= in_time {
            return 0;
        }
        let before = self.index;
        let (mut index, mut point) = (self.index, self.point);
        if self.arrivals == Arrivals::Even {
            // Directly, however long the agent was held up.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "positive, and as large as a number of arrivals"
            )]
            let first_in_time = (in_time - 0.5).ceil().max(0.0) as u64;
            index = index.max(first_in_time.saturating_sub(1));
            point = self.point_after(point, index);
        }
        let end = self.end();
        while point < in_time {
            let following = self.point_after(point, index + 1);
            if following >= end
                || (following >= in_time && self.time_of(following).is_none_or(|due| due > elapsed))
            {
                break;
            }
            (index, point) = (index + 1, following);
        }
        (self.index, self.point) = (index, point);
        self.due = self.time_of(point);
        index - before
    }

    /// The point of the arrival with this index, given the one before it.
    fn point_after(&self, before: f64, index: u64) -> f64 {
        match self.arrivals {
            #[expect(clippy::cast_precision_loss, reason = "exact up to 2^52 arrivals")]
            Arrivals::Even => index as f64 + 0.5,
            Arrivals::Poisson { seed } => before + exponential(seed, index),
        }
    }

    fn end(&self) -> f64 {
        self.legs.last().map_or(0.0, |leg| leg.points_after)
    }

    fn time_of(&self, point: f64) -> Option<Duration> {
        let leg = self.legs.get(self.legs.partition_point(|leg| leg.points_after <= point))?;
        let seconds = leg.stage.seconds_until(point - leg.points_before);
        let within = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).min(leg.stage.lasts());
        Some(leg.begin.saturating_add(within))
    }

    fn points_until(&self, elapsed: Duration) -> f64 {
        let Some(leg) = self.legs[..self.legs.partition_point(|leg| leg.begin <= elapsed)].last() else {
            return 0.0;
        };
        let within = (elapsed - leg.begin).min(leg.stage.lasts());
        leg.points_before + leg.stage.expected_within(within.as_secs_f64())
    }
}

/// The gap before the arrival with this index: exponential, of mean 1. The generator is splitmix64, which
/// gives the n-th number of a seed without those before it; randomness of the machine would make runs that
/// cannot be repeated.
fn exponential(seed: u64, index: u64) -> f64 {
    let mut bits = seed.wrapping_add((index.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    // In 0 (excluded) to 1 (included), where a logarithm is finite.
    #[expect(clippy::cast_precision_loss, reason = "53 bits and one fit")]
    let uniform = ((bits >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    -uniform.ln()
}

#[cfg(test)]
mod tests;
