//! The stop watch, and the way a computation is timed: by processor time, in batches of which the median is
//! told. Others who work on the machine lengthen wall time at will, processor time only by what they push out
//! of the caches.

#![expect(clippy::disallowed_methods, reason = "a measurement reads the machine's clock")]

use crate::Effort;
use crate::usage::own_thread_cpu_seconds;
use std::time::{Duration, Instant};

/// Wall time since a start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StopWatch(Instant);

impl StopWatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        Instant::now() - self.0
    }
}

/// The seconds of processor time that one call takes: one value per batch, each over enough calls to last
/// 100 ms, since the kernel's account may be a tick of 4 ms behind.
pub(crate) fn per_call(effort: Effort, mut call: impl FnMut()) -> Vec<f64> {
    let calls = calls_for(Duration::from_millis(100), &mut call);
    (0..effort.batches())
        .map(|_| {
            let before = own_thread_cpu_seconds();
            (0..calls).for_each(|_| call());
            (own_thread_cpu_seconds() - before) / f64::from(calls)
        })
        .collect()
}

fn calls_for(span: Duration, call: &mut impl FnMut()) -> u32 {
    let mut calls = 1;
    loop {
        let watch = StopWatch::start();
        (0..calls).for_each(|_| call());
        if watch.elapsed() >= span || calls >= 1 << 26 {
            return calls;
        }
        calls *= 2;
    }
}

/// The seconds of wall time that each of `times` calls takes.
pub(crate) fn each_call(times: usize, mut call: impl FnMut()) -> Vec<f64> {
    (0..times)
        .map(|_| {
            let watch = StopWatch::start();
            call();
            watch.elapsed().as_secs_f64()
        })
        .collect()
}
