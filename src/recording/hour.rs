//! The last hour of one spoke: how many attempts of each minute were as expected and how long they took, and the
//! response times of the hour as a few coarse histograms.
//!
//! It is for people who look at the page; Prometheus keeps the real history. All of it is made at first use and
//! bounded: two kilobytes of minutes, and at most twelve histograms of one digit (about 400 bytes each for answers
//! within seconds). Times are the wall clock's, since that is what readers ask by; a clock that is set back makes
//! old minutes new again, and they are then begun afresh.

use crate::recording::windows::Percentiles;
use hdrhistogram::Histogram;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The minutes that are kept.
pub const MINUTES: usize = 60;
/// The minutes of one histogram.
const SLOT_MINUTES: u64 = 5;
/// The histograms that are kept.
const SLOTS: usize = 12;
/// The histograms that "now" rests on: the one that fills, and the one before.
const SLOTS_OF_NOW: u64 = 2;
/// What one step of a histogram stands for: a tenth of a millisecond is finer than a network.
const STEP_US: u64 = 100;
/// The longest time a histogram can tell from longer ones, in steps: twice the longest timeout.
const LONGEST_STEPS: u64 = 6_000_000;

/// What is kept.
#[derive(Debug, Default)]
pub(super) struct LastHour {
    minutes: Vec<Slot<Minute>>,
    times: Vec<Slot<Histogram<u16>>>,
}

/// Something that holds for one stretch of time, numbered since 1970.
#[derive(Debug)]
struct Slot<T> {
    number: u64,
    content: T,
}

/// The attempts that ended in one minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Minute {
    /// Attempts that ended, those that could not be sent included.
    pub ended: u32,
    /// Those of them that were not as expected.
    pub unexpected: u32,
    /// Attempts that were sent.
    pub sent: u32,
    /// The longest response time in microseconds, up to 71 minutes.
    pub longest_us: u32,
    /// The sum of the response times in microseconds.
    pub sum_us: u64,
}

/// The last hour as it stands at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Hour {
    /// The last 60 minutes, the oldest first; the last of them is the one that runs.
    pub minutes: [Minute; MINUTES],
    /// Response times of the last 55 to 60 minutes.
    pub hour: Option<Percentiles>,
    /// Response times of the last 5 to 10 minutes.
    pub now: Option<Percentiles>,
}

impl LastHour {
    /// Adds an attempt that ended `at`; `took` is `None` where nothing was sent.
    pub(super) fn record(&mut self, at: SystemTime, took: Option<Duration>, expected: bool) {
        let number = minute_of(at);
        if let Some(minute) = slot(&mut self.minutes, number, MINUTES, || Some(Minute::default())) {
            minute.ended = minute.ended.saturating_add(1);
            minute.unexpected = minute.unexpected.saturating_add(u32::from(!expected));
            if let Some(took) = took {
                minute.sent = minute.sent.saturating_add(1);
                minute.sum_us =
                    minute.sum_us.saturating_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
                minute.longest_us =
                    minute.longest_us.max(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
            }
        }
        let Some(took) = took else { return };
        let new = || {
            // It grows to the longest time seen and no further than the bound below.
            let mut histogram = Histogram::new(1).ok()?;
            histogram.auto(true);
            Some(histogram)
        };
        if let Some(times) = slot(&mut self.times, number / SLOT_MINUTES, SLOTS, new) {
            let steps = u64::try_from(took.as_micros()).unwrap_or(u64::MAX) / STEP_US;
            let steps = steps.min(LONGEST_STEPS);
            // A count that is full stays as it is (200/s at one speed), or the histogram's sum would be wrong.
            if times.count_at(steps) < u16::MAX {
                // The value is bounded, so the histogram can grow to hold it.
                let _kept = times.record(steps);
            }
        }
    }

    /// The hour that ends with the minute of `now`.
    pub(super) fn at(&self, now: SystemTime) -> Hour {
        let this_minute = minute_of(now);
        let first = (this_minute + 1).saturating_sub(MINUTES as u64);
        let mut minutes = [Minute::default(); MINUTES];
        for kept in &self.minutes {
            let place = kept.number.checked_sub(first).and_then(|place| usize::try_from(place).ok());
            if let Some(minute) = place.and_then(|place| minutes.get_mut(place)) {
                *minute = kept.content;
            }
        }
        let this_slot = this_minute / SLOT_MINUTES;
        Hour {
            minutes,
            hour: self.percentiles(this_slot, SLOTS as u64),
            now: self.percentiles(this_slot, SLOTS_OF_NOW),
        }
    }

    /// The percentiles of the last `slots` slots up to this one.
    fn percentiles(&self, this_slot: u64, slots: u64) -> Option<Percentiles> {
        let wanted = (this_slot + 1).saturating_sub(slots)..=this_slot;
        let mut all: Histogram<u32> = Histogram::new(1).ok()?;
        all.auto(true);
        for kept in self.times.iter().filter(|kept| wanted.contains(&kept.number)) {
            for step in kept.content.iter_recorded() {
                let _kept = all.record_n(step.value_iterated_to(), u32::from(step.count_at_value()));
            }
        }
        (!all.is_empty()).then(|| Percentiles {
            samples: all.len(),
            p50_seconds: seconds(all.value_at_quantile(0.5)),
            p90_seconds: seconds(all.value_at_quantile(0.9)),
            p99_seconds: seconds(all.value_at_quantile(0.99)),
            max_seconds: seconds(all.max()),
        })
    }
}

/// What is kept for this number, begun afresh if another stretch of time had its place.
fn slot<T>(
    slots: &mut Vec<Slot<T>>,
    number: u64,
    kept: usize,
    new: impl FnOnce() -> Option<T>,
) -> Option<&mut T> {
    let place = slots.iter().position(|slot| slot.number % kept as u64 == number % kept as u64);
    let place = match place {
        Some(place) if slots.get(place)?.number == number => place,
        Some(place) => {
            *slots.get_mut(place)? = Slot { number, content: new()? };
            place
        }
        None => {
            slots.push(Slot { number, content: new()? });
            slots.len() - 1
        }
    };
    slots.get_mut(place).map(|slot| &mut slot.content)
}

fn minute_of(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 60)
}

#[expect(clippy::cast_precision_loss, reason = "minutes in tenths of milliseconds are far below 2^52")]
fn seconds(steps: u64) -> f64 {
    (steps * STEP_US) as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(29_000_000 * 60 + minutes * 60)
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn an_hour_holds_its_minutes_and_nothing_older() {
        let mut hour = LastHour::default();
        assert_eq!((hour.at(at(0)).hour, hour.at(at(0)).now), (None, None));
        for minute in 0..200 {
            hour.record(at(minute), Some(ms(minute + 1)), minute % 2 == 0);
        }
        hour.record(at(199), None, false);
        let seen = hour.at(at(199));
        assert!(hour.minutes.len() == MINUTES && hour.times.len() == SLOTS, "bounded");
        assert!(seen.minutes.iter().take(59).all(|minute| minute.ended == 1));
        let last = seen.minutes[59];
        assert_eq!((last.ended, last.unexpected, last.sent, last.longest_us), (2, 2, 1, 200_000));
        assert_eq!((seen.minutes[0].longest_us, seen.minutes[0].unexpected), (141_000, 0));
        // The newest slots are of 5 minutes: 140..=199 and 190..=199.
        let (all, now) = (seen.hour.unwrap(), seen.now.unwrap());
        assert_eq!((all.samples, now.samples), (60, 10));
        for (found, wanted) in [(all.p50_seconds, 0.170), (all.max_seconds, 0.200), (now.p50_seconds, 0.195)]
        {
            assert!((found - wanted).abs() <= wanted * 0.07, "{found} for {wanted}");
        }
        let later = hour.at(at(240));
        assert_eq!(later.minutes.iter().filter(|minute| minute.ended > 0).count(), 19);
        assert!(later.now.is_none() && later.hour.is_some());
        assert_eq!(hour.at(at(400)), LastHour::default().at(at(400)), "nothing is older than an hour");
    }

    #[test]
    fn a_clock_that_is_set_back_begins_its_minutes_afresh() {
        let mut hour = LastHour::default();
        (0..120).for_each(|minute| hour.record(at(minute), Some(ms(9)), false));
        hour.record(at(30), Some(ms(1)), true);
        let seen = hour.at(at(30));
        assert_eq!((seen.minutes[59].ended, seen.minutes[59].unexpected), (1, 0));
        assert_eq!(seen.now.unwrap().samples, 1);
        // The time of no calendar is a time all the same.
        hour.record(UNIX_EPOCH - ms(1), None, true);
        assert_eq!(hour.at(UNIX_EPOCH).minutes.iter().map(|minute| minute.ended).sum::<u32>(), 1);
    }

    #[test]
    fn a_spoke_costs_a_few_kilobytes_whatever_comes_back() {
        let size = |slowest_ms: u64| {
            let mut hour = LastHour::default();
            for minute in 0..60 {
                for step in 0..200 {
                    hour.record(at(minute), Some(ms(slowest_ms * step / 199)), true);
                }
            }
            let counts: usize = hour.times.iter().map(|slot| slot.content.distinct_values() * 2).sum();
            counts
                + hour.minutes.capacity() * size_of::<Slot<Minute>>()
                + SLOTS * size_of::<Slot<Histogram<u16>>>()
        };
        println!("{} bytes for answers within a second, {} at most", size(1_000), size(86_400_000));
        assert!(size(1_000) <= 10_000 && size(86_400_000) <= 15_000);
        assert!(size_of::<LastHour>() <= 48, "and nothing before the first attempt");
    }

    #[test]
    fn more_answers_than_a_count_can_hold_leave_the_times_right() {
        let mut hour = LastHour::default();
        (0..70_000).for_each(|_| hour.record(at(0), Some(ms(10)), true));
        let seen = hour.at(at(0));
        assert_eq!(seen.minutes[59].sent, 70_000);
        let p50 = seen.hour.unwrap().p50_seconds;
        assert!((p50 - 0.010).abs() < 0.001, "{p50}");
    }
}
