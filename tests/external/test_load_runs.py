"""Loads by the built program against a server that none of its parts wrote, which misbehaves after its first answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from agent import HUB_KEYS, configuration, spoke, write_configuration
from jsonschema import Draft202012Validator
from moody import MoodyEndpoint
from processes import Launcher
from sts import SmallSts

HELLO = {"name": "hello", "request": "GET /", "as": "hub", "timeout": "3s"}
RATE = 100


@dataclass
class Ran:
    status: int
    report: dict
    server: MoodyEndpoint

    @property
    def reasons(self) -> dict[str, int]:
        return {row["reason"]: row["count"] for row in self.report["results"]}

    def balanced(self) -> None:
        """Nothing that was due is lost between the counts."""
        told = self.report
        assert told["due"] == told["sent"] + told["missed"] + told["unsent"], told
        assert told["sent"] == told["ended"] + told["aborted"], told
        assert told["ended"] + told["unsent"] == sum(row["count"] for row in told["results"]), told

    def stopped_by(self, guard: str) -> None:
        end, told = self.report["end"], self.report
        assert (self.status, end["how"], end.get("guard")) == (1, "stopped", guard), told["verdict"]
        assert end["measured"] > end["allowed"]
        assert not told["verdict"]["expected"] and guard in told["verdict"]["because"][0]
        # It went bad after one second; the guard looks once a second, and the rate goes down within half a one.
        assert end["after_seconds"] < 3.5, end
        assert told["due"] < told["planned_seconds"] * RATE * 0.9, "arrivals went on"


@pytest.fixture
def load(binary: Path, launcher: Launcher, closing):
    """Runs a load against a server in a mood and reads its report."""

    def run(mood: str, *options: str, seconds: int = 5) -> Ran:
        sts, server = closing(SmallSts([])), closing(MoodyEndpoint(mood))
        spokes = [spoke("payments", "012345678901", [HELLO], {"max_rate": "200/s"})]
        limits = {"requests_per_second_per_account": 200, "in_flight": 400, "in_flight_per_account": 400}
        config = write_configuration(launcher.folder, configuration(server.url, sts.url, spokes, limits=limits))
        arguments = ["--rate", f"{RATE}/s", "--for", f"{seconds}s", "--ramp-down", "500ms", "--json", *options]
        program = launcher.run(
            "load", binary, "load", "payments/hoot/hello", *arguments, "--config", config, environment=HUB_KEYS, seconds=40
        )
        assert program.popen.returncode in (0, 1), program.tail()
        ran = Ran(program.popen.returncode, json.loads(program.stdout), server)
        ran.balanced()
        return ran

    return run


def test_a_stall_of_two_seconds_is_told(load) -> None:
    """A server that stalls 2 s once: p99 and max of the response time show it, the service time of most does not."""
    ran = load("stalls once", "--guard", "missed=off", seconds=6)
    response, service = ran.report["latency"]["response"], ran.report["latency"]["service"]
    assert ran.server.stalled > 0
    assert response["max_seconds"] == pytest.approx(2.0, abs=0.3)
    assert response["p99_seconds"] > 1.7
    assert service["p50_seconds"] < 0.1
    # A prober that waits for answers would have sent a handful of requests in the two seconds, and called its p99 good.
    assert [second["due"] for second in ran.report["timeline"][:6]] == pytest.approx([RATE] * 6, abs=RATE // 4)
    assert ran.report["due"] == 6 * RATE
    assert ran.report["end"] == {"how": "completed"}
    print(f"response p99 {response['p99_seconds']:.2f} s, max {response['max_seconds']:.2f} s; "
          f"service p50 {service['p50_seconds'] * 1e3:.2f} ms")


def test_a_polite_server_shows_no_stall(load) -> None:
    """Seeded error: without the stall, the figures of the test above are not there."""
    ran = load("polite", "--guard", "missed=off", seconds=2)
    assert ran.report["latency"]["response"]["p50_seconds"] < 0.1
    assert ran.report["latency"]["response"]["max_seconds"] < 1.7
    assert set(ran.reasons) == {"none"}
    assert ran.server.answered == ran.report["ended"], "both sides counted the same"


@pytest.mark.parametrize(
    ("mood", "guard", "reason"),
    [
        ("throttles", "throttled", "rate"),
        ("fails", "errors", "backend_status"),
        ("resets", "errors", "reset"),
        ("dies", "errors", "connect_refused"),
    ],
)
def test_a_guard_stops_what_went_bad(load, mood: str, guard: str, reason: str) -> None:
    """A server that throttles, fails, resets or dies after a second: counted under its reason, and the guard stops the run."""
    ran = load(mood)
    ran.stopped_by(guard)
    assert ran.reasons.get(reason, 0) > 20, ran.reasons
    assert ran.reasons["none"] >= RATE * 0.8


def test_answers_that_become_slow_trip_p99(load) -> None:
    """A server that answers 0.8 s late after a second: the guard p99 stops the run, though every answer is as expected."""
    ran = load("slows", "--guard", "p99=400ms")
    ran.stopped_by("p99")
    assert ran.report["unexpected"] == 0


def test_a_server_that_falls_silent_trips_p99_before_any_timeout(load) -> None:
    """A server that answers nothing any more: what is overdue counts, so the run stops before its first timeout."""
    ran = load("falls silent", "--guard", "p99=400ms")
    ran.stopped_by("p99")
    assert ran.report["end"]["after_seconds"] < 3, "the timeout is 3 s"
    assert ran.reasons["response_timeout"] > 0


def test_guards_that_are_off_let_the_run_go_on(load) -> None:
    """Seeded error: the same throttle without its guards, and the run goes to its end, not as expected."""
    off = [word for guard in ("errors", "throttled", "missed") for word in ("--guard", f"{guard}=off")]
    ran = load("throttles", *off, seconds=3)
    assert (ran.status, ran.report["end"]) == (1, {"how": "completed"})
    assert ran.report["guards"] == []
    assert ran.report["due"] == 3 * RATE


def test_what_is_printed_fits_the_schemas_that_the_program_prints(binary: Path, launcher: Launcher, load) -> None:
    """Report and dry run of real runs fit `schema load-report` and `schema load-dry-run`, by a foreign validator."""
    forms = {}
    for name in ("load-report", "load-dry-run"):
        forms[name] = json.loads(launcher.run("schema", binary, "schema", name).stdout)
        Draft202012Validator.check_schema(forms[name])
    report = load("resets", seconds=2).report
    config = launcher.folder / "config.yaml"
    asked = ["load", "payments/hoot/hello", "--rate", "150/s", "--for", "2s", "--dry-run", "--json", "--config", config]
    dry = json.loads(launcher.run("dry", binary, *asked, environment=HUB_KEYS).stdout)
    for name, value in (("load-report", report), ("load-dry-run", dry)):
        assert [error.message for error in Draft202012Validator(forms[name]).iter_errors(value)] == []
        del value["in_flight_limit"]
        assert list(Draft202012Validator(forms[name]).iter_errors(value)), "a missing key is noticed"
