"""`--config s3://…` read by the real binary from moto, with botocore as the judge of every signature."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from agent import HUB, HUB_KEYS, REGION, Agent, PlainYaml, configuration, spoke, start_agent
from bucket import Bucket, check_s3_signature, with_header
from processes import Launcher, free_port, wait_until
from reloading import names_of, reload
from sts import SmallSts
from witness import Answer, gateway_answer

ODD_FOLDER = "team a/b+c/\u20ac=&~'!()*:@,;/%41"
HELLO = [{"name": "hello", "request": "GET /", "every": "1s"}]


def text(content: object) -> str:
    return yaml.dump(content, Dumper=PlainYaml, sort_keys=False)


def included(*names: str) -> str:
    return text({"spokes": [spoke(name, "222233334444", HELLO) for name in names]})


@pytest.fixture
def bucket(moto_url: str, closing, request: pytest.FixtureRequest) -> Bucket:
    name = request.node.name.replace("_", "-").split("[")[0].removeprefix("test-")[:60].strip("-")
    return closing(Bucket(moto_url, name))


def plan(launcher: Launcher, binary: Path, bucket: Bucket, key: str, environment: dict | None = None) -> tuple[int, dict, str]:
    arguments = ["plan", "--json", "--config", f"s3://{bucket.name}/{key}"]
    program = launcher.run("plan", binary, *arguments, environment=environment or bucket.environment, seconds=60)
    return program.popen.returncode, json.loads(program.stdout or "{}"), program.stderr


def test_odd_keys_are_signed_as_botocore_signs_them(binary: Path, launcher: Launcher, bucket: Bucket) -> None:
    """Keys with spaces, plus, percent, unicode and `//`, listings and ranges: each signature is botocore's own, and moto finds each key."""
    main = configuration("https://127.0.0.1:1", "http://127.0.0.1:1", [spoke("a", "111122223333", HELLO)])
    main["include"] = ["spokes.d/*.yaml", "one more+.yaml", "a//b.yaml"]
    for folder in (ODD_FOLDER, "plain"):
        bucket.put(f"{folder}/main.yaml", text(main))
        bucket.put(f"{folder}/spokes.d/b \u00fc.yaml", included("b"))
        bucket.put(f"{folder}/spokes.d/deep/x.yaml", "not: read")
        bucket.put(f"{folder}/one more+.yaml", included("c"))
        bucket.put(f"{folder}/a//b.yaml", included("d"))
        status, said, errors = plan(launcher, binary, bucket, f"{folder}/main.yaml")
        assert status == 0, errors
        assert {name for role in said["roles"] for name in role["spokes"]} == {"a", "b", "c", "d"}, said["roles"]
    requests = bucket.witness.take()
    assert len(requests) >= 10, requests
    for request in requests:
        check_s3_signature(request)
    assert any("list-type=2" in request.target for request in requests)
    # Seeded errors: the judge sees another path, another range, another hash.
    first = next(request for request in requests if request.header("range"))
    for broken in (
        replace(first, target=first.target + "x"),
        with_header(first, "range", "bytes=0-1"),
    ):
        with pytest.raises(AssertionError, match="botocore signs it differently"):
            check_s3_signature(broken)


def test_session_tokens_are_signed(binary: Path, launcher: Launcher, bucket: Bucket) -> None:
    """With temporary credentials the token is sent and signed."""
    bucket.put("main.yaml", text(configuration("https://127.0.0.1:1", "http://127.0.0.1:1", [spoke("a", "111122223333", HELLO)])))
    plan(launcher, binary, bucket, "main.yaml", {**bucket.environment, "AWS_SESSION_TOKEN": "tok+/=="})
    for request in bucket.witness.take():
        check_s3_signature(request)
        assert request.header("x-amz-security-token") == "tok+/=="
        assert "x-amz-security-token" in request.header("authorization")


def test_what_cannot_be_read_is_explained(binary: Path, launcher: Launcher, bucket: Bucket) -> None:
    """A missing key, bucket and region, a refusal and a wrong region each say what to do, with exit status 2."""
    status, _, errors = plan(launcher, binary, bucket, "missing.yaml")
    assert status == 2 and "NoSuchKey" in errors, errors
    other = launcher.run("plan", binary, "plan", "--config", "s3://nobody-has-this/x.yaml", environment=bucket.environment)
    assert other.popen.returncode == 2 and "no bucket nobody-has-this" in other.stderr, other.stderr
    bucket.fault = Answer(403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
    status, _, errors = plan(launcher, binary, bucket, "main.yaml")
    assert status == 2 and f"s3:GetObject on arn:aws:s3:::{bucket.name}/main.yaml" in errors, errors
    bucket.fault = Answer(301, b"<Error><Code>PermanentRedirect</Code></Error>", [("x-amz-bucket-region", "eu-central-1")])
    status, _, errors = plan(launcher, binary, bucket, "main.yaml")
    assert status == 2 and "add ?region=eu-central-1" in errors, errors
    bucket.fault = None
    nowhere = {name: value for name, value in bucket.environment.items() if name != "AWS_REGION"}
    status, _, errors = plan(launcher, binary, bucket, "main.yaml", nowhere)
    assert status == 2 and "set AWS_REGION" in errors, errors
    status, _, errors = plan(launcher, binary, bucket, f"missing.yaml?region={REGION}", nowhere)
    assert status == 2 and "NoSuchKey" in errors, errors


def test_a_task_of_ecs_is_named(binary: Path, launcher: Launcher, serve, closing) -> None:
    """What the task metadata endpoint says is on the agent's own metric, in the status and in the first line of the log."""
    sts = closing(SmallSts([HUB]))
    witness = serve(lambda request: gateway_answer({"hello": "world"}))
    task = "arn:aws:ecs:eu-west-1:111122223333:task/hub/158d1c8083dd49d6b527399fd6414f5c"
    about = {"Cluster": "arn:aws:ecs:eu-west-1:111122223333:cluster/hub", "TaskARN": task, "AvailabilityZone": "eu-west-1a"}
    metadata = serve(lambda request: Answer(200, json.dumps(about).encode()) if request.target == "/v4/0f9d/task" else Answer(404))
    content = configuration(witness.url, sts.url, [spoke("a", "111122223333", HELLO)])
    environment = {**HUB_KEYS, "ECS_CONTAINER_METADATA_URI_V4": f"{metadata.url}/v4/0f9d"}
    agent = start_agent(launcher, binary, content, environment).wait_ready()
    wanted = {"cluster": "hub", "task": task.rpartition("/")[2], "availability_zone": "eu-west-1a"}
    assert agent.metrics().find("agent_info")[0].labels == wanted
    assert wanted.items() <= agent.status()["agent"].items()
    assert 'cluster="hub"' in agent.program.stderr
    # Nobody answers: the agent runs all the same.
    elsewhere = start_agent(launcher, binary, {**content, "web": {"listen": f"127.0.0.1:{free_port()}"}}, {**HUB_KEYS, "ECS_CONTAINER_METADATA_URI_V4": "http://127.0.0.1:1/v4"}, "elsewhere")
    assert not elsewhere.wait_ready().metrics().find("agent_info")


def test_run_follows_the_versions_of_an_object(binary: Path, launcher: Launcher, bucket: Bucket, serve, closing) -> None:
    """A new version is taken, an unchanged one is asked for by its ETag, an outage and a deletion keep what runs."""
    sts = closing(SmallSts([HUB]))
    witness = serve(lambda request: gateway_answer({"hello": "world"}))
    content = configuration(witness.url, sts.url, [spoke("a", "111122223333", HELLO)], include=["teams/*.yaml"])
    bucket.put("hub/main.yaml", text(content))
    bucket.put("hub/teams/b.yaml", included("b"))
    source = f"s3://{bucket.name}/hub/main.yaml"
    program = launcher.start("run", binary, "run", "--config", source, "--watch-config", "1s", environment=bucket.environment)
    agent = Agent(program, content["web"]["listen"]).wait_ready()
    assert names_of(agent) == {"a", "b"}
    assert agent.status()["configuration"]["source"] == source

    second = bucket.put("hub/teams/b.yaml", included("b", "c"))
    program.wait_for("the new version runs", lambda: names_of(agent) == {"a", "b", "c"}, 20)
    bucket.statuses.clear()
    program.wait_for("ETags are asked", lambda: len(bucket.statuses) > 6, 20)
    assert {status for status, target in bucket.statuses if "list-type" not in target} == {304}, bucket.statuses

    # The latest version is deleted for good: the one before is the object again.
    bucket.client.delete_object(Bucket=bucket.name, Key="hub/teams/b.yaml", VersionId=second)
    program.wait_for("the version before runs", lambda: names_of(agent) == {"a", "b"}, 20)

    bucket.put("hub/teams/b.yaml", "spokes: [{name: b, account: 1}]")
    program.wait_for("a broken include shows", lambda: agent.metrics().sum("config_include_successful") == 0, 20)
    assert names_of(agent) == {"a", "b"}, "the spokes of a broken include keep running"
    assert "keep running as last read" in json.dumps(agent.status()["includes"])

    bucket.client.delete_object(Bucket=bucket.name, Key="hub/teams/b.yaml")
    program.wait_for("a removed include takes its spokes along", lambda: names_of(agent) == {"a"}, 20)

    bucket.fault = Answer(503, b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>")
    program.wait_for("the outage shows", lambda: agent.status()["configuration"]["unreadable"], 30)
    assert agent.metrics().sum("config_last_reload_successful") == 1
    status, said = reload(agent, 60)
    assert status == 503 and "SlowDown" in said, (status, said)
    bucket.fault = None
    program.wait_for("the outage is over", lambda: agent.status()["configuration"]["unreadable"] is None, 30)
    assert wait_until("all is well", lambda: agent.metrics().sum("config_last_reload_successful") == 1, 20)
    bucket.client.delete_object(Bucket=bucket.name, Key="hub/main.yaml")
    program.wait_for("the deletion shows", lambda: agent.status()["configuration"]["unreadable"], 30)
    assert names_of(agent) == {"a"}
    told = [line for line in program.stderr.splitlines() if "cannot be read; what was" in line]
    assert len(told) == 2, told
    for request in bucket.witness.take():
        check_s3_signature(request)
    assert program.terminate() == 0
