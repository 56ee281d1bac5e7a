"""The log of the built program: JSON by line, one line for a change, more of them at a signal, and never a secret."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from agent import HUB, HUB_KEYS, Agent, configuration, spoke, start_agent
from processes import Launcher
from sts import SmallSts
from witness import Answer, Recorded, gateway_answer

ACCOUNT = "012345678901"
EXTERNAL_ID = "external-id-sesame"
PROBES = [
    {"name": "hello", "request": "GET /", "every": "1s"},
    {"name": "broken", "request": "GET /broken", "every": "1s"},
    {"name": "secret", "request": "POST /", "every": "1s", "headers": {"x-api-key": "${SPOKEPROBE_KEY}"}, "body": "${SPOKEPROBE_BODY}"},
]
ENVIRONMENT = {"SPOKEPROBE_KEY": "api-key-sesame", "SPOKEPROBE_BODY": "body-sesame", "SPOKEPROBE_ID": EXTERNAL_ID}


def answer(request: Recorded) -> Answer:
    """Says back what was sent, as a careless backend does."""
    said = {"headers": dict(request.headers), "body": request.body.decode()}
    return gateway_answer(said, 500 if "broken" in request.target else 200)


def lines(agent: Agent) -> list[dict]:
    """The log. A line that is not whole yet is left out; one that says a thing twice is a defect."""

    def once(pairs: list[tuple[str, object]]) -> dict:
        assert len(dict(pairs)) == len(pairs), f"a key stands twice: {pairs}"
        return dict(pairs)

    whole = agent.program.stderr.rpartition("\n")[0]
    return [json.loads(line, object_pairs_hook=once) for line in whole.splitlines()]


def test_the_log_says_what_changes_and_more_when_asked(binary: Path, launcher: Launcher, serve, closing) -> None:
    """Each line is JSON; a target that fails on and on is one line; SIGUSR2 shows each attempt, a second one ends that; no secret shows."""
    sts, witness = closing(SmallSts([HUB])), serve(answer)
    shape = spoke("payments", ACCOUNT, PROBES, external_id="${SPOKEPROBE_ID}")
    config = configuration(witness.url, sts.url, [shape])
    environment = HUB_KEYS | ENVIRONMENT | {"SPOKEPROBE_LOG_FORMAT": "json"}
    agent = start_agent(launcher, binary, config, environment).wait_ready()
    agent.wait_for_attempts(4, probe="broken")
    told = [line for line in lines(agent) if line.get("target") == "payments/hoot/broken"]
    assert [(line["level"], line["reason"], line["was"]) for line in told] == [("WARN", "backend_status", "unknown")], told
    assert not [line for line in lines(agent) if line["level"] == "DEBUG"]

    def seen(message: str) -> list[dict]:
        return [line for line in lines(agent) if line["message"] == message]

    process = agent.program.popen
    process.send_signal(signal.SIGUSR2)
    agent.program.wait_for("attempts are logged", lambda: len(seen("attempt")) >= 9)
    assert len(seen("SIGUSR2: debug lines on")) == 1
    attempts = seen("attempt")
    assert {line["target"] for line in attempts} == {f"payments/hoot/{probe['name']}" for probe in PROBES}
    assert all(line["level"] == "DEBUG" and line["response_seconds"] >= 0 for line in attempts), attempts
    process.send_signal(signal.SIGUSR2)
    agent.program.wait_for("debug lines end", lambda: seen("SIGUSR2: debug lines off"))
    count = len(seen("attempt"))
    before = agent.metrics().sum("requests_total")
    agent.wait_for_attempts(int(before) + 5)
    assert len(seen("attempt")) == count, "an attempt was logged after the second signal"
    assert agent.program.terminate() == 0
    assert [line for line in lines(agent) if "drained" in line["message"]]

    assert all({"timestamp", "level", "message"} <= line.keys() for line in lines(agent))
    secrets = [HUB.secret_key, *(value for name, value in ENVIRONMENT.items()), *sts.ledger.secrets()]
    assert len(secrets) >= 6
    for secret in secrets:
        assert secret not in agent.program.output, f"{secret[:12]}… was shown"
    print(f"{len(lines(agent))} lines, {count} of them attempts")


def test_the_help_names_the_signal(binary: Path, launcher: Launcher) -> None:
    """`run --help` says which signal shows more."""
    assert "SIGUSR2" in launcher.run("help", binary, "run", "--help").stdout


def test_the_signal_changes_nothing_else(binary: Path, launcher: Launcher, serve, closing) -> None:
    """SIGUSR2 before the agent is ready, and many of them, end nothing: it goes on probing and ends well."""
    sts, witness = closing(SmallSts([HUB])), serve(answer)
    config = configuration(witness.url, sts.url, [spoke("payments", ACCOUNT, PROBES[:1])])
    agent = start_agent(launcher, binary, config, HUB_KEYS | {"SPOKEPROBE_LOG": "off"}).wait_ready()
    for _ in range(20):
        agent.program.popen.send_signal(signal.SIGUSR2)
    agent.wait_for_attempts(2)
    assert agent.program.terminate() == 0
