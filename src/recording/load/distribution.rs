//! Durations as a distribution: an HDR histogram of 3 significant digits behind a face without it.
//!
//! `Distribution` holds a whole run and counts in 64 bits. `Times` holds one second, is what attempts write to, and
//! counts in 32; once the second is over it becomes `Cells`, which weigh only what was really measured.

use hdrhistogram::Histogram;
use std::fmt;
use std::time::Duration;

/// The longest duration told apart, in nanoseconds: ten minutes, twice the longest timeout. Longer ones count as it.
const LONGEST_NS: u64 = 600_000_000_000;
/// Durations are told apart to this at best, in nanoseconds. A power of two, as the cells of HDR histograms are, and
/// large enough for `LONGEST_NS` in 32 bits of it. Three digits hold from a quarter of a millisecond up.
const RESOLUTION_NS: u64 = 256;
const DIGITS: u8 = 3;

/// The steps of a percentile curve in each power of ten.
const STEPS_PER_DECADE: i32 = 20;
/// The powers of ten that the share above a percentile goes down: to p99.999.
const DECADES: i32 = 5;

/// Durations up to ten minutes, at three significant digits; count, mean, shortest and longest are exact. It weighs
/// nothing until the first one is recorded, then about 180 KB.
#[derive(Clone, Default, PartialEq)]
pub struct Distribution {
    histogram: Option<Box<Histogram<u64>>>,
    exact: Exact,
}

/// What a histogram knows only within its cells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Exact {
    count: u64,
    sum_ns: u128,
    min_ns: u64,
    max_ns: u64,
    saturated: u64,
}

impl Exact {
    fn record(&mut self, ns: u64) {
        self.min_ns = if self.count == 0 { ns } else { self.min_ns.min(ns) };
        self.max_ns = self.max_ns.max(ns);
        self.count += 1;
        self.sum_ns += u128::from(ns);
        self.saturated += u64::from(ns > LONGEST_NS);
    }

    fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.min_ns = if self.count == 0 { other.min_ns } else { self.min_ns.min(other.min_ns) };
        self.max_ns = self.max_ns.max(other.max_ns);
        self.count += other.count;
        self.sum_ns += other.sum_ns;
        self.saturated += other.saturated;
    }

    /// What a cell says, which cannot be outside what was measured.
    fn within(&self, ns: u64) -> Duration {
        Duration::from_nanos(ns.min(self.max_ns).max(self.min_ns))
    }
}

fn nanoseconds(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}

/// An empty histogram; `None` only if the constants above did not fit each other.
fn histogram<T: hdrhistogram::Counter>() -> Option<Box<Histogram<T>>> {
    Histogram::new_with_bounds(RESOLUTION_NS, LONGEST_NS, DIGITS).ok().map(Box::new)
}

impl Distribution {
    /// Adds a duration.
    pub fn record(&mut self, took: Duration) {
        let ns = nanoseconds(took);
        self.exact.record(ns);
        self.add(ns, 1);
    }

    /// Adds all of another one.
    pub fn merge(&mut self, other: &Self) {
        self.exact.merge(&other.exact);
        for (took, count) in other.iter() {
            self.add(nanoseconds(took), count);
        }
    }

    /// How many durations it holds.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.exact.count
    }

    /// How many of them were longer than ten minutes: percentiles take them for ten minutes, mean and longest do not.
    #[must_use]
    pub const fn saturated(&self) -> u64 {
        self.exact.saturated
    }

    /// The shortest duration; zero for an empty distribution.
    #[must_use]
    pub const fn min(&self) -> Duration {
        Duration::from_nanos(self.exact.min_ns)
    }

    /// The longest duration; zero for an empty distribution.
    #[must_use]
    pub const fn max(&self) -> Duration {
        Duration::from_nanos(self.exact.max_ns)
    }

    /// The mean; zero for an empty distribution.
    #[must_use]
    pub fn mean(&self) -> Duration {
        let mean = self.exact.sum_ns.checked_div(self.exact.count.into()).unwrap_or(0);
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// The duration that a share of `quantile` (from 0 to 1) is not above; zero for an empty distribution. All of
    /// it is not above the longest.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Duration {
        if quantile >= 1.0 {
            return self.max();
        }
        let at = |histogram: &Histogram<u64>| histogram.value_at_quantile(quantile.max(0.0));
        self.exact.within(self.histogram.as_deref().map_or(0, at))
    }

    /// What a line of a report or an entry of a timeline shows.
    #[must_use]
    pub fn percentiles(&self) -> LoadPercentiles {
        LoadPercentiles {
            count: self.count(),
            p50: self.quantile(0.5),
            p90: self.quantile(0.9),
            p99: self.quantile(0.99),
            p999: self.quantile(0.999),
            max: self.max(),
        }
    }

    /// What is in it, from short to long: the duration that stands for a cell, and how many lie there.
    pub fn iter(&self) -> impl Iterator<Item = (Duration, u64)> {
        self.histogram.iter().flat_map(|histogram| {
            histogram
                .iter_recorded()
                .map(|cell| (Duration::from_nanos(cell.value_iterated_to()), cell.count_at_value()))
        })
    }

    /// Quantiles with their durations for a plot whose axis is the share above, in powers of ten: 20 steps for each,
    /// as far as the count tells shares apart and to p99.999 at most, and the longest at 1.0. Empty for an empty
    /// distribution.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a count is far below 2^52")]
    pub fn percentile_curve(&self) -> Vec<(f64, Duration)> {
        if self.count() == 0 {
            return Vec::new();
        }
        (0..=DECADES * STEPS_PER_DECADE)
            .map(|step| 10_f64.powf(-f64::from(step) / f64::from(STEPS_PER_DECADE)))
            // A hair of slack: ten to the minus five times 100,000 is not quite one in binary.
            .take_while(|above| above * self.count() as f64 >= 1.0 - 1e-9)
            .map(|above| (1.0 - above, self.quantile(1.0 - above)))
            .chain([(1.0, self.max())])
            .collect()
    }

    /// The histogram, for the log; `None` for an empty distribution.
    pub(super) fn histogram(&self) -> Option<&Histogram<u64>> {
        self.histogram.as_deref()
    }

    /// An empty histogram like those within.
    pub(super) fn empty_histogram() -> Option<Box<Histogram<u64>>> {
        histogram()
    }

    /// Adds all that a second measured.
    pub(super) fn add_cells(&mut self, cells: &Cells) {
        self.exact.merge(&cells.exact);
        for (units, count) in &cells.counts {
            self.add(u64::from(*units) * RESOLUTION_NS, u64::from(*count));
        }
    }

    fn add(&mut self, ns: u64, count: u64) {
        if self.histogram.is_none() {
            self.histogram = histogram();
        }
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record_n(ns.min(LONGEST_NS), count);
        }
    }
}

impl fmt::Debug for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Distribution").field("count", &self.count()).field("max", &self.max()).finish()
    }
}

/// A few percentiles and the longest of a number of durations. Zero where there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadPercentiles {
    /// The durations that this rests on.
    pub count: u64,
    /// Half are not above it.
    pub p50: Duration,
    /// 90 % are not above it.
    pub p90: Duration,
    /// 99 % are not above it.
    pub p99: Duration,
    /// 99.9 % are not above it.
    pub p999: Duration,
    /// The longest.
    pub max: Duration,
}

impl LoadPercentiles {
    /// Of two spans of time together, each at least as long as it truly is: percentiles cannot be joined, and a
    /// report that shows too good a figure would be worse than one that shows the worse half.
    #[must_use]
    pub(super) fn worse(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            p50: self.p50.max(other.p50),
            p90: self.p90.max(other.p90),
            p99: self.p99.max(other.p99),
            p999: self.p999.max(other.p999),
            max: self.max.max(other.max),
        }
    }
}

/// The durations of one second, as they come in. About 90 KB once used, and used again second after second.
#[derive(Clone, Default)]
pub(super) struct Times {
    histogram: Option<Box<Histogram<u32>>>,
    exact: Exact,
}

impl Times {
    pub(super) fn record(&mut self, took: Duration) {
        let ns = nanoseconds(took);
        if self.histogram.is_none() {
            self.histogram = histogram();
        }
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record(ns.min(LONGEST_NS));
        }
        self.exact.record(ns);
    }

    /// What was measured, in as little room as it takes.
    pub(super) fn cells(&self) -> Cells {
        if self.exact.count == 0 {
            return Cells::default(); // an empty histogram is walked to its end
        }
        let recorded = self.histogram.iter().flat_map(|histogram| histogram.iter_recorded());
        // Cells are whole multiples of the resolution, so this stays in the cell it came from.
        let units = |ns: u64| u32::try_from(ns / RESOLUTION_NS).unwrap_or(u32::MAX);
        let counts = recorded.map(|cell| (units(cell.value_iterated_to()), cell.count_at_value()));
        Cells { counts: counts.collect(), exact: self.exact }
    }

    /// Begins anew and keeps its room.
    pub(super) fn clear(&mut self) {
        if self.exact.count > 0
            && let Some(histogram) = &mut self.histogram
        {
            histogram.reset();
        }
        self.exact = Exact::default();
    }
}

/// The durations of a second that is over: each cell of the histogram that holds any, as units of `RESOLUTION_NS` and
/// a count, from short to long.
#[derive(Clone, Default)]
pub(super) struct Cells {
    counts: Vec<(u32, u32)>,
    exact: Exact,
}

impl Cells {
    /// The same as a distribution.
    pub(super) fn distribution(&self) -> Distribution {
        let mut distribution = Distribution::default();
        distribution.add_cells(self);
        distribution
    }

    /// Adds those of another second; what lies in the same cell becomes one.
    pub(super) fn merge(&mut self, other: &Self) {
        self.exact.merge(&other.exact);
        self.counts.extend_from_slice(&other.counts);
        self.counts.sort_unstable_by_key(|(units, _)| *units);
        self.counts.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            kept.1 = if same { kept.1.saturating_add(later.1) } else { kept.1 };
            same
        });
    }

    /// The cells that are kept.
    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.counts.len()
    }

    /// A few percentiles, in one pass over the cells.
    pub(super) fn percentiles(&self) -> LoadPercentiles {
        let count = self.exact.count;
        let at = |rank: u64| {
            let mut below = 0;
            let cell = self.counts.iter().find(|(_, count)| {
                below += u64::from(*count);
                below >= rank
            });
            let ns = cell.map_or(0, |(units, _)| (u64::from(*units) + 1) * RESOLUTION_NS - 1);
            self.exact.within(ns)
        };
        // Nearest rank: the smallest that at least this share is not above.
        let of = |per_mille: u64| at((count * per_mille).div_ceil(1_000).max(1));
        LoadPercentiles {
            count,
            p50: of(500),
            p90: of(900),
            p99: of(990),
            p999: of(999),
            max: Duration::from_nanos(self.exact.max_ns),
        }
    }
}

#[cfg(test)]
mod tests;
