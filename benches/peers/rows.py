"""The rows: which runs each takes, in interleaved rounds, and when its goal is met."""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass

import agents
from clients import Client, NotMeasured, Sample, Tools
from clients import hey, oha, saturate, spokeprobe, wrk
from machine import Cores, load_average, run
from server import Server
from table import Row, number, ratios, spread

RATE = 10_000
LATENESS_RATE = 5_000


@dataclass(frozen=True)
class Effort:
    """How often and how long."""

    rounds: int
    fixed_rate_seconds: float
    lateness_seconds: float
    low_rate_seconds: float
    fresh_seconds: float
    saturating_seconds: float


FULL = Effort(5, 30, 10, 20, 30, 6)
QUICK = Effort(1, 3, 2, 4, 4, 2)


@dataclass(frozen=True)
class Bench:
    """What every row needs."""

    server: Server
    cores: Cores
    tools: Tools
    libraries: str
    effort: Effort

    def rounds(self, name: str, measure: Callable[[], object]) -> None:
        for n in range(1, self.effort.rounds + 1):
            print(f"{name}: round {n} of {self.effort.rounds} (load average {load_average()})", file=sys.stderr)
            measure()

    def clients_at_full_speed(self) -> list[Client]:
        tools = self.tools
        made = [
            tools.wrk and wrk(tools.wrk, self.libraries),
            tools.hey and hey(tools.hey),
            tools.oha and oha(tools.oha, signed=False),
            tools.oha and oha(tools.oha, signed=True),
            tools.saturate and saturate(tools.saturate),
        ]
        return [client for client in made if client]


def fixed_rate(bench: Bench) -> list[Row]:
    """The cost of a request at a rate that all can keep, and the rate that was kept."""
    signed = Row("CPU per signed attempt, classified and recorded, against `oha` signed", "≤ 0.6 ×")
    unsigned = Row("the same against `oha` unsigned", "≤ 1.0 ×")
    reached = Row(f"rate reached at {RATE:,}/s asked, over {bench.effort.fixed_rate_seconds:.0f} s", "100 % ± 0.1 %")
    rows = [signed, unsigned, reached]
    ours = spokeprobe(bench.tools.spokeprobe)
    peers = [oha(bench.tools.oha, signed=True), oha(bench.tools.oha, signed=False)] if bench.tools.oha else []
    valid: list[dict[str, Sample]] = []
    all_ours: list[Sample] = []
    flaws: list[str] = []

    def one_round() -> None:
        samples = {}
        for client in [ours, *peers]:
            sample = client.measure(bench.server, bench.cores.client, RATE, bench.effort.fixed_rate_seconds)
            if client is ours:
                all_ours.append(sample)
            samples[client.name] = sample
            if flaw := sample.flaw(RATE):
                flaws.append(f"{client.name}: {flaw}")
        if not any(sample.flaw(RATE) for sample in samples.values()):
            valid.append(samples)

    attempt(rows, lambda: bench.rounds("CPU per request", one_round))
    if all_ours:
        rate_reached(reached, all_ours, bench.effort.fixed_rate_seconds)
    share = f"{len(valid)} of {bench.effort.rounds} rounds valid" + (f" ({'; '.join(flaws)})" if flaws else "")
    signed.notes.append(f"CPU per request: {share}")
    if not valid:
        for row in (signed, unsigned):
            row.ours = row.ours or "no valid round"
        return rows
    own = [samples[ours.name] for samples in valid]
    for row, name, goal in ((signed, "oha signed", 0.6), (unsigned, "oha unsigned", 1.0)):
        cost = [sample.cpu_us_per_request for sample in own]
        row.ours = spread(cost, " µs")
        if not peers:
            row.peers = "oha is missing"
            continue
        theirs = [samples[name].cpu_us_per_request for samples in valid]
        quotients = ratios(cost, theirs)
        row.peers, row.ratio = f"{name} {spread(theirs, ' µs')}", spread(quotients, " ×")
        row.met = statistics.median(quotients) <= goal
    shares = [sample.server_share for samples in valid for sample in samples.values()]
    signed.notes.append(f"nginx took {min(shares):.0%} to {max(shares):.0%} of its core at {RATE:,}/s")
    return rows


def rate_reached(row: Row, samples: list[Sample], seconds: float) -> None:
    """What was not sent must have been counted as missed."""
    asked = RATE * seconds
    sent = [sample.details["sent"] / asked * 100 for sample in samples]
    missed = [sample.details["missed"] for sample in samples]
    row.ours = f"{statistics.median(sent):.2f} % ({min(sent):.2f}–{max(sent):.2f})"
    row.peers = f"missed: {max(missed):,} at most" if any(missed) else "none missed"
    accounted = [sample.details["sent"] + sample.details["missed"] for sample in samples]
    row.met = all(abs(count / asked - 1) <= 0.001 for count in accounted)


def lateness(bench: Bench) -> list[Row]:
    """How late a request goes out, where the kernel may put the program on any core."""
    rows = [
        Row(f"lateness of sending at {LATENESS_RATE:,}/s, p50", "bare `clock_nanosleep` + 0.1 ms"),
        Row("the same, p99", "bare `clock_nanosleep` + 0.4 ms"),
    ]
    quantiles = ("p50_seconds", "p99_seconds")
    ours: list[dict] = []
    bare: list[dict] = []
    client = spokeprobe(bench.tools.spokeprobe)

    def one_round() -> None:
        sample = client.measure(bench.server, None, LATENESS_RATE, bench.effort.lateness_seconds)
        ours.append(sample.details["lateness"])
        bare.append(bare_lateness(bench))

    attempt(rows, lambda: bench.rounds("lateness", one_round))
    if len(bare) < bench.effort.rounds:
        return rows
    for row, quantile, allowed in zip(rows, quantiles, (0.1e-3, 0.4e-3), strict=True):
        mine, its = [one[quantile] for one in ours], [one[quantile] for one in bare]
        beyond = statistics.median(a - b for a, b in zip(mine, its, strict=True))
        row.ours, row.peers = spread(mine, " ms", 1e3), f"bare thread {spread(its, ' ms', 1e3)}"
        row.ratio, row.met = f"{beyond * 1e3:+.2f} ms", beyond <= allowed
    return rows


def bare_lateness(bench: Bench) -> dict[str, float]:
    """A thread that only sleeps until each moment, from the benchmark of the pacer itself."""
    if bench.tools.measures is None:
        raise NotMeasured("the benchmark program is missing")
    ended = run([bench.tools.measures, "--part", "lateness", "--quick"], None, bench.server.folder)
    found: dict[str, float] = {}
    for line in ended.stdout.splitlines():
        figure = re.match(r"figure\tlateness at 5,000/s, (p50|p99), a bare thread\t([\d.e-]+)\t.*\tms\t", line)
        if figure:
            found[f"{figure[1]}_seconds"] = float(figure[2]) / 1e3
    if len(found) != 2:
        raise NotMeasured(f"no lateness of a bare thread: {(ended.stderr or ended.stdout)[-200:]}")
    return found


def low_rate(bench: Bench) -> list[Row]:
    """What is spent when there is little to do."""
    rows = []
    measures = (("`run` with a probe at 100/s", agents.low_rate), ("`load` at 100/s", agents.low_load))
    for name, measure in measures:
        row = Row(f"CPU of {name}, idle pacer included", "≤ 0.7 % of a core, ≤ 250 wake-ups/s")
        rows.append(row)
        seen: list[tuple[float, float]] = []

        def one_round(measure: Callable = measure, seen: list = seen) -> None:
            spent = measure(bench.tools.spokeprobe, bench.server, bench.cores, bench.effort.low_rate_seconds)
            seen.append((spent.share_of_core, spent.wakeups / spent.seconds))

        attempt([row], lambda: bench.rounds(name, one_round))
        if not seen:
            continue
        share, wakeups = zip(*seen, strict=True)
        row.ours = f"{spread(share, ' %', 100)}, {spread(wakeups)} wake-ups/s"
        row.met = statistics.median(share) <= 0.007 and statistics.median(wakeups) <= 250
    return rows


def fresh(bench: Bench) -> list[Row]:
    """Health probes over connections of their own."""
    row = Row("CPU per fresh-connection health probe against `blackbox_exporter`, ours with its scrapes", "≤ 0.5 ×")
    ours: list[float] = []
    theirs: list[float] = []
    seconds = bench.effort.fresh_seconds

    def one_round() -> None:
        ours.append(agents.fresh_probes(bench.tools.spokeprobe, bench.server, bench.cores, seconds)[0])
        if bench.tools.blackbox:
            theirs.append(agents.blackbox_probes(bench.tools.blackbox, bench.server, bench.cores, seconds)[0])

    attempt([row], lambda: bench.rounds("fresh connections", one_round))
    if not ours:
        return [row]
    row.ours = spread(ours, " µs")
    if len(theirs) != len(ours):
        row.peers = "the blackbox exporter is missing" if not bench.tools.blackbox else "not every round ended"
        return [row]
    quotients = ratios(ours, theirs)
    row.peers, row.ratio = f"blackbox_exporter {spread(theirs, ' µs')}", spread(quotients, " ×")
    row.met = statistics.median(quotients) <= 0.5
    return [row]


def saturating(bench: Bench) -> list[Row]:
    """As many requests as 64 workers can make, one after the other each."""
    row = Row("saturating throughput, 64 closed-loop workers on one core", "≥ 1.3 × `oha` signed")
    clients = bench.clients_at_full_speed()
    seen: dict[str, list[Sample]] = {client.name: [] for client in clients}

    def one_round() -> None:
        for client in clients:
            sample = client.measure(bench.server, bench.cores.client, None, bench.effort.saturating_seconds)
            if flaw := sample.flaw(None):
                raise NotMeasured(f"{client.name}: {flaw}")
            seen[client.name].append(sample)

    attempt([row], lambda: bench.rounds("saturating", one_round))
    done = {name: samples for name, samples in seen.items() if len(samples) == bench.effort.rounds}
    rates = {name: [sample.per_second for sample in samples] for name, samples in done.items()}
    row.peers = ", ".join(f"{name} {spread(values, '/s')}" for name, values in rates.items() if name != "spokeprobe")
    for name in ("wrk", "hey", "oha"):
        if getattr(bench.tools, name) is None:
            row.peers += f"{', ' if row.peers else ''}{name} is missing"
    for name, samples in done.items():
        share = statistics.median(sample.server_share for sample in samples)
        cost = statistics.median(sample.cpu_us_per_request for sample in samples)
        bound = "; the server's limit, not its own" if share > 0.95 else ""
        row.notes.append(f"{name} at full speed: {number(cost)} µs of CPU per request, nginx {share:.0%} busy{bound}")
    if "spokeprobe" not in rates:
        row.ours = row.ours or "the benchmark program is missing"
        return [row]
    row.ours = spread(rates["spokeprobe"], "/s")
    if "oha signed" in rates:
        quotients = ratios(rates["spokeprobe"], rates["oha signed"])
        row.ratio, row.met = spread(quotients, " ×"), statistics.median(quotients) >= 1.3
    return [row]


def attempt(rows: list[Row], measure: Callable[[], None]) -> None:
    """Rows that cannot be measured say why; the others go on."""
    try:
        measure()
    except (NotMeasured, OSError, RuntimeError, json.JSONDecodeError, KeyError) as problem:
        text = " ".join(str(problem).split()).replace("|", "¦")[:240]
        print(f"not measured: {rows[0].figure}: {text}", file=sys.stderr)
        for row in rows:
            row.ours = f"not measured: {text}"


PARTS: dict[str, Callable[[Bench], list[Row]]] = {
    "fixed-rate": fixed_rate,
    "lateness": lateness,
    "low-rate": low_rate,
    "fresh": fresh,
    "saturating": saturating,
}
