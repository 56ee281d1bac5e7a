"""The rows: which runs each takes, in interleaved rounds, and when its goal is met."""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

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
    # Whether a round on a busy machine is worse than none.
    is_strict: bool


FULL = Effort(5, 30, 10, 20, 30, 6, is_strict=True)
QUICK = Effort(1, 3, 2, 4, 4, 2, is_strict=False)


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


@dataclass
class Rounds:
    """Rounds in which each client has its turn. One flawed run makes its whole round invalid."""

    every: list[dict[str, Sample]] = field(default_factory=list)
    valid: list[dict[str, Sample]] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)

    def measure(self, bench: Bench, clients: list[Client], rate: float | None, seconds: float) -> None:
        samples: dict[str, Sample] = {}
        flaws = []
        for client in clients:
            sample = client.measure(bench.server, bench.cores.client, rate, seconds)
            samples[client.name] = sample
            if flaw := sample.flaw(rate):
                flaws.append(f"{client.name}: {flaw}")
        self.every.append(samples)
        self.flaws += flaws
        has_answers = all(sample.wrong == 0 for sample in samples.values())
        if not flaws or (has_answers and not bench.effort.is_strict):
            self.valid.append(samples)

    def of(self, name: str, value: Callable[[Sample], float]) -> list[float]:
        """One value of one client in each valid round."""
        return [value(samples[name]) for samples in self.valid]

    def note(self, name: str) -> str:
        flaws = f" ({'; '.join(self.flaws)})" if self.flaws else ""
        return f"{name}: {len(self.valid)} of {len(self.every)} rounds valid{flaws}"


def fixed_rate(bench: Bench) -> list[Row]:
    """The cost of a request at a rate that all can keep, and the rate that was kept."""
    seconds = bench.effort.fixed_rate_seconds
    signed = Row("CPU per signed attempt, classified and recorded, against `oha` signed", "≤ 0.6 ×")
    unsigned = Row("the same against `oha` unsigned", "≤ 1.0 ×")
    reached = Row(f"rate reached at {RATE:,}/s asked, over {seconds:.0f} s", "100 % ± 0.1 %")
    rows = [signed, unsigned, reached]
    clients = [spokeprobe(bench.tools.spokeprobe)]
    if bench.tools.oha:
        clients += [oha(bench.tools.oha, signed=True), oha(bench.tools.oha, signed=False)]
    rounds = Rounds()
    name = "CPU per request"
    attempt(rows, lambda: bench.rounds(name, lambda: rounds.measure(bench, clients, RATE, seconds)))
    if rounds.every:
        rate_reached(reached, [samples["spokeprobe"] for samples in rounds.every], seconds)
        signed.notes.append(rounds.note(name))
    if not rounds.valid:
        for row in (signed, unsigned):
            row.ours = row.ours or "no valid round"
        return rows
    ours = rounds.of("spokeprobe", lambda sample: sample.cpu_us_per_request)
    for row, peer, goal in ((signed, "oha signed", 0.6), (unsigned, "oha unsigned", 1.0)):
        row.ours = spread(ours, " µs")
        if not bench.tools.oha:
            row.peers = "oha is missing"
            continue
        theirs = rounds.of(peer, lambda sample: sample.cpu_us_per_request)
        quotients = ratios(ours, theirs)
        row.peers, row.ratio = f"{peer} {spread(theirs, ' µs')}", spread(quotients, " ×")
        row.met = statistics.median(quotients) <= goal
    shares = [sample.server_share for samples in rounds.valid for sample in samples.values()]
    signed.notes.append(f"nginx took {min(shares):.0%} to {max(shares):.0%} of its core at {RATE:,}/s")
    return rows


def rate_reached(row: Row, samples: list[Sample], seconds: float) -> None:
    """What was sent; and what was not must at least have been counted as missed."""
    asked = RATE * seconds
    sent = [sample.details["sent"] / asked * 100 for sample in samples]
    missed = [sample.details["missed"] / asked * 100 for sample in samples]
    told = [a + b for a, b in zip(sent, missed, strict=True)]
    row.ours = f"{statistics.median(sent):.3f} % ({min(sent):.3f}–{max(sent):.3f})"
    row.peers = f"told as missed: {max(missed):.3f} % at most; sent and missed {min(told):.3f}–{max(told):.3f} %"
    row.met = all(abs(share - 100) <= 0.1 for share in sent)


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
    tools = bench.tools
    row = Row("saturating throughput, 64 closed-loop workers on one core", "≥ 1.3 × `oha` signed")
    made = [
        tools.wrk and wrk(tools.wrk, bench.libraries),
        tools.hey and hey(tools.hey),
        tools.oha and oha(tools.oha, signed=False),
        tools.oha and oha(tools.oha, signed=True),
        tools.saturate and saturate(tools.saturate),
        tools.saturate and saturate(tools.saturate, "spokeprobe signing each anew", "--sign-each"),
        tools.saturate and saturate(tools.saturate, "spokeprobe over reqwest", "--over", "reqwest"),
    ]
    clients = [client for client in made if client]
    rounds = Rounds()
    seconds = bench.effort.saturating_seconds
    attempt([row], lambda: bench.rounds("saturating", lambda: rounds.measure(bench, clients, None, seconds)))
    row.peers = ", ".join(f"{name} is missing" for name in ("wrk", "hey", "oha") if getattr(tools, name) is None)
    if rounds.every:
        row.notes.append(rounds.note("saturating"))
    if not rounds.valid:
        row.ours = row.ours or "no valid round"
        return [row]
    for client in clients:
        rates = spread(rounds.of(client.name, lambda sample: sample.per_second), "/s")
        share = statistics.median(rounds.of(client.name, lambda sample: sample.server_share))
        cost = spread(rounds.of(client.name, lambda sample: sample.cpu_us_per_request), " µs")
        bound = "; the server's limit, not its own" if share > 0.95 else ""
        row.notes.append(f"{client.name} at full speed: {rates}, CPU per request {cost}, nginx {share:.0%} busy{bound}")
        if not client.name.startswith("spokeprobe"):
            row.peers += f"{', ' if row.peers else ''}{client.name} {rates}"
    if tools.saturate is None:
        row.ours = "the benchmark program is missing"
        return [row]
    ours = rounds.of("spokeprobe", lambda sample: sample.per_second)
    row.ours = spread(ours, "/s")
    if tools.oha:
        quotients = ratios(ours, rounds.of("oha signed", lambda sample: sample.per_second))
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
