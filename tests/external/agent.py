"""The agent in tests: its configuration, its processes, and what its pages say, read by foreign parsers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml
from botocore.credentials import Credentials
from processes import Launcher, Program, free_port, http_get
from prometheus_client.parser import text_string_to_metric_families

REGION = "eu-west-1"
ENDPOINT_ID = "vpce-0123456789abcdef0"
ENDPOINT_NAME = f"{ENDPOINT_ID}-abcdefgh.execute-api.{REGION}.vpce.amazonaws.com"
HUB = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
HUB_KEYS = {"AWS_ACCESS_KEY_ID": HUB.access_key, "AWS_SECRET_ACCESS_KEY": HUB.secret_key, "AWS_REGION": REGION}


def role_arn(account: str, role: str = "spokeprobe") -> str:
    return f"arn:aws:iam::{account}:role/{role}"


def api_host(api_id: str) -> str:
    return f"{api_id}.execute-api.{REGION}.amazonaws.com"


def spoke(name: str, account: str, probes: list[dict], api: dict | None = None, **keys: object) -> dict:
    """A spoke with one api `hoot`."""
    shape = {"name": "hoot", "id": "a1b2c3d4e5", "stage": "api", **(api or {}), "probes": probes}
    return {"name": name, "account": account, **keys, "apis": [shape]}


def configuration(
    endpoint_url: str, sts_url: str, spokes: list[dict], endpoint: dict | None = None, **sections: object
) -> dict:
    """A configuration of which only the interesting parts are given."""
    return {
        "hub": {
            "region": REGION,
            "endpoint": {"id": ENDPOINT_ID, "dns_name": ENDPOINT_NAME, "url": endpoint_url, **(endpoint or {})},
            "sts": {"endpoint_url": sts_url},
        },
        "web": {"listen": f"127.0.0.1:{free_port()}"},
        "spokes": spokes,
        **sections,
    }


class PlainYaml(yaml.SafeDumper):
    """Writes every value out: the agent reads no anchors and aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def write_configuration(folder: Path, content: dict, name: str = "config.yaml") -> Path:
    path = folder / name
    path.write_text(yaml.dump(content, Dumper=PlainYaml, sort_keys=False))
    return path


@dataclass(frozen=True)
class Sample:
    name: str
    labels: dict[str, str]
    value: float


class Metrics:
    """A scrape, read by the parser of Prometheus's own Python client."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = [
            Sample(sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]

    def find(self, name: str, **labels: str) -> list[Sample]:
        """The samples of `spokeprobe_NAME` that have all these labels."""
        wanted = f"spokeprobe_{name}"
        return [s for s in self.samples if s.name == wanted and labels.items() <= s.labels.items()]

    def sum(self, name: str, **labels: str) -> float:
        return sum(sample.value for sample in self.find(name, **labels))

    def reasons(self, **labels: str) -> dict[str, float]:
        """Counts by `outcome/reason`, without those that are zero."""
        counts: dict[str, float] = {}
        for sample in self.find("requests_total", **labels):
            if sample.value:
                key = f"{sample.labels['outcome']}/{sample.labels['reason']}"
                counts[key] = counts.get(key, 0) + sample.value
        return counts


class Agent:
    """`spokeprobe run` or `demo` as a process, with its pages."""

    def __init__(self, program: Program, listen: str) -> None:
        self.program = program
        self.url = f"http://{listen}"

    def page(self, path: str) -> tuple[int, str]:
        return http_get(self.url + path)

    def metrics(self) -> Metrics:
        status, text = self.page("/metrics")
        assert status == 200, f"/metrics answered {status}: {text[:200]}"
        return Metrics(text)

    def status(self) -> dict:
        code, text = self.page("/api/v1/status")
        assert code == 200, f"/api/v1/status answered {code}: {text[:200]}"
        return json.loads(text)

    def wait_ready(self, seconds: float = 20.0) -> Agent:
        self.program.wait_for("/-/ready answers 200", lambda: self.page("/-/ready")[0] == 200, seconds)
        return self

    def wait_for_attempts(self, count: int, seconds: float = 30.0, **labels: str) -> Metrics:
        """Waits until so many attempts have ended."""

        def enough() -> Metrics | None:
            metrics = self.metrics()
            return metrics if metrics.sum("requests_total", **labels) >= count else None

        found = self.program.wait_for(f"{count} attempts of {labels}", enough, seconds)
        assert isinstance(found, Metrics)
        return found


def start_agent(
    launcher: Launcher, binary: Path, content: dict, environment: dict[str, str] | None = None, name: str = "agent"
) -> Agent:
    """Starts `spokeprobe run` with this configuration; the hub's keys stand in the environment unless another is given."""
    path = write_configuration(launcher.folder, content, f"{name}.yaml")
    program = launcher.start(
        name, binary, "run", "--config", path, environment=HUB_KEYS if environment is None else environment
    )
    return Agent(program, content["web"]["listen"])


def call(
    launcher: Launcher,
    binary: Path,
    config: Path,
    arguments: Iterable[str],
    environment: dict[str, str] | None = None,
    seconds: float = 40.0,
) -> tuple[int, dict | None, Program]:
    """Runs `spokeprobe call … --json`: exit status, the printed object (None when there is none), the program."""
    program = launcher.run(
        "call",
        binary,
        "call",
        *arguments,
        "--json",
        "--config",
        config,
        environment=HUB_KEYS if environment is None else environment,
        seconds=seconds,
    )
    text = program.stdout.strip()
    return program.popen.returncode, json.loads(text) if text else None, program
