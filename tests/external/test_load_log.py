"""The log of a load's histograms, read by an implementation of HdrHistogram that none of us wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from processes import Launcher
from simulated import Simulated

# The histograms of the log: nanoseconds up to ten minutes, 3 significant digits.
RANGE = (1, 600_000_000_000, 3)
NS = 1e9
# The names of percentiles in the JSON report.
PERCENTILES = {"p50_seconds": 50, "p90_seconds": 90, "p99_seconds": 99, "p999_seconds": 99.9}
SECONDS, RATE = 5, 40


@dataclass
class Interval:
    tag: str
    start: float
    end: float
    histogram: HdrHistogram


def intervals(log: Path) -> list[Interval]:
    """All intervals of a log in their order, times in seconds since the epoch."""
    reader = HistogramLogReader(str(log), HdrHistogram(*RANGE))
    found = []
    while (histogram := reader.get_next_interval_histogram()) is not None:
        found.append(
            Interval(
                histogram.get_tag(),
                histogram.get_start_time_stamp() / 1e3,
                histogram.get_end_time_stamp() / 1e3,
                histogram,
            )
        )
    reader.close()
    return found


def whole(found: list[Interval], tag: str) -> HdrHistogram:
    """All intervals of a tag together."""
    together = HdrHistogram(*RANGE)
    for interval in found:
        if interval.tag == tag:
            together.add(interval.histogram)
    return together


def differences(found: list[Interval], report: dict) -> list[str]:
    """Where the log and the report tell different stories."""
    wrong = []
    for tag in ("response", "service"):
        histogram, told = whole(found, tag), report["latency"][tag]
        ended = report["sent"] - report["aborted"]
        if histogram.get_total_count() != ended:
            wrong.append(f"{tag}: {histogram.get_total_count()} in the log, {ended} in the report")
        figures = {name: histogram.get_value_at_percentile(at) for name, at in PERCENTILES.items()}
        figures["max_seconds"] = histogram.get_max_value()
        for name, in_log in figures.items():
            # Each has rounded to a cell once: 3 digits, twice.
            if told[name] is not None and told[name] != pytest.approx(in_log / NS, rel=0.0025, abs=2e-6):
                wrong.append(f"{tag} {name}: {in_log / NS} in the log, {told[name]} in the report")
    return wrong


@pytest.fixture(scope="module")
def run(binary: Path, shared_launcher: Launcher, simulator: Simulated) -> tuple[Path, dict]:
    """One short load against the simulator: its log, and its JSON report."""
    assert simulator.config_file is not None
    log = shared_launcher.folder / "load.hlog"
    program = shared_launcher.run(
        "load",
        binary,
        "load",
        "payments/hoot/hello",
        "--rate",
        f"{RATE}/s",
        "--for",
        f"{SECONDS}s",
        "--json",
        "--hlog",
        log,
        "--config",
        simulator.config_file,
        environment=simulator.environment,
        seconds=60,
    )
    # 1 is a run in which some attempts were not as expected: the world may have them.
    assert program.popen.returncode in (0, 1), program.tail()
    return log, json.loads(program.stdout)


def test_a_foreign_reader_finds_what_the_report_tells(run: tuple[Path, dict]) -> None:
    """Count, longest and percentiles of both times, read by PyPI's hdrhistogram, are those of the JSON report."""
    log, report = run
    found = intervals(log)
    assert report["sent"] == pytest.approx(RATE * SECONDS, abs=2), report
    assert differences(found, report) == []
    by_tag = {tag: [interval for interval in found if interval.tag == tag] for tag in ("response", "service")}
    assert len(by_tag["response"]) == len(by_tag["service"]) >= SECONDS
    for of_tag in by_tag.values():
        for before, after in zip(of_tag, of_tag[1:]):
            assert before.end == pytest.approx(after.start, abs=0.002), "no hole between two intervals"
    print(f"{len(found)} intervals, {report['sent']} attempts")


def test_a_missing_interval_is_noticed(run: tuple[Path, dict], tmp_path: Path) -> None:
    """Seeded error: without one interval that holds answers, log and report differ."""
    log, report = run
    lines = log.read_text().splitlines(keepends=True)
    held = [len(interval.histogram.encode()) for interval in intervals(log)]
    at = [n for n, line in enumerate(lines) if line.startswith("Tag=")][held.index(max(held))]
    shorter = tmp_path / "shorter.hlog"
    shorter.write_text("".join(lines[:at] + lines[at + 1 :]))
    assert differences(intervals(shorter), report)


def test_a_spoilt_line_is_refused(run: tuple[Path, dict], tmp_path: Path) -> None:
    """Seeded error: one character changed in the middle of a histogram, and the foreign reader takes it for none."""
    log, _ = run
    lines = log.read_text().splitlines(keepends=True)
    at = max((n for n, line in enumerate(lines) if line.startswith("Tag=")), key=lambda n: len(lines[n]))
    middle = len(lines[at]) - len(lines[at].rsplit(",", 1)[1]) // 2
    other = "A" if lines[at][middle] != "A" else "B"
    lines[at] = lines[at][:middle] + other + lines[at][middle + 1 :]
    spoilt = tmp_path / "spoilt.hlog"
    spoilt.write_text("".join(lines))
    with pytest.raises(Exception):  # noqa: B017  (zlib's or the decoder's own, as the bytes fall)
        intervals(spoilt)
