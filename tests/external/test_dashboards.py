"""The dashboards against real servers: every query returns data, every variable has values, every key is one of Grafana's.

One agent probes the demo's hub with the demo's configuration, zones and a load. Three servers scrape it: Debian's
Prometheus, the newest, and the newest with classic histograms turned into native ones.

An agent begins no load in its first two minutes, so the load of this run is announced only: its series are there, its
quantiles are of nothing. SPOKEPROBE_LOAD_RUN=1 waits until it runs, three minutes at most, and asks for numbers.
"""

from __future__ import annotations

import copy
import json
import math
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from agent import PlainYaml, start_agent
from monitoring import Prometheus, Refused, start_prometheus
from processes import Launcher, free_port, wait_until
from simulated import Simulated, start_simulator

# The first test of the file waits for what is shared by all of them.
pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = ROOT / "dashboards"
RULES = ROOT / "deploy" / "prometheus"
GRAFANA = Path(__file__).parent / "grafana"
INSTALLED = ROOT / "target" / "test-tools" / "grafana"
NAMES = ["fleet", "spoke", "endpoint", "load", "agent"]
KINDS = ["release", "newest", "native"]
# How long the servers look on before they are asked. Every chapter of the demo that the dashboards show happens within.
WATCHED_SECONDS = 25
# Whether a load runs while the servers are asked; how long before it the agent must have started; how long it is watched.
LOAD_RUNS = os.environ.get("SPOKEPROBE_LOAD_RUN") == "1"
QUIET_SECONDS, LOAD_SECONDS = 130, 15
# What Grafana puts in, at a scrape interval of a second.
BUILT_IN = {"__rate_interval": "10s", "__interval": "5s", "__range": "30s"}
# The spoke whose page is looked at: one that works. A spoke that refuses everything has no latency to show.
CHOSEN = {"spoke": "payments"}

Dashboard = dict[str, Any]


def read(name: str) -> Dashboard:
    return json.loads((DASHBOARDS / f"{name}.json").read_text())


@dataclass
class Scene:
    """An agent in the middle of the demo's story, and the servers that have watched it."""

    launcher: Launcher
    servers: dict[str, Prometheus]


def scene_of_the_demo(folder: Path, hub: Simulated, load_at: float) -> dict[str, Any]:
    """The demo's configuration, with two zones at the simulator's one address, a load at this moment, and one spoke in a file of its own."""
    assert hub.config_file
    content = yaml.safe_load(hub.config_file.read_text())
    content["web"] = {"listen": f"127.0.0.1:{free_port()}"}
    content["hub"]["endpoint"].setdefault("zones", {zone: f"{hub.host}:{hub.port}" for zone in ("euw1-az1", "euw1-az2")})
    content["loads"] = [
        {
            "name": "evening", "probe": "payments/hoot/hello", "stages": [{"at": "20/s", "for": "2m"}],
            "at": time.strftime("%H:%M", time.gmtime(load_at)),
        }
    ]  # fmt: skip
    # An agent that shares its targets with nobody, so that what is told of members is there.
    content["members"] = {"shard": "1/1"}
    (folder / "team.yaml").write_text(yaml.dump({"spokes": [content["spokes"].pop()]}, Dumper=PlainYaml))
    content["include"] = ["team.yaml"]
    return content


@pytest.fixture(scope="module")
def scene(binary: Path, shared_launcher: Launcher, tool: Callable[[str], Path]) -> Iterator[Scene]:
    """One run for all tests of this file."""
    hub = start_simulator(shared_launcher, binary)
    assert hub.config_file
    load_at = ((time.time() + QUIET_SECONDS) // 60 + 1) * 60
    content = scene_of_the_demo(shared_launcher.folder, hub, load_at)
    for name in ("ca.pem", "narrow.json"):
        shutil.copy(hub.config_file.parent / name, shared_launcher.folder / name)
    agent = start_agent(shared_launcher, binary, content, hub.environment)
    listen = content["web"]["listen"]
    newest = tool("prometheus-newest")
    example = yaml.safe_load((RULES / "prometheus.native.yml").read_text())
    classic = {"rule_files": [str(RULES / "spokeprobe.recording.yml"), str(RULES / "spokeprobe.alerts.yml")]}
    native = {"rule_files": [str(RULES / "spokeprobe.recording.native.yml"), str(RULES / "spokeprobe.alerts.yml")]}
    servers = {
        "release": start_prometheus(shared_launcher, "release", tool("prometheus"), [listen], **classic),
        "newest": start_prometheus(shared_launcher, "newest", newest, [listen], **classic),
        "native": start_prometheus(
            shared_launcher, "native", newest, [listen], "--enable-feature=native-histograms",
            job={key: value for key, value in example["scrape_configs"][0].items() if key.startswith("convert")}, **native,
        ),
    }  # fmt: skip
    agent.wait_ready()
    end = load_at + LOAD_SECONDS if LOAD_RUNS else time.time() + WATCHED_SECONDS
    wait_until("the servers have seen enough", lambda: time.time() > end, 250, 0.5)
    assert agent.metrics().sum("load_running") == LOAD_RUNS
    yield Scene(shared_launcher, servers)


# ------------------------------------------------------------------------------------------------------------- reading


def expressions(panels: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """The title and text of each query."""
    for panel in panels:
        yield from expressions(panel.get("panels", []))
        for target in panel.get("targets", []):
            yield f"{panel['title']} {target['refId']}", target["expr"]


def filled(text: str, values: dict[str, str]) -> str:
    """The text with its variables replaced; an unknown one is an error."""

    def value(match: re.Match[str]) -> str:
        return values[(match.group(1) or match.group(2)).split(":")[0]]

    return re.sub(r"\$\{([\w:]+)\}|\$(\w+)", value, text)


def variables(dashboard: Dashboard, server: Prometheus, choice: dict[str, str] = CHOSEN) -> dict[str, str]:
    """Each variable with what a newly opened dashboard has in it, asked for as Grafana does; one without values fails."""
    values = dict(BUILT_IN)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "datasource":
            values[variable["name"]] = "prometheus"
            continue
        query = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
        assert query, variable["query"]
        found = server.label_values(query.group(2), filled(query.group(1), values))
        assert found, f"{variable['name']} has no values: {variable['query']['query']}"
        chosen = choice.get(variable["name"], found[0])
        assert chosen in found, (chosen, found)
        values[variable["name"]] = ".*" if variable["includeAll"] else chosen
    return values


def of_an_announced_load(expression: str) -> bool:
    """Whether it is right that there is a series but no number: a quantile of a load that has not run."""
    return not LOAD_RUNS and "histogram_quantile" in expression and "spokeprobe_load_" in expression


def empty_panels(dashboard: Dashboard, server: Prometheus, choice: dict[str, str] = CHOSEN) -> list[str]:
    """The queries without a single number, and those that are refused."""
    values = variables(dashboard, server, choice)
    empty = []
    for title, text in expressions(dashboard["panels"]):
        expression = filled(text, values)
        try:
            rows = server.query(expression)
        except Refused as refusal:
            empty.append(f"{title}: {refusal}")
            continue
        # A native histogram is a value of its own kind.
        some = any("histogram" in row or not math.isnan(float(row["value"][1])) for row in rows)
        if not some and not (rows and of_an_announced_load(expression)):
            empty.append(f"{title}: no data: {expression}")
    return empty


# --------------------------------------------------------------------------------------------------------------- tests


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_no_panel_is_empty(scene: Scene, name: str, kind: str) -> None:
    """Every query of the dashboard returns numbers and every variable has values, on this server."""
    dashboard = read(name)
    empty = empty_panels(dashboard, scene.servers[kind])
    assert not empty, "\n".join(empty)
    print(f"{sum(1 for _ in expressions(dashboard['panels']))} queries on {kind}")


def test_a_broken_spoke_has_a_page_too(scene: Scene) -> None:
    """The spoke's dashboard shows every spoke of the demo; only latency is missing, where nothing has worked or was sent."""
    dashboard, server = read("spoke"), scene.servers["newest"]
    (spokes,) = [variable for variable in dashboard["templating"]["list"] if variable["name"] == "spoke"]
    assert not spokes["includeAll"]
    names = server.label_values("spoke", "spokeprobe_up")
    latency = ("p50 of what worked", "p99 of what worked", "Latency of what worked", "Latency of all that was sent")
    assert len(names) > 15
    for name in names:
        for panel in empty_panels(dashboard, server, {"spoke": name}):
            assert panel.startswith(latency), f"{name}: {panel}"


@pytest.mark.parametrize("kind", KINDS)
def test_every_rule_has_data(scene: Scene, kind: str) -> None:
    """No rule fails, every recording rule records numbers, and every metric that an alert reads is there, on this server."""
    server = scene.servers[kind]
    assert not server.problems_of_rules()
    recording, alerts = "spokeprobe.recording.native.yml" if kind == "native" else "spokeprobe.recording.yml", "spokeprobe.alerts.yml"
    files = {name: yaml.safe_load((RULES / name).read_text())["groups"] for name in (recording, alerts)}
    recorded = {rule["record"] for group in files[recording] for rule in group["rules"]}
    assert len(recorded) >= 10
    for name in recorded:
        rows = server.query(name)
        assert any(not math.isnan(float(row["value"][1])) for row in rows), f"{name}: {rows[:3]}"
    read = {name for group in files[alerts] for rule in group["rules"] for name in re.findall(r"\bspokeprobe[:_][\w:]+", rule["expr"])}
    absent = {name for name in read if not server.query(f"count({name})")}
    assert not absent, absent
    print(f"{len(recorded)} series recorded, {len(read)} read by alerts, on {kind}")


def test_the_servers_store_what_they_are_said_to(scene: Scene) -> None:
    """Buckets are series on the first two servers, and none on the third, which has native histograms instead."""
    for kind, classic in [("release", True), ("newest", True), ("native", False)]:
        server = scene.servers[kind]
        assert bool(server.query("spokeprobe_request_duration_seconds_bucket")) == classic, kind
        assert bool(server.query("histogram_count(spokeprobe_request_duration_seconds)")) != classic, kind
        (series,) = server.query('count({job="spokeprobe"})')
        print(f"{kind}: {series['value'][1]} series")


def test_both_kinds_of_histogram_tell_the_same(scene: Scene) -> None:
    """The same quantile comes out of classic and of native histograms, but for what happened between two scrapes."""
    quantiles = []
    for panel in read("agent")["panels"]:
        quantiles += [target["expr"] for target in panel.get("targets", []) if "histogram_quantile(0.99" in target["expr"]]
    assert len(quantiles) == 2
    for text in quantiles:
        expression = filled(text, {**BUILT_IN, "__rate_interval": "20s", "job": "spokeprobe"})
        classic, native = (float(scene.servers[kind].query(expression)[0]["value"][1]) for kind in ("newest", "native"))
        assert classic == pytest.approx(native, rel=0.5), (expression, classic, native)


def test_links_lead_to_dashboards() -> None:
    """Each link between dashboards names a uid that exists, and each uid exists once."""
    uids = [read(name)["uid"] for name in NAMES]
    assert len(set(uids)) == len(NAMES)
    linked = {uid for name in NAMES for uid in re.findall(r'"/d/([\w-]+)', json.dumps(read(name)))}
    assert linked and linked <= set(uids), linked


@pytest.mark.parametrize("old, new", [("spokeprobe_in_flight_requests", "spokeprobe_in_flight"), ("$job", "$jobb"), ("sum(", "summ(")])
def test_a_wrong_query_is_noticed(scene: Scene, old: str, new: str) -> None:
    """Seeded errors: a misnamed metric, an unknown variable and a misspelt function are found."""
    text = json.dumps(read("agent")["panels"])
    assert old in text
    wrong = {**read("agent"), "panels": json.loads(text.replace(old, new, 1))}
    try:
        assert empty_panels(wrong, scene.servers["newest"])
    except KeyError as unknown:
        assert new == "$jobb", unknown


def test_a_variable_without_values_is_noticed(scene: Scene) -> None:
    """Seeded error: a variable over a label that nothing has fails."""
    wrong = copy.deepcopy(read("fleet"))
    variable = wrong["templating"]["list"][-1]
    variable["query"]["query"] = variable["query"]["query"].replace(", spoke)", ", spokes)")
    with pytest.raises(AssertionError, match="has no values"):
        variables(wrong, scene.servers["newest"])


# --------------------------------------------------------------------------------------------------------------- types


@pytest.fixture(scope="module")
def grafana() -> Path:
    """Grafana's own types and a compiler for them, installed beside the other test tools."""
    if not shutil.which("node") or not shutil.which("npm"):
        missing("Node.js with npm is not installed")
    wanted, seen = (GRAFANA / "package.json").read_text(), INSTALLED / "package.json"
    if not (INSTALLED / "node_modules" / "@grafana" / "schema").exists() or seen.read_text() != wanted:
        INSTALLED.mkdir(parents=True, exist_ok=True)
        seen.write_text(wanted)
        quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error"]
        done = subprocess.run(["npm", "install", *quiet], cwd=INSTALLED, capture_output=True, text=True, timeout=80, check=False)
        if done.returncode != 0:
            seen.unlink()
            missing(f"Grafana's types cannot be installed: {done.stderr[-500:]}")
    return INSTALLED


def missing(what: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}, and CI=true allows no skips")
    pytest.skip(what)


# Where Grafana has the types of each kind of panel.
PANELS = {
    "stat": "stat/panelcfg/x/StatPanelCfg_types.gen",
    "timeseries": "timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen",
    "state-timeline": "statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen",
    "table": "table/panelcfg/x/TablePanelCfg_types.gen",
    "heatmap": "heatmap/panelcfg/x/HeatmapPanelCfg_types.gen",
}
# Keys of a panel are of Grafana's own types; so are its options and what its kind adds to a field, all of which may be
# left out. The words of an enum are written as such. Grafana's package has no type for a query to Prometheus any more
# (it lies with the plugin), so its keys stand here.
TYPES = """
import type { Dashboard, DataQuery, TableFieldOptions, GraphFieldConfig } from '@grafana/schema';
%s
type Some<T> = T extends string ? `${T}` : T extends number | boolean | null | undefined ? T
  : T extends Array<infer Item> ? Array<Some<Item>> : { [Key in keyof T]?: Some<T[Key]> };
interface Query extends DataQuery {
  expr: string; legendFormat?: string; range?: boolean; instant?: boolean;
  format?: 'time_series' | 'table' | 'heatmap'; editorMode?: 'code' | 'builder'; exemplar?: boolean; interval?: string;
}
type Plain<T> = T extends string ? `${T}` : T extends number | boolean | null | undefined ? T
  : T extends Array<infer Item> ? Array<Plain<Item>> : { [Key in keyof T]: Plain<T[Key]> };
"""
FIELDS = {"timeseries": "GraphFieldConfig", "table": "TableFieldOptions", "state-timeline": "StateTimelineField", "heatmap": "HeatmapField"}


def typescript(dashboards: dict[str, Dashboard]) -> str:
    """The dashboards as values of Grafana's types."""
    aliases = {kind: kind.title().replace("-", "") for kind in PANELS}
    imports = [
        f"import type {{ Options as {aliases[kind]}Options"
        + (f", FieldConfig as {FIELDS[kind]}" if FIELDS.get(kind, "").endswith("Field") else "")
        + f" }} from '@grafana/schema/dist/esm/raw/composable/{path}';"
        for kind, path in PANELS.items()
    ]
    parts = [TYPES % "\n".join(imports)]
    for name, dashboard in dashboards.items():
        parts.append(f"export const {name}: Plain<Dashboard> = {json.dumps(dashboard)};")
        for panel in dashboard["panels"]:
            place, kind = f"{name}_{panel['id']}", panel["type"]
            parts.append(f"export const {place}_options: Some<{aliases[kind]}Options> = {json.dumps(panel['options'])};")
            parts.append(f"export const {place}_queries: Plain<Query>[] = {json.dumps(panel['targets'])};")
            if kind in FIELDS:
                custom = panel["fieldConfig"]["defaults"]["custom"]
                parts.append(f"export const {place}_field: Some<{FIELDS[kind]}> = {json.dumps(custom)};")
    return "\n".join(parts) + "\n"


def compiled(grafana: Path, folder: Path, dashboards: dict[str, Dashboard]) -> str:
    """What the compiler has to say."""
    if not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(grafana / "node_modules")
    source = folder / "dashboards.ts"
    source.write_text(typescript(dashboards))
    compiler = grafana / "node_modules" / "typescript" / "bin" / "tsc"
    options = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler"]
    done = subprocess.run(["node", compiler, *options, source], capture_output=True, text=True, timeout=80, check=False, cwd=folder)
    assert (done.returncode == 0) == (not done.stdout), done
    return done.stdout


def test_every_key_is_one_of_grafanas(grafana: Path, tmp_path: Path) -> None:
    """Grafana's own types accept every dashboard: its keys, the options of each kind of panel, and its words."""
    said = compiled(grafana, tmp_path, {name: read(name) for name in NAMES})
    assert not said, said[:4000]


def test_a_misspelt_key_is_noticed(grafana: Path, tmp_path: Path) -> None:
    """Seeded errors: a key of a panel, an option, a word of an option and a key of a query, each misspelt, are found."""
    seeds = [('"gridPos"', '"gridPoss"'), ('"colorMode"', '"colourMode"'), ('"background"', '"backgrond"'), ('"legendFormat"', '"legendFormatt"')]
    text = json.dumps(read("fleet"))
    assert all(old in text for old, _ in seeds)
    wrong = {f"seed{at}": json.loads(text.replace(old, new)) for at, (old, new) in enumerate(seeds)}
    said = compiled(grafana, tmp_path, wrong)
    for _, new in seeds:
        assert new.strip('"') in said, (new, said[:3000])
