"""The files that carry metrics to a managed Prometheus, and doctor as a one-off task, judged by foreign tools and a made-up AWS CLI."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def run(*command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment})


@pytest.mark.parametrize("promtool", ["promtool", "promtool-newest"])
def test_remote_write_is_taken(tool: Callable[[str], Path], promtool: str, tmp_path: Path) -> None:
    """promtool takes the scrape by Cloud Map and the signed remote write; a misspelt key is refused."""
    file = DEPLOY / "prometheus" / "remote-write-amp.yml"
    found = run(tool(promtool), "check", "config", file)
    assert found.returncode == 0, found.stdout + found.stderr
    broken = tmp_path / "prometheus.yml"
    broken.write_text(file.read_text().replace("sigv4:", "sigv44:"))
    assert run(tool(promtool), "check", "config", broken).returncode != 0


def test_the_collectors_scrape_is_taken(tool: Callable[[str], Path], tmp_path: Path) -> None:
    """The collector scrapes as Prometheus would; each part that its pipeline names is there, and signs for `aps`."""
    collector = yaml.safe_load((DEPLOY / "otel" / "collector.yaml").read_text())
    scrape = tmp_path / "prometheus.yml"
    scrape.write_text(yaml.safe_dump(collector["receivers"]["prometheus"]["config"]))
    found = run(tool("promtool"), "check", "config", scrape)
    assert found.returncode == 0, found.stdout + found.stderr
    pipeline = collector["service"]["pipelines"]["metrics"]
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) == set(collector[kind])
    assert set(collector["service"]["extensions"]) == set(collector["extensions"])
    assert collector["extensions"]["sigv4auth"]["service"] == "aps"
    assert collector["exporters"]["prometheusremotewrite"]["auth"]["authenticator"] in collector["extensions"]
    # What the file reads from the environment is what the task sets.
    read = set(re.findall(r"\$\{env:([A-Z_]+)\}", (DEPLOY / "otel" / "collector.yaml").read_text()))
    service = (DEPLOY / "terraform" / "hub" / "service.tf").read_text()
    assert read and all(f'name = "{name}"' in service for name in read), read


PROGRESS = "payments  resolve      ok    0.0 ms"

# Answers as the AWS CLI does, from files in its folder, and writes down how it was called.
FAKE = """#!/bin/sh
printf '%s\\n' "$*" >>"$FAKE_AWS/calls"
case "$1 $2" in
'ecs describe-tasks') echo >>"$FAKE_AWS/polls"
    if [ "$(wc -l <"$FAKE_AWS/polls")" -lt 2 ]; then echo '{"tasks":[{"lastStatus":"RUNNING"}]}'; else cat "$FAKE_AWS/tasks"; fi ;;
'logs get-log-events') case "$*" in
    *--next-token*) echo '{"events":[],"nextForwardToken":"f/1"}' ;;
    *) cat "$FAKE_AWS/events" ;;
    esac ;;
*) cat "$FAKE_AWS/$1-$2" ;;
esac
"""


@pytest.fixture
def cloud(tmp_path: Path, tool: Callable[[str], Path]) -> Callable[..., tuple[subprocess.CompletedProcess[str], str]]:
    """Runs ecs-doctor against a made-up AWS CLI, and returns how it was called as well."""
    tool("jq")
    folder = tmp_path / "aws"
    folder.mkdir()
    fake = folder / "aws"
    fake.write_text(FAKE)
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}}
    service = {"status": "ACTIVE", "taskDefinition": "arn:td:7", "networkConfiguration": network, "launchType": "FARGATE"}
    options = {"awslogs-group": "/spokeprobe/hub", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "task"}
    container = {"name": "spokeprobe", "logConfiguration": {"options": options}}
    answers = {
        "ecs-describe-services": {"services": [service]},
        "ecs-describe-task-definition": {"taskDefinition": {"containerDefinitions": [container]}},
        "ecs-run-task": {"tasks": [{"taskArn": "arn:aws:ecs:eu-west-1:111122223333:task/hub/abc123"}], "failures": []},
        "ecs-stop-task": {},
        "tasks": {"tasks": [{"lastStatus": "STOPPED", "containers": [{"name": "spokeprobe", "exitCode": 1}]}]},
        # ECS mixes both outputs.
        "events": {"events": [{"message": line} for line in [PROGRESS, "{", '  "spokes": []', "}"]], "nextForwardToken": "f/1"},
    }

    def ask(*arguments: str, wait: str = "20", **changed: object) -> tuple[subprocess.CompletedProcess[str], str]:
        for name, answer in {**answers, **{key.replace("_", "-"): value for key, value in changed.items()}}.items():
            (folder / name).write_text(json.dumps(answer))
        path = f"{folder}{os.pathsep}{os.environ['PATH']}"
        found = run(DEPLOY / "ecs-doctor", *arguments, PATH=path, FAKE_AWS=str(folder), ECS_DOCTOR_POLL_SECONDS="0", ECS_DOCTOR_WAIT_SECONDS=wait)
        calls = folder / "calls"
        return found, calls.read_text() if calls.exists() else ""

    return ask


def test_doctor_as_a_task(cloud: Callable[..., tuple[subprocess.CompletedProcess[str], str]]) -> None:
    """ecs-doctor runs doctor with the service's definition and network, prints its result and ends with its status."""
    found, calls = cloud("hub", "spokeprobe-hub", "payments", "--probe", "hoot/say \"hi\"")
    assert found.returncode == 1, found.stderr
    assert json.loads(found.stdout) == {"spokes": []}
    assert PROGRESS in found.stderr
    started = next(line for line in calls.splitlines() if "run-task" in line)
    assert "--task-definition arn:td:7" in started and '"subnets":["subnet-1"]' in started and '"securityGroups":["sg-1"]' in started
    overrides = json.loads(re.search(r"--overrides (\{.*\}) --started-by", started)[1])  # type: ignore[index]
    assert overrides == {"containerOverrides": [{"name": "spokeprobe", "command": ["doctor", "--json", "payments", "--probe", 'hoot/say "hi"']}]}
    assert "--log-stream-name task/spokeprobe/abc123" in calls
    assert "stop-task" not in calls


def test_doctor_as_a_task_beside_a_collector(cloud: Callable[..., tuple[subprocess.CompletedProcess[str], str]]) -> None:
    """The collector of the task would say that the agent is down, so it is given nowhere to send to."""
    options = {"awslogs-group": "/spokeprobe/hub", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "task"}
    containers = [{"name": "spokeprobe", "logConfiguration": {"options": options}}, {"name": "collector"}]
    _, calls = cloud("hub", "spokeprobe-hub", "payments", ecs_describe_task_definition={"taskDefinition": {"containerDefinitions": containers}})
    overrides = json.loads(re.search(r"--overrides (\{.*\}) --started-by", calls)[1])  # type: ignore[index]
    nowhere = [{"name": "SPOKEPROBE_REMOTE_WRITE_URL", "value": "http://127.0.0.1:9"}]
    assert overrides["containerOverrides"][1:] == [{"name": "collector", "environment": nowhere}]


def test_doctor_as_a_task_that_fails(cloud: Callable[..., tuple[subprocess.CompletedProcess[str], str]]) -> None:
    """A service that is not there, a task not placed, a container that never ran, and an empty log are said, with status 3."""
    for changed, said in [
        ({"ecs_describe_services": {"services": []}}, "no active service"),
        ({"ecs_run_task": {"tasks": [], "failures": [{"reason": "RESOURCE:MEMORY"}]}}, "RESOURCE:MEMORY"),
        ({"tasks": {"tasks": [{"lastStatus": "STOPPED", "stoppedReason": "CannotPullContainerError", "containers": [{"name": "spokeprobe"}]}]}}, "CannotPull"),
        ({"events": {"events": [], "nextForwardToken": "f/1"}}, "is empty"),
    ]:
        found, _ = cloud("hub", "spokeprobe-hub", "payments", **changed)
        assert found.returncode == 3, f"{changed}: {found.stdout}"
        assert said in found.stderr, found.stderr


def test_doctor_as_a_task_that_never_ends(cloud: Callable[..., tuple[subprocess.CompletedProcess[str], str]]) -> None:
    """A task that goes on for too long is stopped."""
    found, calls = cloud("hub", "spokeprobe-hub", wait="0", tasks={"tasks": [{"lastStatus": "RUNNING"}]})
    assert found.returncode == 3 and "did not end" in found.stderr
    assert "stop-task" in calls


def test_doctor_as_a_task_without_arguments(cloud: Callable[..., tuple[subprocess.CompletedProcess[str], str]]) -> None:
    """Without cluster and service the usage is shown and nothing is asked."""
    found, calls = cloud("hub")
    assert found.returncode == 2 and "CLUSTER SERVICE" in found.stderr and calls == ""
