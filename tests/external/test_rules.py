"""Prometheus's own tools judge the rules: they are well formed, fire when they should, and stay silent when they should."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
RULES = ["spokeprobe.recording.yml", "spokeprobe.recording.native.yml", "spokeprobe.alerts.yml"]
CASES = ["spokes.yml", "agent.yml", "objectives.yml", "members.yml"]
# Native histograms cannot be written down for the promtool of Debian's release.
NEWER_CASES = ["native.yml"]


def run(*command: object) -> subprocess.CompletedProcess[str]:
    """The command's output and status."""
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("promtool", ["promtool", "promtool-newest"])
def test_rules_are_well_formed(tool: Callable[[str], Path], promtool: str) -> None:
    """promtool check rules finds nothing in any rule file, in the release's version and in the newest."""
    found = run(tool(promtool), "check", "rules", *(FOLDER / name for name in RULES))
    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stdout.count("SUCCESS") == len(RULES)


def test_example_servers_are_well_formed(tool: Callable[[str], Path], tmp_path: Path) -> None:
    """promtool check config finds nothing in the example servers; a misspelt key is refused."""
    for promtool, name in [("promtool", "prometheus.yml"), ("promtool-newest", "prometheus.yml"), ("promtool-newest", "prometheus.native.yml")]:
        found = run(tool(promtool), "check", "config", FOLDER / name)
        assert found.returncode == 0, found.stdout + found.stderr
    compose = ROOT / "deploy" / "compose" / "prometheus.yml"
    assert run(tool("promtool-newest"), "check", "config", "--syntax-only", compose).returncode == 0
    broken = tmp_path / "prometheus.yml"
    broken.write_text(compose.read_text().replace("static_configs", "static_config"))
    assert run(tool("promtool-newest"), "check", "config", "--syntax-only", broken).returncode != 0


@pytest.mark.parametrize("promtool", ["promtool", "promtool-newest"])
def test_alerts_fire_and_stay_silent(tool: Callable[[str], Path], promtool: str) -> None:
    """promtool test rules: every case fires, with these labels and this text, and every other stays silent."""
    cases = CASES + (NEWER_CASES if promtool.endswith("newest") else [])
    found = run(tool(promtool), "test", "rules", *(FOLDER / "tests" / name for name in cases))
    assert found.returncode == 0, found.stdout + found.stderr
    print(f"{found.stdout.count('SUCCESS')} files of cases")


def test_a_wrong_rule_is_noticed(tool: Callable[[str], Path], tmp_path: Path) -> None:
    """Seeded errors: a misspelt function fails the check, a wrong threshold and a wrong label fail the cases."""
    shutil.copytree(FOLDER, tmp_path / "prometheus")
    alerts = tmp_path / "prometheus" / "spokeprobe.alerts.yml"
    text = alerts.read_text()
    alerts.write_text(text.replace("absent(", "abscent(", 1))
    assert run(tool("promtool"), "check", "rules", alerts).returncode != 0
    seeds = [
        ("spokeprobe_door_open) == 1", "spokeprobe_door_open) == 2", "spokes.yml"),
        ("scope: security", "scope: spoke", "spokes.yml"),
        ("> 240", "> 2400", "agent.yml"),
        # Replicas counted as probes, and an alert although another agent gets through.
        ("max by (spoke, api, probe, zone, outcome, reason) (", "(", "members.yml"),
        ("spokeprobe:target_up:max == 1", "spokeprobe:target_up:max == 2", "members.yml"),
    ]
    for old, new, cases in seeds:
        assert old in text
        alerts.write_text(text.replace(old, new))
        found = run(tool("promtool"), "test", "rules", tmp_path / "prometheus" / "tests" / cases)
        assert found.returncode != 0, f"{old} -> {new}"


@pytest.mark.parametrize("script", ["deploy/prometheus/render.py", "dashboards/render.py"])
def test_written_files_are_what_their_source_writes(script: str) -> None:
    """The rule files and the dashboards are what render.py beside them writes."""
    found = run(sys.executable, ROOT / script, "--check")
    assert found.returncode == 0, found.stderr


def alerts() -> list[dict]:
    """All alerts."""
    groups = yaml.safe_load((FOLDER / "spokeprobe.alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_alert_says_what_to_do() -> None:
    """Each alert has severity, scope, summary and description, and the page its runbook_url names is in this repository."""
    reasons = {path.stem for path in (ROOT / "docs" / "reasons").glob("*.md")} - {"README"}
    for alert in alerts():
        assert alert["labels"]["severity"] in {"critical", "warning", "info"}, alert
        assert alert["labels"]["scope"], alert
        notes = alert["annotations"]
        assert notes["summary"] and notes["description"], alert
        page = re.fullmatch(r"https://[^ ]+?/blob/main/(docs/.+\.md)", notes["runbook_url"])
        assert page, notes["runbook_url"]
        if "{{ $labels.reason }}" in page.group(1):
            assert len(reasons) > 40
            continue
        assert (ROOT / page.group(1)).is_file(), f"{alert['alert']}: {page.group(1)} is not there"


def test_every_alert_has_been_seen_to_fire() -> None:
    """No alert is without a case that makes it fire, and no runbook without an alert."""
    cases = "\n".join((FOLDER / "tests" / name).read_text() for name in CASES + NEWER_CASES)
    names = {alert["alert"] for alert in alerts()}
    unseen = {name for name in names if not re.search(rf"\b{name}\b", cases)}
    assert not unseen, unseen
    runbooks = {path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md")} - {"README"}
    linked = {alert["annotations"]["runbook_url"].rsplit("/", 1)[1].removesuffix(".md") for alert in alerts()}
    assert runbooks == {page for page in linked if "{{" not in page}


def receivers(tool: Callable[[str], Path], config: Path, **labels: str) -> str:
    """Who hears of an alert with these labels."""
    found = run(tool("amtool"), "config", "routes", "test", f"--config.file={config}", *(f"{key}={value}" for key, value in labels.items()))
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout.strip()


def test_routes_go_by_team(tool: Callable[[str], Path], tmp_path: Path) -> None:
    """amtool: a team hears of its own spokes, security of doors, the platform team of the rest; a misspelt receiver is refused."""
    config = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
    assert run(tool("amtool"), "check-config", config).returncode == 0
    assert receivers(tool, config, scope="spoke", severity="critical", team="money") == "team-money"
    assert receivers(tool, config, scope="spoke", severity="critical") == "platform"
    assert receivers(tool, config, scope="spoke", severity="warning") == "platform-chat"
    assert receivers(tool, config, scope="security", severity="critical", team="money") == "security,team-money"
    assert receivers(tool, config, scope="endpoint", severity="critical") == "platform"
    assert receivers(tool, config, scope="load", severity="info") == "platform-chat"
    broken = tmp_path / "alertmanager.yml"
    broken.write_text(config.read_text().replace("receiver: team-money", "receiver: team-mony"))
    assert run(tool("amtool"), "check-config", broken).returncode != 0
