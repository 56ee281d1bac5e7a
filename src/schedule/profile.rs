//! The shape of a load run: stages one after the other, and how arrivals are strewn over them.

use std::time::Duration;

/// One stage of a run. Rates are arrivals a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stage {
    /// A constant rate.
    Hold {
        /// The rate.
        rate: f64,
        /// How long.
        lasts: Duration,
    },
    /// From one rate to another, evenly.
    Ramp {
        /// The rate at the beginning.
        from: f64,
        /// The rate at the end.
        to: f64,
        /// How long.
        lasts: Duration,
    },
    /// Up and down between two rates, beginning at the mean and rising.
    Sine {
        /// The lowest rate.
        low: f64,
        /// The highest rate.
        high: f64,
        /// The time of one full swing.
        period: Duration,
        /// How long.
        lasts: Duration,
    },
}

/// How arrivals follow each other at a given rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arrivals {
    /// Evenly: the n-th arrival is due when the rate has added up to n + ½.
    #[default]
    Even,
    /// As a Poisson process: independent of one another, as callers are. The seed makes a run repeatable.
    Poisson {
        /// Another seed gives other arrivals.
        seed: u64,
    },
}

/// All stages of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The stages, at least one.
    pub stages: Vec<Stage>,
    /// How arrivals are strewn.
    pub arrivals: Arrivals,
}

impl Stage {
    /// How long it lasts.
    #[must_use]
    pub const fn lasts(&self) -> Duration {
        match self {
            Self::Hold { lasts, .. } | Self::Ramp { lasts, .. } | Self::Sine { lasts, .. } => *lasts,
        }
    }

    /// The highest rate within it.
    #[must_use]
    pub const fn peak(&self) -> f64 {
        match *self {
            Self::Hold { rate, .. } => rate,
            Self::Ramp { from, to, .. } => from.max(to),
            Self::Sine { high, .. } => high,
        }
    }
}

impl Stage {
    /// The rate at `seconds` after its beginning.
    #[must_use]
    pub(super) fn rate_after(&self, seconds: f64) -> f64 {
        match *self {
            Self::Hold { rate, .. } => sane(rate),
            Self::Ramp { from, to, lasts } => {
                let share = (seconds / lasts.as_secs_f64()).clamp(0.0, 1.0);
                sane(from) + (sane(to) - sane(from)) * share
            }
            Self::Sine { low, high, period, .. } => Swing::new(low, high, period).rate(seconds),
        }
    }

    /// The arrivals expected within its first `seconds`: the integral of the rate.
    #[must_use]
    pub(super) fn expected_within(&self, seconds: f64) -> f64 {
        match *self {
            Self::Hold { rate, .. } => sane(rate) * seconds,
            Self::Ramp { from, to, lasts } if !lasts.is_zero() => {
                let rise = (sane(to) - sane(from)) / lasts.as_secs_f64();
                seconds * (sane(from) + rise * seconds / 2.0)
            }
            Self::Ramp { .. } => 0.0,
            Self::Sine { low, high, period, .. } => Swing::new(low, high, period).expected_within(seconds),
        }
    }

    /// The seconds after its beginning at which its integral reaches `count`: the inverse of
    /// [`Stage::expected_within`]. Asked only for a count that the stage does reach.
    #[must_use]
    pub(super) fn seconds_until(&self, count: f64) -> f64 {
        if count <= 0.0 {
            return 0.0;
        }
        match *self {
            Self::Hold { rate, .. } => count / sane(rate),
            Self::Ramp { from, to, lasts } => {
                // The root of `from * t + rise * t^2 / 2 = count`, in the form that neither divides by a rise
                // of nearly zero nor subtracts two numbers that are nearly equal.
                let rise = (sane(to) - sane(from)) / lasts.as_secs_f64();
                let under_root = sane(from).mul_add(sane(from), 2.0 * rise * count);
                2.0 * count / (sane(from) + under_root.max(0.0).sqrt())
            }
            Self::Sine { low, high, period, .. } => Swing::new(low, high, period).seconds_until(count),
        }
    }
}

/// A rate that can be counted with. Profiles are checked where they are read; here nothing may go backwards or
/// on for ever, whatever comes.
fn sane(rate: f64) -> f64 {
    if rate.is_finite() { rate.max(0.0) } else { 0.0 }
}

/// A rate that swings: `middle + swing * sin(turn * t)`.
struct Swing {
    middle: f64,
    swing: f64,
    period: f64,
}

impl Swing {
    fn new(low: f64, high: f64, period: Duration) -> Self {
        let (low, high) = (sane(low), sane(high));
        Self { middle: f64::midpoint(low, high), swing: (high - low) / 2.0, period: period.as_secs_f64() }
    }

    /// Radians a second. A period of zero does not swing.
    fn turn(&self) -> f64 {
        if self.period > 0.0 { std::f64::consts::TAU / self.period } else { 0.0 }
    }

    fn rate(&self, seconds: f64) -> f64 {
        self.swing.mul_add((self.turn() * seconds).sin(), self.middle).max(0.0)
    }

    fn expected_within(&self, seconds: f64) -> f64 {
        let turn = self.turn();
        if turn == 0.0 {
            return self.middle * seconds;
        }
        // 1 - cos x, without the loss of digits for a small x.
        let half = (turn * seconds / 2.0).sin();
        self.middle.mul_add(seconds, self.swing / turn * 2.0 * half * half)
    }

    fn seconds_until(&self, count: f64) -> f64 {
        if self.turn() == 0.0 {
            return count / self.middle;
        }
        let whole = (count / (self.middle * self.period)).floor();
        let rest = whole.mul_add(-(self.middle * self.period), count);
        whole.mul_add(self.period, self.seconds_within_period(rest))
    }

    /// Newton's steps on the integral, which never falls; a step that leaves what is known to enclose the
    /// root, as happens where the rate is nearly zero, is replaced by halving.
    fn seconds_within_period(&self, count: f64) -> f64 {
        let (mut low, mut high) = (0.0, self.period);
        let mut seconds = (count / self.middle).clamp(low, high);
        for _ in 0..NEWTON_STEPS_MAX {
            let beyond = self.expected_within(seconds) - count;
            if beyond > 0.0 {
                high = seconds;
            } else {
                low = seconds;
            }
            let newton = seconds - beyond / self.rate(seconds);
            let next = if newton >= low && newton <= high { newton } else { f64::midpoint(low, high) };
            if (next - seconds).abs() < TIME_STEP_SECONDS {
                return next;
            }
            seconds = next;
        }
        seconds
    }
}

/// Halving alone comes from a day to a nanosecond in 47 steps; Newton's steps are about five.
const NEWTON_STEPS_MAX: u32 = 64;

/// Moments have nanoseconds.
const TIME_STEP_SECONDS: f64 = 1e-10;

impl Profile {
    /// How long all stages last.
    #[must_use]
    pub fn lasts(&self) -> Duration {
        self.stages.iter().map(Stage::lasts).sum()
    }

    /// The highest rate of all stages.
    #[must_use]
    pub fn peak(&self) -> f64 {
        self.stages.iter().map(Stage::peak).fold(0.0, f64::max)
    }

    /// The rate at `elapsed` after the beginning, where one stage follows another that of the second; 0 from
    /// the end on.
    #[must_use]
    pub fn rate_at(&self, elapsed: Duration) -> f64 {
        let mut begin = Duration::ZERO;
        for stage in &self.stages {
            let end = begin.saturating_add(stage.lasts());
            if elapsed < end {
                return stage.rate_after((elapsed - begin).as_secs_f64());
            }
            begin = end;
        }
        0.0
    }

    /// The arrivals expected between two times after the beginning: the integral of the rate.
    #[must_use]
    pub fn expected_arrivals(&self, from: Duration, to: Duration) -> f64 {
        let mut begin = Duration::ZERO;
        let mut expected = 0.0;
        for stage in &self.stages {
            let lasts = stage.lasts();
            let within =
                |at: Duration| stage.expected_within(at.saturating_sub(begin).min(lasts).as_secs_f64());
            expected += (within(to) - within(from)).max(0.0);
            begin = begin.saturating_add(lasts);
        }
        expected
    }

    /// What remains of a run that is stopped at `elapsed`: from the rate of that time to zero, over `over`. It
    /// neither outlasts the stages nor makes more arrivals than they would have: to stop a run never adds to it.
    /// Without arrivals when `over` is zero or the run had ended.
    #[must_use]
    pub fn ramped_down(&self, elapsed: Duration, over: Duration) -> Self {
        let arrivals = match self.arrivals {
            Arrivals::Even => Arrivals::Even,
            // Not the first gaps of the run over again.
            Arrivals::Poisson { seed } => Arrivals::Poisson { seed: seed.wrapping_add(1) },
        };
        let end = self.lasts();
        let (from, left) = (self.rate_at(elapsed), end.saturating_sub(elapsed));
        // A ramp to zero makes half of what its first rate would.
        let as_long = 2.0 * self.expected_arrivals(elapsed, end) / from;
        let as_long = Duration::try_from_secs_f64(as_long).unwrap_or(Duration::ZERO);
        let stages = vec![Stage::Ramp { from, to: 0.0, lasts: over.min(left).min(as_long) }];
        Self { stages, arrivals }
    }
}
