"""Agents that share targets, each on a loopback address of its own, and the DNS that names them.

An agent asks the resolver that /etc/resolv.conf names, so each one sees a file of its own in a mount namespace of its own.
What they send is counted by one simulated hub, which has an account for each group of agents.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import yaml
from agent import ENDPOINT_ID, ENDPOINT_NAME, REGION, Agent, PlainYaml, role_arn, write_configuration
from lab import with_our_libraries
from processes import Launcher, Program, wait_until
from simulated import Simulated, start_simulator

# The longest time between two questions to DNS, and what a busy machine may take besides.
REFRESH_SECONDS, MARGIN_SECONDS = 15, 10
TWO_REFRESHES = 2 * REFRESH_SECONDS + MARGIN_SECONDS
WEB_PORT = 10403
APIS = 10
HUB_ACCOUNT = "111122223333"
HOST, SERVICE = "agents.members.test", "_spokeprobe._tcp.members.test"
A, AAAA, SRV = 1, 28, 33


def why_not() -> str:
    """What keeps this machine from giving agents a resolver of their own; empty where nothing does."""
    if os.geteuid() != 0:
        return "not root, so no mount namespaces"
    if not Path("/etc/resolv.conf").exists():
        return "no /etc/resolv.conf to put another in place of"
    tried = subprocess.run(
        ["unshare", "-m", "mount", "--bind", "/dev/null", "/etc/resolv.conf"], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        return f"the kernel forbids: a mount namespace: {tried.stderr.strip()}"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.77.0.53", 53))
    except OSError as error:
        return f"port 53 of loopback addresses cannot be had: {error}"
    return ""


def host_of(address: str) -> str:
    """The host name of a member in the answers of a service."""
    return f"member-{address.rpartition('.')[2]}.members.test"


def encoded(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


class SmallDns:
    """A DNS server of few lines: the members' addresses, in both families, and their service."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.silent = False
        self.asked: Counter[int] = Counter()
        self._members: list[str] = []
        self._socket: socket.socket | None = None

    def begin(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self.address, 53))
        threading.Thread(target=self._serve, args=(self._socket,), daemon=True).start()

    def names(self, members: list[str]) -> None:
        """Who the members are from now on."""
        self._members = list(members)
        if self._socket is None:
            self.begin()

    def close(self) -> None:
        if self._socket:
            self._socket.close()

    def _records(self, name: str, kind: int) -> list[bytes]:
        members = self._members if name == HOST else [each for each in self._members if host_of(each) == name]
        if kind == A:
            return [socket.inet_aton(each) for each in members]
        # Nobody goes by these: a member of both families must not count as two.
        if kind == AAAA:
            return [socket.inet_pton(socket.AF_INET6, f"2001:db8::{each.rpartition('.')[2]}") for each in members]
        if kind == SRV and name == SERVICE:
            return [struct.pack("!HHH", 0, 0, WEB_PORT) + encoded(host_of(each)) for each in self._members]
        return []

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                query, peer = listener.recvfrom(2048)
            except OSError:
                return
            if self.silent:
                continue
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1 : at + 1 + query[at]].decode("latin-1").lower())
                at += 1 + query[at]
            (kind,) = struct.unpack("!H", query[at + 1 : at + 3])
            self.asked[kind] += 1
            records = self._records(".".join(labels), kind)
            answers = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 1, len(each)) + each for each in records)
            head = query[:2] + struct.pack("!HHHHH", 0x8180, 1, len(records), 0, 0)
            listener.sendto(head + query[12 : at + 5] + answers, peer)


class Dnsmasq:
    """The same by dnsmasq, which a change ends and starts again."""

    def __init__(self, address: str, program: Path, launcher: Launcher) -> None:
        self.address, self._program, self._launcher = address, program, launcher
        self._running: Program | None = None

    def names(self, members: list[str]) -> None:
        self.close()
        hosts = [f"--host-record={host_of(each)},{each}" for each in members]
        places = [f"--srv-host={SERVICE},{host_of(each)},{WEB_PORT}" for each in members]
        self._running = self._launcher.start(
            "dnsmasq", self._program, "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
            "--local=/members.test/", "--local-ttl=1", f"--listen-address={self.address}", "--bind-interfaces",
            "--user=root", "--pid-file=", "--log-facility=-", *hosts, *places, environment=with_our_libraries(),
        )  # fmt: skip
        self._running.wait_for("dnsmasq has started", lambda: "started" in self._running.output, 10)

    def close(self) -> None:
        if self._running:
            self._running.terminate()


class Member(Agent):
    """An agent of a group, and what it says of its share."""

    def __init__(self, program: Program, address: str) -> None:
        super().__init__(program, f"{address}:{WEB_PORT}")
        self.address = address

    @property
    def members(self) -> dict:
        return self.status()["members"]

    @property
    def apis(self) -> set[str]:
        return {target["api"] for target in self.status()["targets"]}

    def last_attempts(self) -> dict[str, str | None]:
        return {target["api"]: target["last_attempt"] for target in self.status()["targets"]}


class Group:
    """Some agents with one configuration, their DNS, and what of it the hub counts."""

    def __init__(self, nth: int, binary: Path, launcher: Launcher, hub: Simulated, interval: float = 2) -> None:
        self.nth, self.binary, self.launcher, self.hub, self.interval = nth, binary, launcher, hub, interval
        self.addresses = [f"127.77.{nth}.{last}" for last in (2, 3, 4)]
        self.dns = SmallDns(f"127.77.{nth}.53")
        self.agents: list[Member] = []

    def configuration(self, address: str, members: dict) -> dict:
        probe = {"name": "hello", "request": "GET /", "every": f"{self.interval:g}s"}
        apis = [{"name": name, "id": id, "stage": "api", "probes": [probe]} for name, id in apis_of(self.nth).items()]
        url = f"https://127.0.0.1:{self.hub.port}"
        return {
            "hub": {
                "region": REGION,
                "role_arn": role_arn(HUB_ACCOUNT, "spokeprobe-hub"),
                "endpoint": {"id": ENDPOINT_ID, "addressing": "private_dns", "dns_name": ENDPOINT_NAME, "url": url, "ca_file": str(self.hub.ca_file)},
                "sts": {"endpoint_url": self.hub.sts_url},
            },
            "web": {"listen": f"{address}:{WEB_PORT}"},
            "members": members,
            "spokes": [{"name": f"group-{self.nth}", "account": account_of(self.nth), "apis": apis}],
        }  # fmt: skip

    def start(self, address: str, members: dict) -> Member:
        """`spokeprobe run` that listens there and asks the group's DNS. Whoever was there before is forgotten."""
        name = f"agent-{address}"
        path = self.write(address, members)
        resolv = self.launcher.folder / "resolv.conf"
        resolv.write_text(f"nameserver {self.dns.address}\noptions timeout:1 attempts:1\n")
        script = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
        inside = ["unshare", "-m", "sh", "-c", script, "sh", resolv, self.binary, "run", "--config", path]
        program = self.launcher.start(name, *inside, environment=self.hub.environment)
        agent = Member(program, address)
        self.agents = [each for each in self.agents if each.address != address] + [agent]
        program.wait_for("the page answers", lambda: agent.page("/-/healthy")[0] == 200, 30)
        return agent

    def write(self, address: str, members: dict) -> Path:
        return write_configuration(self.launcher.folder, self.configuration(address, members), f"{address}.yaml")

    def kill(self, agent: Member) -> None:
        """SIGKILL: no drain, no farewell. The program itself has the process id of what was started."""
        agent.program.kill()
        self.agents.remove(agent)

    def close(self) -> None:
        self.dns.close()
        self.launcher.end()

    # What is to be true.

    def see(self, count: int, seconds: float = TWO_REFRESHES) -> None:
        """All agents know of so many members, and share."""
        for agent in self.agents:

            def sees(agent: Member = agent) -> bool:
                known = agent.members
                return known["state"] == "sharing" and len(known["names"]) == count

            agent.program.wait_for(f"it sees {count} members", sees, seconds)

    def shares(self) -> dict[str, set[str]]:
        """Which APIs each agent says are its own."""
        return {agent.address: agent.apis for agent in self.agents}

    def share_out(self, owners: int = 1) -> dict[str, set[str]]:
        """Each API is so many agents', by their own words."""
        shares = self.shares()
        found = Counter(api for apis in shares.values() for api in apis)
        wrong = {api: found[api] for api in apis_of(self.nth) if found[api] != owners}
        assert not wrong, f"agents that have each api, wanted {owners}: {wrong}"
        return shares

    def counts(self) -> Counter[str]:
        """What the hub has counted, by API. It knows nothing of agents."""
        name_of = {id: name for name, id in apis_of(self.nth).items()}
        counts: Counter[str] = Counter()
        for row in self.hub.counts()["requests"]:
            if row["api"] in name_of:
                counts[name_of[row["api"]]] += row["count"]
        return counts

    def come_in(self, times: int = 1, intervals: int = 4) -> None:
        """Each API is asked so many times an interval, by the hub's own count; one more or less at the edges."""
        before, began = self.counts(), time.monotonic()
        time.sleep(intervals * self.interval)
        after, took = self.counts(), time.monotonic() - began
        wanted = times * took / self.interval
        # One at either edge, and an attempt that a busy machine made late.
        edge = times * 1.25
        wrong = {api: after[api] - before[api] for api in apis_of(self.nth) if abs(after[api] - before[api] - wanted) > edge}
        assert not wrong, f"requests in {took:.1f} s, wanted {wanted:.1f}: {wrong}"

    def books_agree(self) -> int:
        """The agents have counted what the hub has counted, to the last request."""
        sums: list[tuple[float, int]] = []

        def equal() -> bool:
            told = sum(agent.metrics().sum("requests_total") for agent in self.agents)
            sums.append((told, self.counts().total()))
            return told == sums[-1][1]

        try:
            wait_until("agents and hub agree", equal, 15, 0.1)
        except AssertionError:
            raise AssertionError(f"counted by the agents, by the hub: {sums[-5:]}") from None
        return sums[-1][1]


def apis_of(nth: int) -> dict[str, str]:
    """Names and ids of a group's APIs."""
    return {f"api-{at}": f"group{nth}api{at}" for at in range(APIS)}


def account_of(nth: int) -> str:
    return f"{nth:012d}"


def allow(**keys: object) -> dict:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **keys}]}


def start_hub(launcher: Launcher, binary: Path, groups: list[int]) -> Simulated:
    """One simulated hub with an account for each group; everybody of it may do everything."""
    anyone = allow(Principal="*", Action="execute-api:Invoke", Resource="*")
    routes = [{"method": "GET", "path": "/", "authorization": "AWS_IAM", "integration": {"json": {"hello": "world"}}}]
    hub_may = allow(Action=["sts:AssumeRole", "sts:TagSession"], Resource="*")
    trust = allow(Principal={"AWS": f"arn:aws:iam::{HUB_ACCOUNT}:root"}, Action=["sts:AssumeRole", "sts:TagSession"])
    spoke_may = allow(Action="execute-api:Invoke", Resource="*")
    accounts: list[dict] = [{"id": HUB_ACCOUNT, "name": "hub", "roles": [{"name": "spokeprobe-hub", "policies": [hub_may]}]}]
    for nth in groups:
        apis = [
            {"id": id, "name": name, "stages": ["api"], "resource_policy": anyone, "routes": routes}
            for name, id in apis_of(nth).items()
        ]
        role = {"name": "spokeprobe", "trust": trust, "policies": [spoke_may]}
        accounts.append({"id": account_of(nth), "name": f"group-{nth}", "roles": [role], "apis": apis})
    world = {
        "region": REGION,
        "hub": {"account": HUB_ACCOUNT, "role": "spokeprobe-hub", "credentials_life": "6h"},
        "endpoint": {"id": ENDPOINT_ID, "suffix": "abcdefgh", "vpc": "vpc-0123456789abcdef0", "private_dns": True, "zones": {"euw1-az1": "10.0.1.17"}, "policy": anyone},
        "accounts": accounts,
    }  # fmt: skip
    path = launcher.folder / "world.yaml"
    path.write_text(yaml.dump(world, Dumper=PlainYaml, sort_keys=False))
    return start_simulator(launcher, binary, path)
