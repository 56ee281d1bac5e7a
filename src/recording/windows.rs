//! Recent latencies for page and status: exact over few samples, or a histogram over many.
//!
//! Prometheus has its own histograms; these windows answer "how slow is it now" without a query, and with
//! the real maximum. Both begin small and grow only when samples come: an idle target costs nothing here.

use hdrhistogram::Histogram;
use std::time::Duration;

/// The samples a ring keeps.
pub const RING_SAMPLES: usize = 256;

/// The longest time a histogram can tell from longer ones, in microseconds: twice the longest timeout.
const LONGEST_US: u64 = 600_000_000;

/// Response times of one target or one spoke.
#[derive(Debug, Clone)]
pub(super) enum Window {
    /// The last `RING_SAMPLES` in microseconds (u32: up to 71 minutes), for targets with an interval.
    Ring { samples: Vec<u32>, next: usize },
    /// Everything since the window began, 2 significant digits (within 1 %), about 12 KiB: for targets with
    /// a rate and for totals of spokes.
    Histogram(Option<Box<Histogram<u32>>>),
}

/// What a window shows. Seconds, from due to the last byte.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentiles {
    /// The samples that this rests on.
    pub samples: u64,
    /// Half were faster.
    pub p50_seconds: f64,
    /// 90 % were faster.
    pub p90_seconds: f64,
    /// 99 % were faster.
    pub p99_seconds: f64,
    /// The slowest.
    pub max_seconds: f64,
}

impl Window {
    /// A window over the last samples.
    pub(super) const fn ring() -> Self {
        Self::Ring { samples: Vec::new(), next: 0 }
    }

    /// A window over everything.
    pub(super) const fn histogram() -> Self {
        Self::Histogram(None)
    }

    /// Adds one response time.
    pub(super) fn record(&mut self, took: Duration) {
        match self {
            Self::Ring { samples, next } => {
                let sample = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
                if samples.len() < RING_SAMPLES {
                    samples.push(sample);
                } else if let Some(slot) = samples.get_mut(*next) {
                    *slot = sample;
                }
                *next = (*next + 1) % RING_SAMPLES;
            }
            Self::Histogram(histogram) => {
                if histogram.is_none() {
                    *histogram = Histogram::new_with_bounds(1, LONGEST_US, 2).ok().map(Box::new);
                }
                if let Some(histogram) = histogram {
                    histogram.saturating_record(u64::try_from(took.as_micros()).unwrap_or(LONGEST_US));
                }
            }
        }
    }

    /// The percentiles of what is in the window; `None` while it is empty.
    pub(super) fn percentiles(&self) -> Option<Percentiles> {
        match self {
            Self::Ring { samples, .. } => {
                let mut sorted = samples.clone();
                sorted.sort_unstable();
                let max = *sorted.last()?;
                // Nearest rank: the smallest sample that at least this share is not above.
                let at = |percent: usize| {
                    let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
                    seconds(sorted.get(rank).copied().unwrap_or(max).into())
                };
                Some(Percentiles {
                    samples: sorted.len() as u64,
                    p50_seconds: at(50),
                    p90_seconds: at(90),
                    p99_seconds: at(99),
                    max_seconds: seconds(max.into()),
                })
            }
            Self::Histogram(histogram) => {
                let histogram = histogram.as_ref().filter(|h| !h.is_empty())?;
                let at = |quantile| seconds(histogram.value_at_quantile(quantile));
                Some(Percentiles {
                    samples: histogram.len(),
                    p50_seconds: at(0.5),
                    p90_seconds: at(0.9),
                    p99_seconds: at(0.99),
                    max_seconds: seconds(histogram.max()),
                })
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of minutes are far below 2^52")]
fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(mut window: Window, ms: impl Iterator<Item = u64>) -> Percentiles {
        ms.for_each(|ms| window.record(Duration::from_millis(ms)));
        window.percentiles().unwrap()
    }

    #[test]
    fn a_ring_is_exact_over_its_last_samples() {
        let hundred = filled(Window::ring(), (1..=100).rev());
        assert_eq!(
            (hundred.p50_seconds, hundred.p90_seconds, hundred.p99_seconds, hundred.max_seconds),
            (0.05, 0.09, 0.099, 0.1)
        );
        // The slow ones of long ago fall out, and exactly they.
        let later = filled(Window::ring(), std::iter::repeat_n(9_000, 300).chain(1..=256));
        assert_eq!((later.samples, later.max_seconds, later.p50_seconds), (256, 0.256, 0.128));
        let one = filled(Window::ring(), [7].into_iter());
        assert_eq!((one.p50_seconds, one.p99_seconds, one.samples), (0.007, 0.007, 1));
    }

    #[test]
    fn a_histogram_is_right_within_one_percent() {
        let shown = filled(Window::histogram(), 1..=1_000);
        assert_eq!(shown.samples, 1_000);
        for (found, wanted) in [
            (shown.p50_seconds, 0.5),
            (shown.p90_seconds, 0.9),
            (shown.p99_seconds, 0.99),
            (shown.max_seconds, 1.0),
        ] {
            assert!((found - wanted).abs() <= wanted * 0.01, "{found} for {wanted}");
        }
        let extreme = filled(Window::histogram(), [0, u64::MAX / 1_000_000].into_iter());
        assert_eq!(extreme.samples, 2);
    }

    #[test]
    fn an_unused_window_is_small_and_empty() {
        assert!(size_of::<Window>() <= 40);
        assert!(Window::ring().percentiles().is_none() && Window::histogram().percentiles().is_none());
        let mut used = Window::histogram();
        used.record(Duration::from_secs(1));
        let Window::Histogram(Some(histogram)) = used else { unreachable!("it was used") };
        assert!(histogram.distinct_values() * size_of::<u32>() <= 14_000, "{}", histogram.distinct_values());
    }
}
