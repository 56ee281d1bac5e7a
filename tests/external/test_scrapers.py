"""Slow and greedy scrapers of the built program: they get their answers or wait, and probes stay on time."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from agent import Agent, Metrics
from processes import Launcher, free_port

SECONDS = 6
# Together fewer than the connections that one address may have.
GREEDY, SILENT = 6, 6


@pytest.fixture
def demo(binary: Path, launcher: Launcher) -> Agent:
    """A demo in the middle of its run."""
    listen = f"127.0.0.1:{free_port()}"
    agent = Agent(launcher.start("demo", binary, "demo", "--listen", listen), listen).wait_ready()
    agent.wait_for_attempts(100)
    return agent


def asked(agent: Agent, path: str, coding: str) -> tuple[http.client.HTTPMessage, bytes]:
    """Headers and body as they came."""
    request = urllib.request.Request(agent.url + path, headers={"Accept-Encoding": coding})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.headers, answer.read()


def late(metrics: Metrics, seconds: str) -> float:
    """Attempts that were sent later than this after they were due."""
    return metrics.sum("schedule_lag_seconds_count") - metrics.sum("schedule_lag_seconds_bucket", le=seconds)


def test_gzip_is_for_those_who_want_it(demo: Agent) -> None:
    """Another's gzip unpacks scrape and status to what is there without it, many times smaller; who refuses it gets none."""
    for path in ("/metrics", "/api/v1/status"):
        headers, plain = asked(demo, path, "gzip;q=0")
        assert headers["Content-Encoding"] is None and headers["Vary"] == "accept-encoding"
        headers, packed = asked(demo, path, "deflate, gzip;q=0.5")
        assert headers["Content-Encoding"] == "gzip" and headers["Vary"] == "accept-encoding"
        unpacked = gzip.decompress(packed)
        assert len(packed) * 5 < len(unpacked) and abs(len(unpacked) - len(plain)) < len(plain) / 5
        if path == "/metrics":
            assert Metrics(unpacked.decode()).find("up")
        else:
            assert json.loads(unpacked)["targets"]
        print(f"{path}: {len(unpacked)} bytes, {len(packed)} with gzip")


def test_probes_stay_on_time(demo: Agent) -> None:
    """Scrapers without pause and peers that never read: no attempt is held up, and a well-behaved scrape gets through."""
    before = demo.metrics()
    host, port = demo.url.removeprefix("http://").split(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(SILENT)]
    for peer in silent:
        peer.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    end, answers, problems = time.monotonic() + SECONDS, [], []

    def scrape_without_pause() -> None:
        while time.monotonic() < end:
            try:
                answers.append(len(asked(demo, "/metrics", "gzip")[1]))
            except OSError as error:
                problems.append(str(error))

    greedy = [threading.Thread(target=scrape_without_pause) for _ in range(GREEDY)]
    for thread in greedy:
        thread.start()
    for thread in greedy:
        thread.join(SECONDS + 25)
    after = demo.metrics()
    for peer in silent:
        peer.close()
    assert len(answers) > 50 and not problems, (len(answers), problems[:3])
    sent = after.sum("schedule_lag_seconds_count") - before.sum("schedule_lag_seconds_count")
    assert sent > 10 * SECONDS, "the demo's steady probe alone sends ten a second"
    assert late(after, "0.5") == late(before, "0.5"), "an attempt was held up for half a second"
    assert after.sum("missed_attempts_total", cause="paused") == before.sum("missed_attempts_total", cause="paused")
    assert after.sum("task_panics_total") == 0
    over = late(after, "0.1") - late(before, "0.1")
    print(f"{len(answers)} scrapes in {SECONDS} s; of {sent:.0f} attempts {over:.0f} were more than 0.1 s late")
