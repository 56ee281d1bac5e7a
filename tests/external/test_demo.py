"""What a newcomer sees: `spokeprobe demo --for 20s`, and `call` doing what the two articles' scripts did."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from demonstration import SECONDS, Demonstration
from processes import Launcher, free_port
from simulated import Simulated

LAYERS = {
    "vpc_endpoint_policy",
    "resource_policy",
    "identity_policy",
    "session_policy",
    "permissions_boundary",
    "service_control_policy",
}


def results(summary: dict, outcome: str) -> dict[str, int]:
    """The counts of an outcome by reason, over all targets."""
    counts: dict[str, int] = {}
    for target in summary["targets"]:
        for row in target["results"]:
            if row["outcome"] == outcome:
                counts[row["reason"]] = counts.get(row["reason"], 0) + row["count"]
    return counts


def conserved(conservation: dict) -> bool:
    """The law, worked out here again: per api the simulator read what was answered, or up to what was cut off more."""
    return conservation["targets_out_of_balance"] == 0 and all(
        api["answered"] <= api["read_by_simulator"] <= api["answered"] + api["cut_off"] for api in conservation["apis"]
    )


def test_the_demo_ends_well(demonstration: Demonstration) -> None:
    """It ends by itself in time with exit status 0; the summary is JSON on stdout, everything else on stderr."""
    assert demonstration.exit_status == 0
    assert SECONDS - 1 <= demonstration.lasted_seconds <= SECONDS + 11
    assert "panicked" not in demonstration.agent.program.stderr
    assert demonstration.late.sum("task_panics_total") == 0
    assert len(demonstration.summary["targets"]) >= 10


def test_conservation(demonstration: Demonstration) -> None:
    """The agent's counts and the simulator's own agree api by api."""
    conservation = demonstration.summary["conservation"]
    assert conservation["agrees"] is True and conserved(conservation), conservation
    assert conservation["read_by_simulator"] > 100
    compared = [api for api in conservation["apis"] if api["answered"] > 0]
    assert len(compared) >= 5, conservation
    print(f"{conservation['answered']} answered, {conservation['read_by_simulator']} read")


def test_conservation_notices_one_request(demonstration: Demonstration) -> None:
    """Seeded error: one request more or less on either side breaks the law as computed here."""
    for side, by in (("read_by_simulator", -1), ("answered", 1)):
        broken = copy.deepcopy(demonstration.summary["conservation"])
        next(api for api in broken["apis"] if api["answered"] and not api["cut_off"])[side] += by
        assert not conserved(broken)


def test_counts_from_outside(demonstration: Demonstration) -> None:
    """/counts of the simulator and /metrics of the agent, read one after the other, are within a few requests."""
    read = sum(row["count"] for row in demonstration.late_counts["requests"])
    metrics = demonstration.late
    sent = sum(metrics.sum("requests_total", outcome=outcome) for outcome in ("ok", "denied", "throttled", "failed"))
    # What explains refusals and what tries doors is no target's attempt, but the simulator reads it all the same.
    sent += metrics.sum("twin_attempts_total")
    sent += sum(api["answered"] for api in demonstration.late_status["isolation"]["attempts"])
    slack = metrics.sum("requests_total", outcome="unreachable") + metrics.sum("in_flight_requests") + 15
    assert sent - 5 <= read <= sent + slack, (sent, read, slack)


def test_the_articles_are_there(demonstration: Demonstration) -> None:
    """payments/hoot hello and greet are ok under the spoke's role, and the unsigned call is refused by the endpoint policy."""
    metrics = demonstration.late
    for probe in ("hello", "greet"):
        assert set(metrics.reasons(spoke="payments", api="hoot", probe=probe)) == {"ok/none"}
        assert metrics.sum("up", spoke="payments", api="hoot", probe=probe) == 1
    guards = [
        sample
        for sample in metrics.find("last_outcome", spoke="payments", api="hoot", reason="vpc_endpoint_policy")
        if sample.labels["expected"] == "true"
    ]
    assert guards, metrics.find("last_outcome", spoke="payments")
    assert metrics.find("door_open", spoke="payments", probe=guards[0].labels["probe"])[0].value == 0


def test_each_layer_refuses(demonstration: Demonstration) -> None:
    """Every layer that can refuse does so for some target, under its own reason; other troubles are there too."""
    denied = results(demonstration.summary, "denied")
    assert set(denied) >= LAYERS, (LAYERS - set(denied), denied)
    assert results(demonstration.summary, "throttled").get("rate")
    assert results(demonstration.summary, "failed") and results(demonstration.summary, "unreachable")
    assert results(demonstration.summary, "unsent").get("assume_role_denied")


def test_the_rate_is_kept(demonstration: Demonstration) -> None:
    """The probe with `rate: 10/s` became due ten times a second, and what an interval of 3 s makes due came too."""
    targets = {(target["api"], target["probe"]): target for target in demonstration.summary["targets"]}
    steady, hello = targets["hoot", "steady"], targets["hoot", "hello"]
    # The first arrival waits for the first session and for its phase.
    assert 0.85 * 10 * SECONDS <= steady["due"] <= 10 * SECONDS + 1, steady
    assert (SECONDS // 3) - 1 <= hello["due"] <= SECONDS // 3 + 1, hello
    assert steady["missed"] <= 0.02 * steady["due"], steady
    print(f"{steady['due']} due in {SECONDS} s, p50 {steady['p50_seconds'] * 1000:.1f} ms, p99 {steady['p99_seconds'] * 1000:.1f} ms")


def test_the_status_says_why(demonstration: Demonstration) -> None:
    """/api/v1/status carries the gateway's message and request ids of a refusal, and no secret of the simulator's."""
    text = json.dumps(demonstration.late_status)
    assert "is not authorized to perform: execute-api:Invoke" in text
    assert "vpc_endpoint_policy" in text
    for word in ("SecretAccessKey", "x-amz-security-token", "AWS4-HMAC-SHA256"):
        assert word.lower() not in text.lower()


def test_text_summary(binary: Path, launcher: Launcher) -> None:
    """Without --json the summary is a table for people that says whether the counts agree."""
    program = launcher.run("demo", binary, "demo", "--for", "3s", "--listen", f"127.0.0.1:{free_port()}")
    assert program.popen.returncode == 0, program.tail()
    assert "Conservation" in program.stdout and "they agree" in program.stdout
    assert "\x1b[" not in program.output, "colours in a file"


@pytest.fixture
def called(simulator: Simulated, binary: Path, launcher: Launcher):
    """`call` with the files that `simulate` wrote, as the text after its start says."""

    def run(*arguments: str):
        return launcher.run(
            "call", binary, "call", *arguments, "--config", simulator.config_file, environment=simulator.environment
        )

    return run


def test_call_does_what_the_articles_did(called) -> None:
    """GET / and POST /greet with the role of the spoke print status and body, exit 0."""
    get = called("payments/hoot", "GET", "/")
    assert get.popen.returncode == 0, get.tail()
    assert get.stdout.splitlines()[0] == "200 OK" and '{"hello":"world"}' in get.stdout.replace(" ", "")
    post = called("payments/hoot", "POST", "/greet", "-d", '{"name":"buddy"}', "--json")
    assert post.popen.returncode == 0, post.tail()
    said = json.loads(post.stdout)
    assert json.loads(said["body"]) == {"hello": "buddy"}
    assert (said["code"], said["outcome"], said["reason"], said["expected"]) == (200, "ok", "none", True)
    stranger = json.loads(called("payments/hoot", "POST", "/greet", "--json").stdout)
    assert json.loads(stranger["body"]) == {"hello": "stranger"}
    verbose = called("payments/hoot", "GET", "/", "-v")
    assert "x-amzn-requestid:" in verbose.stdout.lower()


def test_call_is_refused_unsigned(called) -> None:
    """The same call unsigned is refused by the endpoint policy, with exit status 1 and the reason in words."""
    program = called("payments/hoot", "GET", "/", "--as", "anonymous")
    assert program.popen.returncode == 1, program.tail()
    assert program.stdout.startswith("403 ") and "vpc_endpoint_policy" in program.stderr


def test_plan_and_schema(binary: Path, simulator: Simulated, launcher: Launcher) -> None:
    """`plan --json` describes the demo's configuration without any network, and `schema` prints a JSON Schema."""
    program = launcher.run("plan", binary, "plan", "--json", "--config", simulator.config_file)
    assert program.popen.returncode == 0, program.tail()
    plan = json.loads(program.stdout)
    assert plan["time_series"] > 0 and plan["time_series_worst"] >= plan["time_series"]
    schema = launcher.run("schema", binary, "schema")
    assert schema.popen.returncode == 0
    assert json.loads(schema.stdout)["$schema"].startswith("https://json-schema.org/")
