"""From a broken policy to a page: agent, Prometheus with our rules, Alertmanager with our routes, a webhook.

Two hubs break at once, each with an agent and servers of its own. In the first the endpoint's policy loses one role; in
the second the endpoint dies. So that nobody waits for minutes, every `for`, `keep_firing_for`, `group_wait` and
`group_interval` of the files under `deploy` is divided by FASTER in a copy; expressions, labels, routes and inhibition
are used as they are.
"""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from agent import PlainYaml, configuration, role_arn, spoke, start_agent
from monitoring import Prometheus, Row, Webhook, start_alertmanager, start_prometheus
from processes import Launcher, wait_until
from simulated import Simulated, start_simulator

# The first test of the file waits for what is shared by all of them.
pytestmark = pytest.mark.timeout(180)

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus"
ROUTES = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
WORLD = ROOT / "src" / "simulator" / "worlds" / "default.yaml"
# The agent looks at the endpoint each 10 s whatever the rules say, so much faster would turn the order of things round.
FASTER = 5
# When the role is lost, from the start of the hub. Until then all is well, and nobody is told of anything.
LOST_AFTER_SECONDS = 10
# Name, account, api, and the team that owns it.
SPOKES = [
    ("payments", "012345678901", "a1b2c3d4e5", "money"),
    ("orders", "222233334444", "b2c3d4e5f6", "shop"),
    ("kiosk", "135713571357", "s9t0u1v2w3", "shop"),
    ("notes", "999900001111", "i9j0k1l2m3", "money"),
]


def seconds(text: str) -> int:
    """A duration of Prometheus in seconds."""
    return sum(int(number) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit] for number, unit in re.findall(r"(\d+)([smhd])", text))


def faster(duration: str) -> str:
    return f"{max(1, seconds(duration) // FASTER)}s"


def faster_rules(folder: Path) -> list[str]:
    """Copies of the rule files with shorter waits."""
    written = []
    for name in ["spokeprobe.recording.yml", "spokeprobe.alerts.yml"]:
        text = (RULES / name).read_text()
        shorter, changed = re.subn(r"^( +(?:keep_firing_)?for: )(\S+)$", lambda m: m.group(1) + faster(m.group(2)), text, flags=re.M)
        assert changed > 20 or "recording" in name
        (folder / name).write_text(shorter)
        written.append(str(folder / name))
    return written


def routes(webhook: Webhook) -> dict[str, Any]:
    """The Alertmanager's example with shorter waits and this webhook."""
    text = ROUTES.read_text().replace("http://127.0.0.1:9099", webhook.url)
    content = yaml.safe_load(text)

    def shorten(route: dict[str, Any]) -> None:
        for key in ("group_wait", "group_interval"):
            if key in route:
                route[key] = faster(route[key])
        for child in route.get("routes", []):
            shorten(child)

    shorten(content["route"])
    return content


def endpoint_policy(accounts: list[str]) -> dict[str, Any]:
    """Lets these accounts' roles pass and nobody else."""
    roles = [role_arn(account) for account in accounts]
    allow = {"Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [{**allow, "Condition": {"ArnEquals": {"aws:PrincipalArn": roles}}}]}


def write_world(folder: Path, loses: str | None) -> Path:
    """The demo's world, quiet but for one change: the endpoint's policy loses the role of this account."""
    world = yaml.safe_load(WORLD.read_text())
    accounts = [account for _, account, _, _ in SPOKES]
    world["endpoint"]["policy"] = endpoint_policy(accounts)
    for account in world["accounts"]:
        for role in account["roles"]:
            # A demo's sessions of half a minute are none that AWS would give.
            role.pop("session_life", None)
    world["timeline"] = []
    if loses:
        left = [account for account in accounts if account != loses]
        world["timeline"].append({"after": f"{LOST_AFTER_SECONDS}s", "change": {"endpoint_policy": endpoint_policy(left)}})
    path = folder / f"world-{loses}.yaml"
    path.write_text(yaml.dump(world, Dumper=PlainYaml, sort_keys=False))
    return path


@dataclass
class Chain:
    """One hub with everything that stands behind it."""

    hub: Simulated
    prometheus: Prometheus
    # Who is told by our Alertmanager, and by one with a seeded error.
    told: Webhook
    told_wrongly: Webhook
    broken_at: float = 0.0


def start_chain(launcher: Launcher, name: str, binary: Path, tool: Callable[[str], Path], loses: str | None, seed: Callable[[dict], None]) -> Chain:
    """Starts all of it, and waits until the agent has seen every spoke well."""
    hub = start_simulator(launcher, binary, write_world(launcher.folder, loses))
    started = time.monotonic()
    hello = {"name": "hello", "request": "GET /", "every": "1s"}
    spokes = [
        spoke(who, account, [hello], {"name": who, "id": api}, external_id=f"spokeprobe-{who}", labels={"team": team, "env": "prod"})
        for who, account, api, team in SPOKES
    ]
    endpoint = {"ca_file": str(hub.ca_file)}
    content = configuration(f"https://{hub.host}:{hub.port}", hub.sts_url, spokes, endpoint)
    agent = start_agent(launcher, binary, content, hub.environment, f"agent-{name}")
    told, told_wrongly = Webhook(), Webhook()
    wrong = routes(told_wrongly)
    seed(wrong)
    managers = [
        start_alertmanager(launcher, name, tool("alertmanager"), routes(told)),
        start_alertmanager(launcher, f"{name}-seeded", tool("alertmanager"), wrong),
    ]
    folder = launcher.folder / f"rules-{name}"
    folder.mkdir()
    prometheus = start_prometheus(
        launcher, name, tool("prometheus-newest"), [content["web"]["listen"]], rule_files=faster_rules(folder),
        alerting={"alertmanagers": [{"static_configs": [{"targets": managers}]}]},
    )  # fmt: skip
    agent.wait_ready()
    agent.program.wait_for("every spoke was well", lambda: agent.metrics().sum("up") == len(SPOKES), LOST_AFTER_SECONDS)
    return Chain(hub, prometheus, told, told_wrongly, started + LOST_AFTER_SECONDS)


@pytest.fixture(scope="module")
def chains(binary: Path, shared_launcher: Launcher, tool: Callable[[str], Path]) -> Iterator[dict[str, Chain]]:
    """Both chains, broken, some time after the last page must have been sent."""

    def misroute(config: dict[str, Any]) -> None:
        (team,) = [route for route in config["route"]["routes"] if route["receiver"] == "team-money"]
        team["matchers"] = [matcher.replace("team =", "teem =") for matcher in team["matchers"]]

    def tell_everything(config: dict[str, Any]) -> None:
        del config["inhibit_rules"]

    chains = {
        "role": start_chain(shared_launcher, "role", binary, tool, "012345678901", misroute),
        "endpoint": start_chain(shared_launcher, "endpoint", binary, tool, None, tell_everything),
    }
    assert not any(chain.told.notes for chain in chains.values()), "somebody was told while all was well"
    chains["endpoint"].hub.program.kill()
    chains["endpoint"].broken_at = time.monotonic()
    # The longest way to a page: STS and unreachable after `for: 2m`, then the wait of the group, and two intervals of the watch.
    longest = (120 + 30) / FASTER + 12
    end = max(chain.broken_at for chain in chains.values()) + longest
    wait_until("everything was told", lambda: time.monotonic() > end, longest + LOST_AFTER_SECONDS, 0.5)
    yield chains
    for chain in chains.values():
        chain.told.close()
        chain.told_wrongly.close()


def shown(pages: list[tuple[str, Row]]) -> list[str]:
    return sorted(f"{receiver}: {alert['labels']['alertname']} {alert['labels'].get('spoke', '')}".strip() for receiver, alert in pages)


def test_a_lost_role_is_one_page(chains: dict[str, Chain]) -> None:
    """The endpoint policy loses one role: one alert, at the team's receiver, with spoke, reason, account and a runbook that exists."""
    pages = chains["role"].told.pages()
    assert shown(pages) == ["team-money: SpokeprobeDenied payments"], shown(pages)
    _, alert = pages[0]
    labels = alert["labels"]
    wanted = {"spoke": "payments", "reason": "vpc_endpoint_policy", "outcome": "denied", "account": "012345678901", "team": "money", "env": "prod"}
    assert wanted.items() <= labels.items(), labels
    assert (labels["severity"], labels["scope"]) == ("critical", "spoke")
    page = re.fullmatch(r"https://[^ ]+?/blob/main/(docs/.+\.md)", alert["annotations"]["runbook_url"])
    assert page and (ROOT / page.group(1)).is_file(), alert["annotations"]
    assert page.group(1) == "docs/reasons/vpc_endpoint_policy.md"
    print(f"told: {alert['annotations']['summary']}; {alert['annotations']['description']}")


def test_a_dead_endpoint_is_one_page(chains: dict[str, Chain]) -> None:
    """The endpoint dies: one page to the platform team, and none of the four spokes behind it though all of them alert."""
    chain = chains["endpoint"]
    assert shown(chain.told.pages()) == ["platform: SpokeprobeEndpointDown"], shown(chain.told.pages())
    firing = [alert["labels"] for alert in chain.prometheus.alerts() if alert["state"] == "firing"]
    unreachable = {labels["spoke"] for labels in firing if labels["alertname"] == "SpokeprobeUnreachable"}
    assert unreachable == {name for name, *_ in SPOKES}, firing
    print(f"{len(firing)} alerts fire, 1 page")


def test_without_inhibition_everybody_is_told(chains: dict[str, Chain]) -> None:
    """Seeded error: the same alerts at an Alertmanager without our inhibition rules are a page for each spoke."""
    pages = shown(chains["endpoint"].told_wrongly.pages())
    assert len([page for page in pages if "SpokeprobeUnreachable" in page]) == len(SPOKES), pages


def test_a_misspelt_route_is_noticed(chains: dict[str, Chain]) -> None:
    """Seeded error: with a misspelt label in the team's route the same alert goes to the platform team."""
    assert shown(chains["role"].told_wrongly.pages()) == ["platform: SpokeprobeDenied payments"]


def test_no_rule_fails(chains: dict[str, Chain]) -> None:
    """No rule had a problem when it was evaluated, with data of a hub that is well and of one that is not."""
    for name, chain in chains.items():
        assert not chain.prometheus.problems_of_rules(), name
