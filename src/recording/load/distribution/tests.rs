//! Distributions against the exact numbers, and seconds against the whole.

use super::*;
use proptest::prelude::*;

fn of(durations: &[Duration]) -> Distribution {
    let mut distribution = Distribution::default();
    durations.iter().for_each(|took| distribution.record(*took));
    distribution
}

/// Nearest rank over all samples.
fn exactly(sorted: &[Duration], quantile: f64) -> Duration {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let rank = (quantile * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted[rank - 1]
}

fn close(found: Duration, wanted: Duration) -> bool {
    found.abs_diff(wanted) <= wanted / 1_000 + Duration::from_nanos(RESOLUTION_NS)
}

fn durations() -> impl Strategy<Value = Vec<Duration>> {
    // Both ends of the range, and what lies between in every size.
    let one = (0_u32..40, 0_u64..1_000).prop_map(|(size, part)| {
        Duration::from_nanos(((1_u64 << size) + (1_u64 << size) / 1_000 * part).min(LONGEST_NS))
    });
    prop::collection::vec(one, 1..300)
}

proptest! {
    #[test]
    fn percentiles_are_within_a_thousandth_and_the_rest_is_exact(taken in durations()) {
        let distribution = of(&taken);
        let mut sorted = taken;
        sorted.sort_unstable();
        for quantile in [0.0, 0.5, 0.9, 0.99, 0.999] {
            let (found, wanted) = (distribution.quantile(quantile), exactly(&sorted, quantile));
            prop_assert!(close(found, wanted), "{quantile}: {found:?} for {wanted:?}");
        }
        prop_assert_eq!(distribution.quantile(1.0), *sorted.last().unwrap());
        prop_assert_eq!(distribution.max(), *sorted.last().unwrap());
        prop_assert_eq!(distribution.min(), sorted[0]);
        let mean = sorted.iter().map(Duration::as_nanos).sum::<u128>() / sorted.len() as u128;
        prop_assert_eq!(distribution.mean().as_nanos(), mean);
        prop_assert_eq!(distribution.iter().map(|(_, count)| count).sum::<u64>(), sorted.len() as u64);
    }

    #[test]
    fn parts_make_the_whole_whichever_way_they_are_joined(first in durations(), second in durations()) {
        let whole = of(&[first.clone(), second.clone()].concat());
        let mut merged = of(&first);
        merged.merge(&of(&second));
        prop_assert_eq!(&merged, &whole);
        merged.merge(&Distribution::default());
        prop_assert_eq!(&merged, &whole);

        let mut from_cells = Distribution::default();
        let (mut times, mut joined) = (Times::default(), Cells::default());
        for part in [&first, &second] {
            times.clear();
            part.iter().for_each(|took| times.record(*took));
            let cells = times.cells();
            prop_assert!(cells.len() <= part.len());
            prop_assert_eq!(cells.percentiles(), of(part).percentiles());
            from_cells.add_cells(&cells);
            joined.merge(&cells);
        }
        prop_assert_eq!(&joined.distribution(), &whole);
        prop_assert_eq!(joined.len(), whole.iter().count());
        prop_assert_eq!(&from_cells, &whole);
    }
}

#[test]
fn what_is_too_long_counts_as_the_longest_and_is_told() {
    let hour = Duration::from_secs(3_600);
    let distribution = of(&[Duration::from_secs(1), hour, Duration::MAX]);
    assert_eq!((distribution.count(), distribution.saturated()), (3, 2));
    assert!(close(distribution.quantile(0.5), Duration::from_nanos(LONGEST_NS)));
    assert_eq!(distribution.max(), Duration::from_nanos(u64::MAX), "but the longest is not hidden");
    let mut times = Times::default();
    times.record(hour);
    let kept = times.cells().distribution();
    assert_eq!((kept.saturated(), kept.max()), (1, hour));
}

#[test]
fn an_empty_distribution_is_zero_everywhere() {
    let empty = Distribution::default();
    assert_eq!((empty.min(), empty.mean(), empty.max(), empty.quantile(0.5)), Default::default());
    assert!(empty.percentile_curve().is_empty() && empty.iter().next().is_none());
    assert_eq!(empty.percentiles(), LoadPercentiles::default());
    assert_eq!(Cells::default().percentiles(), LoadPercentiles::default());
}

#[test]
fn a_curve_goes_as_far_as_the_count_tells_shares_apart() {
    let of_count =
        |count: u64| of(&(1..=count).map(Duration::from_micros).collect::<Vec<_>>()).percentile_curve();
    for (count, last) in [(1, 0.0), (10, 0.9), (1_000, 0.999), (100_000, 0.99999), (200_000, 0.99999)] {
        let curve = of_count(count);
        let (end, before) = (curve[curve.len() - 1], curve[curve.len() - 2]);
        assert_eq!(end, (1.0, Duration::from_micros(count)));
        assert!((before.0 - last).abs() < 1e-9, "{count}: {before:?}");
        assert!(curve.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1), "{count}");
    }
    let p99 = of_count(1_000).into_iter().find(|(quantile, _)| (quantile - 0.99).abs() < 1e-9).unwrap().1;
    assert!(close(p99, Duration::from_micros(990)), "{p99:?}");
}
