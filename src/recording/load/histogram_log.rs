//! The log of a run's histograms: HdrHistogram's interval log, version 1.3, for its own tools and for every other one
//! that reads it.
//!
//! Each interval is two lines, tagged `response` (from due) and `service` (from sent): start and length in seconds, the
//! largest value, and the histogram as its V2 encoding, compressed and in base64. Values are nanoseconds; the largest
//! value alone is in milliseconds, as HdrHistogram's own writers have it. Starts count from `BaseTime`.

use crate::domain::name::Name;
use crate::recording::load::{Distribution, LoadInterval};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use std::fmt;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

/// From nanoseconds to the milliseconds of the column of largest values.
const NS_PER_MS: f64 = 1e6;

/// The line that names the columns.
const LEGEND: &[u8] =
    b"\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";

/// Writes a log as a run goes on: each interval as a whole, at once, and none of them kept.
pub struct HistogramLog<W: Write> {
    out: W,
    serializer: V2DeflateSerializer,
    lines: IntervalLogWriterBuilder,
    text: Vec<u8>,
    empty: Box<Histogram<u64>>,
}

impl<W: Write> HistogramLog<W> {
    /// Writes the head of the log of a load that began at this time.
    ///
    /// # Errors
    /// As `out` has it.
    pub fn begin(mut out: W, load: &Name, began_at: SystemTime) -> io::Result<Self> {
        let mut serializer = V2DeflateSerializer::new();
        let mut text = Vec::new();
        IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .add_comment(&format!(
                "Load {load} of spokeprobe. Tag response: from due to the last byte; tag service:"
            ))
            .add_comment(
                "from sent to the last byte. Histograms hold nanoseconds, Interval_Max is in milliseconds.",
            )
            .with_start_time(began_at)
            .with_base_time(began_at)
            .begin_log_with(&mut text, &mut serializer)?;
        out.write_all(&text)?;
        out.write_all(LEGEND)?;
        let mut lines = IntervalLogWriterBuilder::new();
        lines.with_max_value_divisor(NS_PER_MS);
        let empty = Distribution::empty_histogram().ok_or_else(|| io::Error::other("no histogram"))?;
        Ok(Self { out, serializer, lines, text, empty })
    }

    /// Writes one interval, as far as the operating system. Where nothing ended in it, its lines say so.
    ///
    /// # Errors
    /// As `out` has it.
    pub fn write(&mut self, interval: &LoadInterval) -> io::Result<()> {
        let LoadInterval { at, lasts, response, service } = interval;
        self.line("response", *at, *lasts, response)?;
        self.line("service", *at, *lasts, service)?;
        // Whoever follows the log of a long run sees each second, and a run that is killed leaves all before.
        self.out.flush()
    }

    /// Gives back where it went.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn line(&mut self, tag: &str, at: Duration, lasts: Duration, times: &Distribution) -> io::Result<()> {
        self.text.clear();
        let histogram = times.histogram().unwrap_or(&self.empty);
        self.lines
            .begin_log_with(&mut self.text, &mut self.serializer)?
            .write_histogram(histogram, at, lasts, Tag::new(tag))
            .map_err(|error| io::Error::other(error.to_string()))?;
        // The writer borrows its output, so it cannot be kept beside it; a new one begins with a comment about the
        // divisor each time, which belongs to no interval.
        let line = self.text.splitn(2, |byte| *byte == b'\n').nth(1).unwrap_or_default();
        self.out.write_all(line)
    }
}

impl<W: Write> fmt::Debug for HistogramLog<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistogramLog").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    /// `EXAMPLE_LOG=FILE` writes the log there too, for a reader that none of us wrote.
    fn example() -> Vec<u8> {
        let began_at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_225_600_250);
        let mut log = HistogramLog::begin(Vec::new(), &"night".parse().unwrap(), began_at).unwrap();
        for second in 0..3_u64 {
            let mut times = [Distribution::default(), Distribution::default()];
            for sample in 0..1_000 * second {
                times[0].record(Duration::from_micros(500 + sample * 10));
                times[1].record(Duration::from_micros(400 + sample));
            }
            let [response, service] = times;
            let (at, lasts) = (Duration::from_secs(second), Duration::from_secs(1));
            log.write(&LoadInterval { at, lasts, response, service }).unwrap();
        }
        log.into_inner()
    }

    #[test]
    fn each_interval_is_a_line_for_each_time() {
        let written = example();
        if let Some((_, path)) = std::env::vars_os().find(|(name, _)| name == "EXAMPLE_LOG") {
            std::fs::write(path, &written).unwrap();
        }
        let text = String::from_utf8(written.clone()).unwrap();
        assert!(text.starts_with("#[Histogram log format version 1.3]\n#Load night of"), "{text}");
        assert!(
            text.contains("#[StartTime: 1767225600.250 (seconds since epoch)]\n#[BaseTime: 1767225600.250 ")
        );
        assert!(!text.contains("Divisor"));
        let entries: Vec<_> = IntervalLogIterator::new(&written)
            .filter_map(|entry| match entry.unwrap() {
                LogEntry::Interval(interval) => Some((
                    interval.tag().unwrap().as_str(),
                    interval.start_timestamp().as_secs(),
                    interval.duration().as_secs(),
                    interval.max().round(),
                )),
                _ => None,
            })
            .collect();
        let [response, service] = ["response", "service"];
        assert_eq!(
            entries,
            [
                (response, 0, 1, 0.0),
                (service, 0, 1, 0.0),
                (response, 1, 1, 10.0),
                (service, 1, 1, 1.0),
                (response, 2, 1, 20.0),
                (service, 2, 1, 2.0),
            ]
        );
    }
}
