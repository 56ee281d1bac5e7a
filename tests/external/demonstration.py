"""One run of `spokeprobe demo`, watched from outside: its pages, its own simulator's counts, its summary, Prometheus."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import yaml
from agent import Agent, Metrics
from processes import Launcher, free_port, http_get, wait_until

SECONDS = 20


@dataclass
class Demonstration:
    """What was seen of the run."""

    launcher: Launcher
    agent: Agent
    exit_status: int
    lasted_seconds: float
    summary: dict
    late: Metrics
    late_status: dict
    late_counts: dict
    late_at: float
    prometheus_url: str | None

    def query(self, expression: str, at: float | None = None) -> list[dict]:
        """The result of a PromQL expression at a moment near the end of the run."""
        found = self._ask("query", {"query": expression, "time": f"{at or self.late_at:.3f}"})
        return found["result"]

    def query_range(self, expression: str, seconds: float) -> list[float]:
        """The values of an expression with one series, at every second of the last `seconds`."""
        window = {"start": f"{self.late_at - seconds:.3f}", "end": f"{self.late_at:.3f}", "step": "1"}
        found = self._ask("query_range", {"query": expression, **window})
        assert len(found["result"]) == 1, found
        return [float(value) for _, value in found["result"][0]["values"]]

    def _ask(self, what: str, parameters: dict[str, str]) -> dict:
        assert self.prometheus_url
        url = f"{self.prometheus_url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = json.load(answer)
        assert found["status"] == "success", found
        return found["data"]


def start_prometheus(launcher: Launcher, prometheus: Path, targets: list[str]) -> str:
    """A Prometheus that scrapes these addresses every second; its URL."""
    listen = f"127.0.0.1:{free_port()}"
    config = launcher.folder / "prometheus.yaml"
    scrape = {"job_name": "spokeprobe", "static_configs": [{"targets": targets}]}
    config.write_text(
        yaml.safe_dump({"global": {"scrape_interval": "1s", "scrape_timeout": "900ms"}, "scrape_configs": [scrape]})
    )
    program = launcher.start(
        "prometheus",
        prometheus,
        f"--config.file={config}",
        f"--storage.tsdb.path={launcher.folder / 'tsdb'}",
        f"--web.listen-address={listen}",
        "--log.level=warn",
    )
    url = f"http://{listen}"
    program.wait_for("Prometheus is ready", lambda: http_get(f"{url}/-/ready")[0] == 200, 30)
    return url


def watch_a_demo(launcher: Launcher, binary: Path, prometheus: Path | None) -> Demonstration:
    """Runs a demo to its end, and looks at it a little before."""
    listen, control = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    prometheus_url = start_prometheus(launcher, prometheus, [listen]) if prometheus else None
    began = time.monotonic()
    program = launcher.start(
        "demo", binary, "demo", "--for", f"{SECONDS}s", "--json", "--listen", listen, "--control", control
    )
    agent = Agent(program, listen).wait_ready()
    wait_until("the demo is nearly over", lambda: time.monotonic() - began > SECONDS - 3, SECONDS)
    late, late_status = agent.metrics(), agent.status()
    _, counts = http_get(f"http://{control}/counts")
    late_at = time.time()
    exit_status = program.wait(SECONDS)
    lasted = time.monotonic() - began
    return Demonstration(
        launcher, agent, exit_status, lasted, json.loads(program.stdout), late, late_status, json.loads(counts), late_at,
        prometheus_url,
    )  # fmt: skip
