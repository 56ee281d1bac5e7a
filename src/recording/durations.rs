//! The response times of one target and outcome as Prometheus wants them: a count per bucket.
//!
//! A child of prometheus' own `HistogramVec` carries name, help and every label as text of its own; with one
//! per target and outcome that alone would be half of what a target may weigh. Here it is numbers only, and
//! the text is written at scrape time.

use prometheus::proto::{Bucket, Histogram};
use std::sync::Arc;

/// Counts by bucket, with count and sum.
#[derive(Debug)]
pub(super) struct Durations {
    bounds: Arc<[f64]>,
    /// The samples in each bucket alone; those above the last bound are only in `count`.
    counts: Box<[u64]>,
    count: u64,
    sum_seconds: f64,
}

impl Durations {
    /// Nothing counted yet. The bounds are finite and ascending.
    pub(super) fn new(bounds: &Arc<[f64]>) -> Self {
        let counts = vec![0; bounds.len()].into_boxed_slice();
        Self { bounds: Arc::clone(bounds), counts, count: 0, sum_seconds: 0.0 }
    }

    /// Counts one sample. A bucket holds what is not above its bound.
    pub(super) fn observe(&mut self, seconds: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.count += 1;
        self.sum_seconds += seconds;
    }

    /// The value of a series.
    pub(super) fn value(&self) -> Histogram {
        let mut below = 0;
        let buckets = self.bounds.iter().zip(&self.counts).map(|(bound, count)| {
            below += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(below);
            bucket
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(self.count);
        histogram.set_sample_sum(self.sum_seconds);
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_counts_in_its_bucket_and_in_every_larger_one() {
        let mut durations = Durations::new(&Arc::from([0.1, 1.0, 10.0]));
        for seconds in [0.1, 0.100_001, 1.0, 9.0, 10.5] {
            durations.observe(seconds);
        }
        let value = durations.value();
        let buckets: Vec<_> =
            value.get_bucket().iter().map(|b| (b.upper_bound(), b.cumulative_count())).collect();
        assert_eq!(buckets, [(0.1, 1), (1.0, 3), (10.0, 4)]);
        assert_eq!(value.get_sample_count(), 5);
        assert!((value.get_sample_sum() - 20.700_001).abs() < 1e-9);
    }
}
