"""Real servers that watch an agent: Prometheus of any version and kind of histogram, the Alertmanager, who it tells."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from processes import Launcher, Program, free_port, http_get

Row = dict[str, Any]


class Refused(Exception):
    """Prometheus does not understand a question."""


@dataclass
class Prometheus:
    """A running server and what can be asked of it."""

    name: str
    program: Program
    url: str

    def query(self, expression: str) -> list[Row]:
        """The result of an expression now."""
        return self._ask("query", {"query": expression})["result"]

    def label_values(self, label: str, match: str | None = None) -> list[str]:
        """What Grafana's `label_values(match, label)` asks for."""
        return self._ask(f"label/{label}/values", {"match[]": match} if match else {})

    def alerts(self) -> list[Row]:
        """The alerts that are pending or firing."""
        return self._ask("alerts", {})["alerts"]

    def problems_of_rules(self) -> list[str]:
        """What the last evaluation of each rule complained about."""
        groups = self._ask("rules", {})["groups"]
        return [f"{rule['name']}: {rule['lastError']}" for group in groups for rule in group["rules"] if rule.get("lastError")]

    def _ask(self, what: str, parameters: dict[str, str]) -> Any:
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            raise Refused(error.read().decode(errors="replace")) from None
        assert found["status"] == "success", found
        return found["data"]


def start_prometheus(
    launcher: Launcher, name: str, binary: Path, targets: list[str], *options: str, job: dict[str, Any] | None = None, **sections: Any
) -> Prometheus:
    """A Prometheus that scrapes and evaluates every second; `job` and `sections` are added to its configuration."""
    listen = f"127.0.0.1:{free_port()}"
    folder = launcher.folder / f"prometheus-{name}"
    folder.mkdir()
    scrape = {"job_name": "spokeprobe", "static_configs": [{"targets": targets}], **(job or {})}
    every = {"scrape_interval": "1s", "scrape_timeout": "900ms", "evaluation_interval": "1s"}
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump({"global": every, "scrape_configs": [scrape], **sections}))
    program = launcher.start(
        f"prometheus-{name}", binary, f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={listen}", "--log.level=warn", *options,
    )  # fmt: skip
    url = f"http://{listen}"
    program.wait_for("Prometheus is ready", lambda: http_get(f"{url}/-/ready")[0] == 200, 30)
    return Prometheus(name, program, url)


def start_alertmanager(launcher: Launcher, name: str, binary: Path, config: dict[str, Any]) -> str:
    """An Alertmanager of its own, without peers; its address."""
    listen = f"127.0.0.1:{free_port()}"
    folder = launcher.folder / f"alertmanager-{name}"
    folder.mkdir()
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    program = launcher.start(
        f"alertmanager-{name}", binary, f"--config.file={path}", f"--storage.path={folder / 'data'}",
        f"--web.listen-address={listen}", "--cluster.listen-address=", "--log.level=warn",
    )  # fmt: skip
    program.wait_for("the Alertmanager is ready", lambda: http_get(f"http://{listen}/-/ready")[0] == 200, 30)
    return listen


class Webhook:
    """Takes what an Alertmanager sends, and remembers by path who was told what."""

    def __init__(self) -> None:
        notes: list[tuple[str, Row]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                notes.append((self.path.strip("/"), json.loads(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.notes = notes
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def pages(self) -> list[tuple[str, Row]]:
        """Who was told of which alert, each pair once however often it was repeated."""
        told: dict[tuple[str, str], tuple[str, Row]] = {}
        for receiver, note in list(self.notes):
            for alert in note["alerts"]:
                if alert["status"] == "firing":
                    told.setdefault((receiver, alert["fingerprint"]), (receiver, alert))
        return list(told.values())

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
