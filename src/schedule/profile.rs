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
    /// Evenly: the n-th arrival is due when the rate has added up to n.
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
}
