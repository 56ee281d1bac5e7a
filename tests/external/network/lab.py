"""Two network namespaces joined by a pair of virtual interfaces: the agent in the one, what it probes in the other.

Nothing of the machine is changed: the namespaces belong to processes that hold them and go with them, and the agent sees a
resolv.conf of its own in a mount namespace of its own. Programs that Debian packages come from target/test-tools.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlparse

import pytest
from agent import Agent, Metrics, write_configuration
from processes import Launcher, Program, bare_environment, wait_until

TOOLS = Path(__file__).resolve().parents[3] / "target" / "test-tools"
# Below a folder of the machine's kind, such as x86_64-linux-gnu.
LIBRARIES = next((TOOLS / "root" / "usr" / "lib").glob("*-linux-gnu*"), TOOLS / "root" / "usr" / "lib")
RELAY = Path(__file__).with_name("relay.py")
INTERFACE = "lab0"
AGENT_ADDRESS = "10.77.0.2"
# What stands in the far namespace. STS and the credentials endpoint have an address that no rule ever meets.
ZONES = ("10.77.0.11", "10.77.0.12")
SPARE_ADDRESS = "10.77.0.13"
RESOLVER = "10.77.0.53"
IDENTITIES = "10.77.0.60"
NGINX = {f"10.77.0.{70 + at}": name for at, name in enumerate(("good", "expired", "wrongname", "selfsigned", "oldtls"))}
STS_PORT, CREDENTIALS_PORT, CONTROL_PORT, WEB_PORT = 8101, 8102, 8103, 10403
REGION = "eu-west-1"
NAME_END = f"execute-api.{REGION}.amazonaws.com"


def with_our_libraries() -> dict[str, str]:
    return {"LD_LIBRARY_PATH": str(LIBRARIES)}


def why_not() -> str:
    """What keeps this machine from having namespaces; empty where nothing does."""
    if os.geteuid() != 0:
        return "not root, so no network namespaces"
    tried = subprocess.run(["unshare", "-n", "-m", "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"the kernel forbids: unshare -n: {tried.stderr.strip()}"
    tried = subprocess.run(
        ["unshare", "-n", "sh", "-c", "ip link add a0 type veth peer name a1"], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        return f"the kernel forbids: a veth pair: {tried.stderr.strip()}"
    nft = TOOLS / "bin" / "nft"
    if nft.exists():
        tried = subprocess.run(
            ["unshare", "-n", nft, "add", "table", "inet", "t"],
            capture_output=True, text=True, check=False, env=bare_environment(TOOLS) | with_our_libraries(),
        )  # fmt: skip
        if "shared libraries" in tried.stderr:
            return f"nft lacks a library, run scripts/install-test-tools: {tried.stderr.strip()}"
        if tried.returncode:
            return f"the kernel forbids: nft: {tried.stderr.strip()}"
    return ""


class Namespace:
    """A network namespace that lives as long as its holder."""

    def __init__(self) -> None:
        self.holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "ip link set lo up && echo ready && exec sleep 1200"],
                                       stdout=subprocess.PIPE, text=True)  # fmt: skip
        assert self.holder.stdout and self.holder.stdout.readline() == "ready\n"

    @property
    def pid(self) -> str:
        return str(self.holder.pid)

    def enter(self, *command: str | Path) -> list[str]:
        return ["nsenter", "-t", self.pid, "-n", "--", *map(str, command)]

    def run(self, *command: str | Path) -> str:
        done = subprocess.run(
            self.enter(*command), capture_output=True, text=True, check=False, env=dict(os.environ) | with_our_libraries()
        )
        assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr}"
        return done.stdout

    def close(self) -> None:
        self.holder.kill()
        self.holder.wait(10)


class LabAgent(Agent):
    """An agent in a namespace: asked from within it."""

    def __init__(self, program: Program, namespace: Namespace) -> None:
        super().__init__(program, f"127.0.0.1:{WEB_PORT}")
        self.namespace = namespace

    def page(self, path: str) -> tuple[int, str]:
        command = self.namespace.enter("curl", "-s", "-m", "5", "-w", "\n%{http_code}", self.url + path)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        text, _, code = done.stdout.rpartition("\n")
        return (int(code) if code.isdigit() else 0), text

    def last(self, **labels: str) -> set[str]:
        """How the last attempts ended, as outcome/reason."""
        found = self.metrics().find("last_outcome", **labels)
        return {f"{sample.labels['outcome']}/{sample.labels['reason']}" for sample in found}

    def becomes(self, wanted: str, seconds: float = 20.0, **labels: str) -> None:
        """Waits until the last attempts of these targets ended like this, all of them; fails by name otherwise."""
        seen: set[str] = set()

        def all_are() -> bool:
            nonlocal seen
            seen = self.last(**labels)
            return seen == {wanted}

        try:
            wait_until(f"{labels} {wanted}", all_are, seconds, 0.25)
        except AssertionError:
            raise AssertionError(f"{labels}: {sorted(seen)}, wanted {wanted}") from None

    def is_not(self, wanted: str, **labels: str) -> None:
        """The seeded error of a case: before its cause is there, the very assertion of the case has to fail."""
        with pytest.raises(AssertionError, match="wanted"):
            self.becomes(wanted, seconds=1.5, **labels)

    def gauge_becomes(self, name: str, condition: Callable[[float], bool], seconds: float = 30.0, **labels: str) -> float:
        """Waits until a gauge, alone with these labels, meets a condition, and gives it."""
        value = float("nan")

        def met() -> bool:
            nonlocal value
            found = self.metrics().find(name, **labels)
            value = found[0].value if len(found) == 1 else float("nan")
            return condition(value)

        wait_until(f"{name} {labels}", met, seconds, 0.25)
        return value


class Books:
    """What a scrape accounts for, to be printed before and after."""

    def __init__(self, metrics: Metrics, **labels: str) -> None:
        self.due = metrics.sum("due_attempts_total", **labels)
        self.missed = metrics.sum("missed_attempts_total", **labels)
        self.reasons = metrics.reasons(**labels)

    def line(self) -> str:
        ends = ", ".join(f"{reason} {count:.0f}" for reason, count in sorted(self.reasons.items()))
        return f"due {self.due:.0f} = {ends}, missed {self.missed:.0f}, in flight {self.in_flight():.0f}"

    def in_flight(self) -> float:
        return self.due - sum(self.reasons.values()) - self.missed


class Lab:
    """The two namespaces, and in the far one a simulated hub and a resolver."""

    def __init__(self, launcher: Launcher, binary: Path, tool: Callable[[str], Path]) -> None:
        self.launcher, self.binary, self.tool = launcher, binary, tool
        self.near, self.far = Namespace(), Namespace()
        self.near.run("ip", "link", "add", INTERFACE, "type", "veth", "peer", "name", INTERFACE, "netns", self.far.pid)
        self.near.run("ip", "address", "add", f"{AGENT_ADDRESS}/24", "dev", INTERFACE)
        for address in (*ZONES, SPARE_ADDRESS, RESOLVER, IDENTITIES, *NGINX):
            self.far.run("ip", "address", "add", f"{address}/24", "dev", INTERFACE)
        for namespace in (self.near, self.far):
            namespace.run("ip", "link", "set", INTERFACE, "up")
        self.hosts = launcher.folder / "hosts"
        self.resolver: Program | None = None
        self.simulator = self.start_simulator()

    def close(self) -> None:
        self.near.close()
        self.far.close()

    def start_far(self, name: str, *command: str | Path) -> Program:
        return self.launcher.start(name, *self.far.enter(*command), environment=with_our_libraries())

    def start_simulator(self) -> dict:
        """The hub: the endpoint on every address, identities on their own, and relays to those on the agent's loopback."""
        out = self.launcher.folder / "hub"
        program = self.start_far(
            "simulate", self.binary, "simulate", "--json", "--out", out, "--listen", "0.0.0.0:8443",
            "--sts", f"{IDENTITIES}:{STS_PORT}", "--credentials", f"{IDENTITIES}:{CREDENTIALS_PORT}",
            "--control", f"127.0.0.1:{CONTROL_PORT}",
        )  # fmt: skip

        def printed() -> dict | None:
            try:
                return json.loads(program.stdout)
            except json.JSONDecodeError:
                return None

        found = program.wait_for("the environment is printed", printed, 20)
        assert isinstance(found, dict)
        # Port 443 of the zones and of the spare address leads here, whatever stands on the other addresses.
        self.nft("add table ip ports; add chain ip ports in { type nat hook prerouting priority dstnat; }")
        served = ", ".join((*ZONES, SPARE_ADDRESS))
        self.nft(f"add rule ip ports in ip daddr {{ {served} }} tcp dport 443 dnat to :8443")
        for port in (STS_PORT, CREDENTIALS_PORT):
            relay = self.near.enter(sys.executable, RELAY, f"127.0.0.1:{port}", f"{IDENTITIES}:{port}")
            self.launcher.start("relay", *relay)
        return found

    def nft(self, rules: str) -> None:
        """Rules of the far namespace."""
        self.far.run(self.tool("nft"), rules)

    def firewall(self, *rules: str) -> None:
        """Exactly these rules for what the agent sends; none without any."""
        lines = ["add table inet lab", "delete table inet lab", "add table inet lab",
                 "add chain inet lab in { type filter hook input priority filter; }"]  # fmt: skip
        self.nft("; ".join([*lines, *(f"add rule inet lab in {rule}" for rule in rules)]))

    def names(self, hosts: dict[str, Sequence[str]]) -> None:
        """What the resolver answers for APIs, by their ids: from now on, and for a second each."""
        lines = [f"{address} {api}.{NAME_END}" for api, addresses in hosts.items() for address in addresses]
        self.hosts.write_text("\n".join(lines) + "\n")
        if self.resolver is None:
            self.resolver = self.start_far(
                "dnsmasq", self.tool("dnsmasq"), "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
                f"--addn-hosts={self.hosts}", "--local=/amazonaws.com/", "--local-ttl=1", f"--listen-address={RESOLVER}",
                "--bind-interfaces", "--user=root", "--pid-file=", "--log-facility=-",
            )  # fmt: skip
            self.resolver.wait_for("the names are read", lambda: "read " in self.resolver.output, 10)
        else:
            read = self.resolver.output.count("read ")
            self.far.run("kill", "-HUP", self.pid_of("dnsmasq"))
            self.resolver.wait_for("the names are read again", lambda: self.resolver.output.count("read ") > read, 10)

    def pid_of(self, name: str) -> str:
        """nsenter has become the program itself."""
        return str(next(program.popen.pid for program in self.launcher.programs if name in program.name))

    def start_agent(self, content: dict, environment: dict[str, str] | None = None) -> LabAgent:
        """`spokeprobe run` in the near namespace, with our resolver."""
        # One that a failed test has left behind.
        for program in self.launcher.programs:
            if program.name.endswith("-agent"):
                program.kill()
        path = write_configuration(self.launcher.folder, content, f"agent-{len(self.launcher.programs)}.yaml")
        resolv = self.launcher.folder / "resolv.conf"
        resolv.write_text(f"nameserver {RESOLVER}\noptions timeout:1 attempts:1\n")
        script = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
        inside = ["unshare", "-m", "sh", "-c", script, "sh", str(resolv), str(self.binary), "run", "--config", str(path)]
        identities = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{CREDENTIALS_PORT}{urlparse(self.simulator['credentials_url']).path}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": self.simulator["credentials_token"],
            "AWS_REGION": REGION,
        }
        program = self.launcher.start("agent", *self.near.enter(*inside), environment=identities | (environment or {}))
        agent = LabAgent(program, self.near)
        agent.wait_ready()
        return agent

    def configuration(self, spokes: list[dict], ca_file: Path | None = None, **endpoint: object) -> dict:
        """No `url`: names are resolved, and connections go to port 443, as in a VPC."""
        ca = str(ca_file or self.simulator["ca_file"])
        return {
            "hub": {
                "region": REGION,
                "role_arn": "arn:aws:iam::111122223333:role/spokeprobe-hub",
                "endpoint": {"id": "vpce-0123456789abcdef0", "addressing": "private_dns", "ca_file": ca, **endpoint},
                "sts": {"endpoint_url": f"http://127.0.0.1:{STS_PORT}"},
            },
            "web": {"listen": f"127.0.0.1:{WEB_PORT}"},
            "spokes": spokes,
        }

    @staticmethod
    def pause(seconds: float) -> None:
        time.sleep(seconds)


def payments(apis: list[dict]) -> dict:
    """The spoke whose role the simulated hub knows."""
    return {"name": "payments", "account": "012345678901", "external_id": "spokeprobe-payments", "apis": apis}


def hoot(*probes: dict) -> dict:
    return {"name": "hoot", "id": "a1b2c3d4e5", "stage": "api", "probes": list(probes)}


def probe(name: str, **keys: object) -> dict:
    return {"name": name, "request": "GET /", "every": "1s", "timeout": "2s", **keys}
