"""Programs that stay: `spokeprobe run` and Debian's blackbox exporter. What a probe costs them, and what idling does.
"""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clients import ENVIRONMENT, NotMeasured
from machine import Account, Cores, Running, Spent
from request import CONNECTIONS, HEADERS, HOST, configuration, probe
from server import Server, answers, free_port

SCRAPE_EVERY_SECONDS = 15
WARM_UP_SECONDS = 3
# Every second, which is the shortest interval.
FRESH_TARGETS = 50
LOW_RATE = 100


def get(port: int, path: str) -> str:
    """The body of a page that must be there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode()
    finally:
        connection.close()
    if answer.status != 200:
        raise NotMeasured(f"{path} answered {answer.status}: {body[:200]}")
    return body


def is_there(port: int, path: str) -> bool:
    try:
        get(port, path)
    except (OSError, http.client.HTTPException, NotMeasured):
        return False
    return True


@contextmanager
def agent(
    tool: Path, server: Server, core: int | None, probes: list[dict[str, object]]
) -> Iterator[tuple[Running, int]]:
    """`spokeprobe run`, warm, and the port of its pages."""
    port = free_port()
    config = configuration(server.folder, server.port, server.ca_file, probes, f"127.0.0.1:{port}")
    command = [tool, "--log", "warn", "run", "--config", config]
    with Running(command, core, server.folder / "agent.log", ENVIRONMENT) as running:
        running.wait_until(lambda: answers(port) and is_there(port, "/-/ready"))
        time.sleep(WARM_UP_SECONDS)
        yield running, port


def watched(account: Account, seconds: float, each_second: Callable[[int], None] = lambda _: None) -> Spent:
    """What is spent in so many seconds from the account's beginning on."""
    began = time.monotonic()
    for second in range(1, int(seconds) + 1):
        time.sleep(max(0.0, began + second - time.monotonic()))
        each_second(second)
        account.look()
    return account.spent()


def attempts(scrape: str) -> int:
    """The attempts that were answered as expected. Others make the figure worthless, so they are an error."""
    counts = re.findall(r'^spokeprobe_requests_total\{.*?outcome="(\w+)".*\} (\d+)$', scrape, re.MULTILINE)
    wrong = sum(int(count) for outcome, count in counts if outcome != "ok")
    if wrong:
        raise NotMeasured(f"{wrong} probes of spokeprobe were not answered with 200")
    return sum(int(count) for _, count in counts)


def fresh_probes(tool: Path, server: Server, cores: Cores, seconds: float) -> tuple[float, float]:
    """Health probes, each over a connection of its own, scraped each 15 s and at the end. Gives the processor time of
    a probe in µs, and probes per second."""
    probes = [probe(f"fresh-{n}", every="1s", connection="fresh") for n in range(FRESH_TARGETS)]
    with agent(tool, server, cores.client, probes) as (running, port):
        before = attempts(get(port, "/metrics"))
        last = before

        def scrape(second: int) -> None:
            nonlocal last
            if second % SCRAPE_EVERY_SECONDS == 0 or second == int(seconds):
                last = attempts(get(port, "/metrics"))

        spent = watched(Account(running.process.pid), seconds, scrape)
    return spent.cpu_seconds / (last - before) * 1e6, (last - before) / spent.seconds


def low_rate(tool: Path, server: Server, cores: Cores, seconds: float) -> Spent:
    """The agent with one probe at 100/s, and the pacer idle in between."""
    with agent(tool, server, cores.client, [probe("steady", rate=f"{LOW_RATE}/s")]) as (running, port):
        before = attempts(get(port, "/metrics"))
        spent = watched(Account(running.process.pid), seconds)
        made = (attempts(get(port, "/metrics")) - before) / spent.seconds
    if abs(made / LOW_RATE - 1) > 0.05:
        raise NotMeasured(f"{made:.1f} attempts a second instead of {LOW_RATE}")
    return spent


def low_load(tool: Path, server: Server, cores: Cores, seconds: float) -> Spent:
    """A load run at 100/s."""
    config = configuration(server.folder, server.port, server.ca_file, [probe("steady")])
    length = f"{seconds + WARM_UP_SECONDS + 2:.0f}s"
    shape = ["--rate", f"{LOW_RATE}/s", "--for", length, "--in-flight", str(CONNECTIONS), "--json"]
    command = [tool, "--log", "warn", "load", "payments/hoot/steady", "--config", config, *shape]
    with Running(command, cores.client, server.folder / "load.log", ENVIRONMENT) as running:
        time.sleep(WARM_UP_SECONDS)
        running.must_run()
        spent = watched(Account(running.process.pid), seconds)
        running.must_run()
    return spent


def blackbox_probes(tool: Path, server: Server, cores: Cores, seconds: float) -> tuple[float, float]:
    """The same probes by the blackbox exporter: each is a scrape, as is its way, over one kept connection to it. It
    sends the same header bytes, unsigned, and looks into the body as well."""
    module = {
        "prober": "http",
        "timeout": "10s",
        "http": {
            "headers": {**HEADERS, "Host": HOST},
            "valid_status_codes": [200],
            "follow_redirects": False,
            "enable_http2": False,
            "preferred_ip_protocol": "ip4",
            "fail_if_not_ssl": True,
            "fail_if_body_not_matches_regexp": ['"hello":"world"'],
            "tls_config": {"ca_file": str(server.ca_file), "server_name": HOST},
        },
    }
    file = server.folder / "blackbox.yaml"
    file.write_text(json.dumps({"modules": {"api": module}}))
    port = free_port()
    command = [tool, f"--config.file={file}", f"--web.listen-address=127.0.0.1:{port}"]
    path = "/probe?" + urllib.parse.urlencode({"module": "api", "target": server.url()})
    with Running(command, cores.client, server.folder / "blackbox.log") as running:
        running.wait_until(lambda: answers(port))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

        def probe_for(span: float) -> int:
            began, made = time.monotonic(), 0
            while (due := began + made / FRESH_TARGETS) < began + span:
                time.sleep(max(0.0, due - time.monotonic()))
                connection.request("GET", path)
                if "\nprobe_success 1\n" not in connection.getresponse().read().decode():
                    raise NotMeasured("a probe of the blackbox exporter failed")
                made += 1
            return made

        probe_for(WARM_UP_SECONDS)
        account = Account(running.process.pid)
        made = probe_for(seconds)
        spent = account.spent()
        connection.close()
    return spent.cpu_seconds / made * 1e6, made / spent.seconds
