"""The clients: each as a command against the server, and as what it says of itself afterwards.

All get 64 connections, one core, one thread where they let it be chosen, and the same bytes in their headers, as
far as each lets them be set. Ours opens a connection only when all others are busy, so 64 is its limit.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from machine import Cores, Ended, run
from request import ACCESS_KEY, CONNECTIONS, CREDENTIALS, HEADERS, HOST, PATH, REGION, SECRET_KEY, TOKEN
from request import configuration, probe
from server import Server

# A server may take this share of its core; beyond, it is the server that is measured.
SERVER_SHARE_AT_MOST = 0.8
# At full speed either client or server is as busy as its core allows, or somebody else was there.
BUSY_AT_LEAST = 0.85


@dataclass(frozen=True)
class Tools:
    """Where the programs are; `None` for one that could not be had."""

    spokeprobe: Path
    measures: Path | None
    saturate: Path | None
    oha: Path | None
    wrk: Path | None
    hey: Path | None
    blackbox: Path | None


class NotMeasured(Exception):
    """Why a figure is missing, for the table."""


@dataclass(frozen=True)
class Told:
    """What a client counted. `wrong`: answers that were not 200, and requests without an answer."""

    requests: int
    seconds: float
    wrong: int
    details: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """One run of a client."""

    requests: int
    per_second: float
    cpu_us_per_request: float
    client_share: float
    server_share: float
    wrong: int
    details: dict

    def flaw(self, asked_per_second: float | None) -> str | None:
        """Why the run says nothing of the client, if so; `None` is asked of one that goes as fast as it can."""
        if self.wrong:
            return f"{self.wrong} requests were not answered with 200"
        if asked_per_second is None:
            if max(self.client_share, self.server_share) < BUSY_AT_LEAST:
                had = f"it had {self.client_share:.0%} of its core, nginx {self.server_share:.0%}"
                return f"others worked as well: {had}"
            return None
        if self.server_share >= SERVER_SHARE_AT_MOST:
            return f"nginx took {self.server_share:.0%} of its core"
        if abs(self.per_second / asked_per_second - 1) > 0.01:
            return f"{self.per_second:.0f}/s instead of {asked_per_second:.0f}/s"
        return None


@dataclass(frozen=True)
class Client:
    """A client by name: the command for a rate (`None`: as fast as it can) over some seconds, and the reader of its
    output."""

    name: str
    command: Callable[[Server, float | None, float], Sequence[str | Path]]
    read: Callable[[Ended], Told]
    environment: dict[str, str] = field(default_factory=dict)

    def measure(self, server: Server, core: int | None, rate: float | None, seconds: float) -> Sample:
        """One run with its cost and the server's."""
        account = server.account()
        ended = run(
            self.command(server, rate, seconds), core, server.folder, self.environment, seconds * 2 + 60
        )
        spent = account.spent()
        try:
            told = self.read(ended)
            if told.requests == 0:
                raise ValueError("no request was answered")
        except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
            words = (ended.stderr.strip() or ended.stdout.strip())[-300:]
            raise NotMeasured(f"{self.name} ended with {ended.status} ({error}): {words}") from error
        # Shares are of the time in which requests were made, without the client's beginning and end.
        return Sample(
            told.requests,
            told.requests / told.seconds,
            ended.cpu_seconds / told.requests * 1e6,
            ended.cpu_seconds / told.seconds,
            spent.cpu_seconds / told.seconds,
            told.wrong,
            told.details,
        )


def set_headers(flag: str, names: Sequence[str] = tuple(HEADERS)) -> list[str]:
    return [part for name in names for part in (flag, f"{name}: {HEADERS[name]}")]


def oha(tool: Path, signed: bool) -> Client:
    # One thread is the cheapest way to use one core; `OHA_THREADS=default` measures oha as it comes.
    threads = os.environ.get("OHA_THREADS", "1")

    def command(server: Server, rate: float | None, seconds: float) -> list[str | Path]:
        if signed:
            credentials = ["-a", f"{ACCESS_KEY}:{SECRET_KEY}", "--aws-session", TOKEN]
            headers = ["--aws-sigv4", f"aws:amz:{REGION}:execute-api", *credentials]
            # The two that ours adds outside of the signature.
            headers += set_headers("-H", ("User-Agent", "X-Amzn-Trace-Id"))
        else:
            headers = set_headers("-H")
        pace = ["-q", f"{rate:.0f}"] if rate else []
        place = ["--cacert", str(server.ca_file), "--connect-to", f"{HOST}:443:127.0.0.1:{server.port}"]
        shape = ["-c", str(CONNECTIONS), "-z", f"{seconds:g}s", "-w", "--disable-compression"]
        shape += [] if threads == "default" else ["--worker-threads", threads]
        output = ["--no-tui", "--output-format", "json"]
        return [tool, *output, *shape, *pace, *place, *headers, f"https://{HOST}{PATH}"]

    def read(ended: Ended) -> Told:
        said = json.loads(ended.stdout)
        codes = said["statusCodeDistribution"]
        wrong = sum(count for code, count in codes.items() if code != "200")
        wrong += sum(said["errorDistribution"].values())
        return Told(codes.get("200", 0), said["summary"]["total"], wrong)

    return Client(f"oha {'signed' if signed else 'unsigned'}", command, read)


def wrk(tool: Path, libraries: str) -> Client:
    def command(server: Server, _rate: float | None, seconds: float) -> list[str | Path]:
        shape = ["-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds:.0f}s"]
        return [tool, *shape, *set_headers("-H"), "-H", f"Host: {HOST}", server.url()]

    def read(ended: Ended) -> Told:
        requests, seconds, unit = re.search(r"(\d+) requests in ([\d.]+)(m?s)", ended.stdout).groups()
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", ended.stdout)
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", ended.stdout)
        wrong = (int(bad[1]) if bad else 0) + (sum(map(int, errors.groups())) if errors else 0)
        return Told(int(requests), float(seconds) / (1000 if unit == "ms" else 1), wrong)

    return Client("wrk", command, read, {"LD_LIBRARY_PATH": libraries})


def hey(tool: Path) -> Client:
    def command(server: Server, _rate: float | None, seconds: float) -> list[str | Path]:
        shape = ["-cpus", "1", "-disable-compression", "-c", str(CONNECTIONS), "-z", f"{seconds:g}s", "-host", HOST]
        return [tool, *shape, *set_headers("-H"), server.url()]

    def read(ended: Ended) -> Told:
        codes = {code: int(count) for code, count in re.findall(r"\[(\d+)\]\s+(\d+) responses", ended.stdout)}
        seconds = float(re.search(r"Total:\s+([\d.]+) secs", ended.stdout)[1])
        errors = ended.stdout.partition("Error distribution:")[2]
        wrong = sum(count for code, count in codes.items() if code != "200")
        wrong += sum(map(int, re.findall(r"^\s*\[(\d+)\]", errors, re.MULTILINE)))
        return Told(codes.get("200", 0), seconds, wrong)

    return Client("hey", command, read)


# No IMDS: this machine's own role, if it has one, is not asked for.
ENVIRONMENT = {**CREDENTIALS, "AWS_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true"}


def spokeprobe(tool: Path) -> Client:
    """`spokeprobe load`, an open model: it sends when due, whatever is still on its way."""

    def command(server: Server, rate: float | None, seconds: float) -> list[str | Path]:
        config = configuration(server.folder, server.port, server.ca_file, [probe("steady")])
        shape = ["--rate", f"{rate:g}/s", "--for", f"{seconds:g}s", "--in-flight", str(CONNECTIONS)]
        # A guard would end the run early; what is missed or wrong is judged here.
        shape += [part for guard in ("errors", "throttled", "missed") for part in ("--guard", f"{guard}=off")]
        return [tool, "--log", "warn", "load", "payments/hoot/steady", "--config", config, *shape, "--json"]

    def read(ended: Ended) -> Told:
        said = json.loads(ended.stdout)
        # Whatever was sent and is not as expected is wrong: other answers, failures, what was given up.
        expected = sum(result["count"] for result in said["results"] if result["expected"])
        return Told(expected, said["planned_seconds"], said["sent"] - expected, said)

    return Client("spokeprobe", command, read, ENVIRONMENT)


def saturate(tool: Path, name: str = "spokeprobe", *shape: str) -> Client:
    """The same attempts in a closed loop, as only the benchmark makes them."""

    def command(server: Server, _rate: float | None, seconds: float) -> list[str | Path]:
        config = configuration(server.folder, server.port, server.ca_file, [probe("steady")])
        length = ["--workers", str(CONNECTIONS), "--for-seconds", f"{seconds:g}"]
        return [tool, "--config", config, *length, *shape, "--json"]

    def read(ended: Ended) -> Told:
        said = json.loads(ended.stdout)
        return Told(said["expected"], said["seconds"], said["attempts"] - said["expected"], said)

    return Client(name, command, read, ENVIRONMENT)


def request_bytes(client: Client, server: Server, cores: Cores) -> int:
    """The size of a client's request, as the server saw it."""
    with server.at_the_port_that_counts_bytes():
        client.measure(server, cores.client, 20, 1)
    return max(server.sizes(), default=0)
