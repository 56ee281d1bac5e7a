"""A clock that is wrong, by libfaketime: the agent says so, and in which direction."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from agent import Metrics
from lab import LIBRARIES, ZONES, Lab, hoot, payments, probe
from processes import Launcher, free_port, http_get

LIBRARY = LIBRARIES / "faketime" / "libfaketime.so.1"


@pytest.fixture
def faketime() -> Path:
    """The library that is loaded before the program's own."""
    if not LIBRARY.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{LIBRARY.name} is missing, and CI=true allows no skips")
        pytest.skip(f"{LIBRARY.name} is missing: run scripts/install-test-tools")
    return LIBRARY


def test_a_clock_that_steps_is_named_and_measured(lab: Lab, faketime: Path, tmp_path: Path) -> None:
    """The wall clock steps by ten minutes, forth and back: clock_skew, its size with its sign, and no attempt is lost."""
    lab.firewall()
    lab.names({"a1b2c3d4e5": ZONES})
    step = tmp_path / "step"
    step.write_text("+0s\n")
    environment = {
        "LD_PRELOAD": str(faketime),
        "FAKETIME_TIMESTAMP_FILE": str(step),
        "FAKETIME_CACHE_DURATION": "1",
        # Only the wall clock: the monotonic one does not step.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    agent = lab.start_agent(lab.configuration([payments([hoot(probe("hello"))])]), environment)
    agent.becomes("ok/none", spoke="payments")
    agent.gauge_becomes("clock_skew_seconds", lambda value: abs(value) < 5)
    wrong = "denied/clock_skew"
    for offset, is_right in (("+10m", lambda value: -620 < value < -580), ("-10m", lambda value: 580 < value < 620)):
        agent.is_not(wrong, spoke="payments")
        step.write_text(f"{offset}\n")
        agent.becomes(wrong, spoke="payments")
        measured = agent.gauge_becomes("clock_skew_seconds", is_right)
        print(f"{offset}: clock_skew_seconds {measured:.1f}")
        step.write_text("+0s\n")
        agent.becomes("ok/none", spoke="payments")
        agent.gauge_becomes("clock_skew_seconds", lambda value: abs(value) < 5)
    metrics = agent.metrics()
    assert metrics.sum("missed_attempts_total", spoke="payments") == 0
    assert set(metrics.reasons(spoke="payments")) == {"ok/none", wrong}
    assert agent.program.terminate() == 0


def test_after_a_suspension_sessions_are_asked_for_within_a_minute(
    binary: Path, launcher: Launcher, faketime: Path, tmp_path: Path
) -> None:
    """The wall clock goes on by 25 hours and the monotonic one does not, for hub and agent alike: sessions and the hub's
    own credentials have ended, and everything is well within a minute or two, by the program's own sources."""
    step = tmp_path / "step"
    step.write_text("+0s\n")
    environment = {
        "LD_PRELOAD": str(faketime),
        "FAKETIME_TIMESTAMP_FILE": str(step),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    listen = f"127.0.0.1:{free_port()}"
    demo = launcher.start("demo", binary, "demo", "--listen", listen, "--for", "240s", environment=environment)

    def states() -> dict[str, str]:
        status, text = http_get(f"http://{listen}/metrics")
        if status != 200:
            return {}
        metrics = Metrics(text)
        return {
            "/".join(sample.labels[label] for label in ("spoke", "api", "probe")): sample.labels["reason"]
            for sample in metrics.samples
            if sample.name == "spokeprobe_last_outcome"
        }

    def has_sessions() -> bool:
        found = states()
        lacking = {"no_hub_credentials", "credentials_expired", "assume_role_failed"}
        return len(found) > 20 and not lacking & set(found.values())

    demo.wait_for("everything has a session", has_sessions, seconds=30)
    step.write_text("+25h\n")
    demo.wait_for("sessions have ended", lambda: "credentials_expired" in states().values(), seconds=15)
    began = time.monotonic()
    demo.wait_for("everything has a session again", has_sessions, seconds=120)
    print(f"all sessions were back after {time.monotonic() - began:.0f} s")
    assert "the wall clock stepped" in demo.stderr
