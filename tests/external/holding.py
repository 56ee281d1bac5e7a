"""What an agent is put through in test_it_holds.py: a simulated hub with spokes of our own, the books of both sides, and a
table of what the metrics said before and after."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from agent import REGION, Agent, Metrics, configuration, start_agent, write_configuration
from processes import Launcher, wait_until
from simulated import Simulated, start_simulator

HUB_ACCOUNT = "111122223333"
ORGANIZATION = "o-a1b2c3d4e5"
VERSION = "2012-10-17"


def account(nth: int) -> str:
    return f"{200_000_000_000 + nth:012}"


def api_id(nth: int) -> str:
    return f"a{nth:09}"


def allow(action: str, resource: str, **more: object) -> dict:
    return {"Version": VERSION, "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource, **more}]}


def world(spokes: int, session_life: str | None = None, latency: str = "0ms") -> dict:
    """A hub whose endpoint lets only the organisation in, and spokes with one api each."""

    def one(nth: int) -> dict:
        trust = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{HUB_ACCOUNT}:root"},
            "Action": "sts:AssumeRole",
        }
        role: dict = {
            "name": "spokeprobe",
            "trust": {"Version": VERSION, "Statement": [trust]},
            "policies": [allow("execute-api:Invoke", f"arn:aws:execute-api:{REGION}:{account(nth)}:*")],
        }
        if session_life:
            role["session_life"] = session_life
        route = {"method": "GET", "path": "/", "authorization": "AWS_IAM", "integration": {"json": {"hello": "world"}}}
        from_here = {"StringEquals": {"aws:SourceVpce": "vpce-0123456789abcdef0"}}
        api = {
            "id": api_id(nth),
            "stages": ["api"],
            "resource_policy": allow("execute-api:Invoke", "execute-api:/*", Principal="*", Condition=from_here),
            "routes": [route | {"latency": latency}],
        }
        return {"id": account(nth), "organization": ORGANIZATION, "roles": [role], "apis": [api]}

    own = {"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}}
    hub_role = {"name": "spokeprobe-hub", "policies": [allow("sts:AssumeRole", "*")]}
    return {
        "region": REGION,
        "hub": {"account": HUB_ACCOUNT, "role": "spokeprobe-hub"},
        "endpoint": {
            "id": "vpce-0123456789abcdef0",
            "policy": allow("execute-api:Invoke", "*", Principal="*", Condition=own),
        },
        "accounts": [
            {"id": HUB_ACCOUNT, "organization": ORGANIZATION, "roles": [hub_role]},
            *(one(nth) for nth in range(spokes)),
        ],
    }


def spoke(nth: int, *probes: dict, **keys: object) -> dict:
    """The agent's side of the spoke with this number."""
    api = {"name": "hoot", "id": api_id(nth), "stage": "api", "max_rate": "200/s", "probes": list(probes)}
    return {"name": f"spoke-{nth}", "account": account(nth), **keys, "apis": [api]}


def probe(name: str = "hello", every: str = "2s", **keys: object) -> dict:
    cadence = {} if "rate" in keys else {"every": every}
    return {"name": name, "request": "GET /", **cadence, **keys}


class Setting:
    """A simulated hub, and the configuration of an agent that probes it."""

    def __init__(self, launcher: Launcher, binary: Path, of: dict, sts_url: str | None = None) -> None:
        self.launcher, self.binary = launcher, binary
        self.hub: Simulated = start_simulator(launcher, binary, write_configuration(launcher.folder, of, "world.yaml"))
        self.content = configuration(
            f"https://{self.hub.host}:{self.hub.port}", sts_url or self.hub.sts_url, [], {"ca_file": str(self.hub.ca_file)}
        )
        self.content["hub"]["role_arn"] = f"arn:aws:iam::{HUB_ACCOUNT}:role/spokeprobe-hub"

    def start(self, spokes: list[dict], name: str = "agent", **sections: object) -> Agent:
        """`spokeprobe run` with these spokes, ready."""
        content = {**self.content, **sections, "spokes": spokes}
        environment = {key: value for key, value in self.hub.environment.items() if key != "AWS_ENDPOINT_URL_STS"}
        return start_agent(self.launcher, self.binary, content, environment, name).wait_ready()

    def write(self, spokes: list[dict], name: str = "agent") -> None:
        """Puts another configuration in its place, whole."""
        path = write_configuration(self.launcher.folder, {**self.content, "spokes": spokes}, f"{name}.new")
        path.replace(self.launcher.folder / f"{name}.yaml")

    def requests(self, *apis: str) -> int:
        """What the hub counted of some apis, or of all."""
        return sum(row["count"] for row in self.hub.counts()["requests"] if not apis or row["api"] in apis)

    def most_sts_calls(self, until: Callable[[], object], seconds: float) -> int:
        """The most calls to STS in a quarter of a second, until something is so."""
        most, seen = 0, self.sts_calls()

        def is_so() -> object:
            nonlocal most, seen
            now = self.sts_calls()
            most, seen = max(most, now - seen), now
            return until()

        wait_until("all are well", is_so, seconds, 0.25)
        return most

    def sts_calls(self) -> int:
        return sum(row["count"] for row in self.hub.counts()["sts"])


@dataclass
class Books:
    """What an agent accounts for at a moment."""

    due: float
    ended: float
    missed: float
    unsent: float
    unexpected: float
    asked: float
    reasons: dict[str, float] = field(default_factory=dict)

    @staticmethod
    def of(metrics: Metrics, **labels: str) -> Books:
        return Books(
            metrics.sum("due_attempts_total", **labels),
            metrics.sum("requests_total", **labels),
            metrics.sum("missed_attempts_total", **labels),
            metrics.sum("requests_total", outcome="unsent", **labels),
            metrics.sum("unexpected_results_total", **labels),
            metrics.sum("assume_role_total"),
            metrics.reasons(**labels),
        )

    @property
    def in_flight(self) -> float:
        return self.due - self.ended - self.missed

    def rows(self) -> dict[str, float]:
        return {
            "due": self.due,
            "ended": self.ended,
            "missed": self.missed,
            "in flight": self.in_flight,
            "unexpected": self.unexpected,
            "roles asked for": self.asked,
            **{f"of these {reason}": count for reason, count in sorted(self.reasons.items())},
        }


def at_rest(agent: Agent, setting: Setting, *apis: str, seconds: float = 20.0, **labels: str) -> tuple[Books, int]:
    """The books of both sides at a moment when nothing was on its way: no attempt fell due between two scrapes."""

    def compared() -> tuple[Books, int] | None:
        first = Books.of(agent.metrics(), **labels)
        counted = setting.requests(*apis)
        second = Books.of(agent.metrics(), **labels)
        return (second, counted) if first.due == second.due and first.in_flight == 0 else None

    found = wait_until("nothing on its way", compared, seconds, 0.03)
    assert isinstance(found, tuple)
    return found


def places(metrics: Metrics, every: float, **labels: str) -> dict[str, float]:
    """Where in their interval the targets of an agent made their last attempts, by spoke and probe."""
    found = metrics.find("last_attempt_timestamp_seconds", **labels)
    return {f"{one.labels['spoke']}/{one.labels['probe']}": one.value % every for one in found}


def moved(before: dict[str, float], after: dict[str, float], every: float, together: bool = False) -> float:
    """How far the targets of both moved within their interval at most, in seconds; where all moved `together`, as with a
    process that began at another moment, only against each other."""
    shifts = [after[name] - before[name] for name in before if name in after]
    assert shifts, "no target is in both"

    def around(middle: float) -> float:
        return max(abs((shift - middle + every / 2) % every - every / 2) for shift in shifts)

    return min(around(middle) for middle in shifts) if together else around(0.0)


class HeldScrape:
    """A scrape that began before the end of the agent and is read after its drain: the very last counts."""

    def __init__(self, agent: Agent) -> None:
        host, _, port = agent.url.removeprefix("http://").rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        self.socket.sendall(f"GET /metrics HTTP/1.1\r\nHost: {host}:{port}\r\n".encode())

    def finish(self) -> Metrics:
        self.socket.sendall(b"Connection: close\r\n\r\n")
        parts = []
        while part := self.socket.recv(1 << 16):
            parts.append(part)
        self.socket.close()
        head, _, body = b"".join(parts).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        assert b"transfer-encoding" not in head.lower(), head
        return Metrics(body.decode())


class Door:
    """A way to STS that can be shut: then every connection ends as it begins, and is counted with its time."""

    def __init__(self) -> None:
        self.target: tuple[str, int] | None = None
        self.open = True
        self.knocks: list[float] = []
        door = self

        class Passing(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                door.knocks.append(time.monotonic())
                if not door.open or door.target is None:
                    return
                with socket.create_connection(door.target, timeout=10) as far:
                    back = threading.Thread(target=copy, args=(far, self.request), daemon=True)
                    back.start()
                    copy(self.request, far)
                    back.join(10)

        def copy(source: socket.socket, sink: socket.socket) -> None:
            try:
                while door.open and (piece := source.recv(1 << 16)):
                    sink.sendall(piece)
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.server = Server(("127.0.0.1", 0), Passing)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def leads_to(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self.target = (host, int(port))

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def most_in_a_second(times: list[float]) -> int:
    """The most of these moments that lie within one second."""
    return max((sum(1 for other in times if at <= other < at + 1) for at in times), default=0)


def own_costs(agent: Agent) -> dict[str, float]:
    """What the process of an agent holds."""
    process = Path(f"/proc/{agent.program.popen.pid}")
    resident = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmRSS"))
    return {
        "resident MiB": round(int(resident.split()[1]) / 1024, 1),
        "threads": len(list((process / "task").iterdir())),
        "open files": len(list((process / "fd").iterdir())),
    }


def table(title: str, **columns: dict[str, object]) -> str:
    """Names down, moments across."""
    names = list(dict.fromkeys(name for rows in columns.values() for name in rows))

    def shown(value: object) -> str:
        return f"{value:,.10g}" if isinstance(value, float | int) else str(value)

    lines = [title, f"{'':34}" + "".join(f"{column.replace('_', ' '):>18}" for column in columns)]
    for name in names:
        lines.append(f"{name:34}" + "".join(f"{shown(rows.get(name, '')):>18}" for rows in columns.values()))
    return "\n".join(lines) + "\n"
