"""moto's server as the STS of a full run. moto checks little, so a proxy before it keeps what went over the wire."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from agent import HUB, REGION, api_host, configuration, role_arn, spoke, start_agent
from processes import Launcher
from sigv4 import authorization_of, check_signature
from sts import RecordingProxy
from witness import Answer, Recorded, error_answer, gateway_answer

SPOKES = {
    "payments": ("012345678901", "a1b2c3d4e5"),
    "orders": ("222233334444", "b2c3d4e5f6"),
    "stock": ("333344445555", "c3d4e5f6a7"),
}
NARROW = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "arn:aws:execute-api:*:*:a1b2c3d4e5/*"}],
}


class Gateway:
    """Answers 200 to the role that owns the api, 403 in API Gateway's words to any other, and keeps score."""

    def __init__(self, proxy: RecordingProxy) -> None:
        self.proxy = proxy
        self.served: dict[str, int] = dict.fromkeys(SPOKES, 0)
        self.refused: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, request: Recorded) -> Answer:
        name = next(name for name, (_, api) in SPOKES.items() if request.header("host") == api_host(api))
        try:
            issued = self.proxy.ledger.of(authorization_of(request).access_key)
            check_signature(request, issued.credentials, "execute-api", REGION)
            expected = role_arn(SPOKES[name][0], "custom" if name == "stock" else "spokeprobe")
            assert issued.role_arn == expected, f"{name} was called as {issued.role_arn}"
        except AssertionError as error:
            with self._lock:
                self.refused.append(f"{name}: {error}")
            return error_answer(403, "InvalidSignatureException", "The request signature we calculated does not match")
        with self._lock:
            self.served[name] += 1
        return gateway_answer({"hello": "world"})


@pytest.fixture
def full_run(binary: Path, launcher: Launcher, moto_url: str, serve, closing):
    """An agent that has made a few rounds over three spokes with moto as its STS."""
    host, _, port = moto_url.partition(":")
    proxy = closing(RecordingProxy(host, int(port)))
    gateway = Gateway(proxy)
    witness = serve(gateway)
    (launcher.folder / "narrow.json").write_text(json.dumps(NARROW))
    hello = [{"name": "hello", "request": "GET /", "every": "1s", "expect": {"status": 200, "json": {"hello": "world"}}}]
    spokes = [
        spoke(
            "payments",
            *SPOKES["payments"][:1],
            hello,
            external_id="spokeprobe-payments",
            session_name="probe-of-payments",
            duration="15m",
            session_policy="narrow.json",
            session_tags={"team": "payments", "env": "prod"},
        ),
        spoke("orders", SPOKES["orders"][0], hello, {"id": SPOKES["orders"][1]}, external_id="spokeprobe-orders"),
        spoke("stock", SPOKES["stock"][0], hello, {"id": SPOKES["stock"][1]}, role="custom", duration="2h"),
    ]
    agent = start_agent(launcher, binary, configuration(witness.url, proxy.url, spokes))
    agent.wait_ready(30)
    for name in SPOKES:
        agent.wait_for_attempts(3, spoke=name)
    return agent, proxy, gateway


def test_full_run_with_moto(full_run) -> None:
    """Three spokes are `up` and `ok` with sessions from moto, each request signed by the role of its own spoke."""
    agent, proxy, gateway = full_run
    assert not gateway.refused, gateway.refused
    metrics = agent.metrics()
    for name in SPOKES:
        assert [sample.value for sample in metrics.find("up", spoke=name)] == [1]
        assert set(metrics.reasons(spoke=name)) == {"ok/none"}
        assert metrics.sum("assume_role_total", spoke=name, result="ok") >= 1
        assert metrics.sum("credentials_expiry_timestamp_seconds", spoke=name) > 1_700_000_000
    assert agent.program.terminate() == 0
    assert len(proxy.ledger.issued()) == len(SPOKES), "one session per role is enough"
    for text in proxy.ledger.secrets():
        assert text not in agent.program.output


def test_assume_role_on_the_wire(full_run) -> None:
    """ExternalId, RoleSessionName, DurationSeconds, Policy and Tags reach STS as configured, in a call signed by the hub."""
    _, proxy, _ = full_run
    sent = {parameters["RoleArn"]: parameters for _, parameters, _ in proxy.calls if parameters["Action"] == "AssumeRole"}
    payments = sent[role_arn(SPOKES["payments"][0])]
    assert payments["ExternalId"] == "spokeprobe-payments"
    assert payments["RoleSessionName"] == "probe-of-payments"
    assert payments["DurationSeconds"] == "900"
    assert json.loads(payments["Policy"]) == NARROW
    tags = {payments[f"Tags.member.{at}.Key"]: payments[f"Tags.member.{at}.Value"] for at in (1, 2)}
    assert tags == {"team": "payments", "env": "prod"} and "Tags.member.3.Key" not in payments
    orders = sent[role_arn(SPOKES["orders"][0])]
    assert (orders["ExternalId"], orders["RoleSessionName"], orders["DurationSeconds"]) == (
        "spokeprobe-orders",
        "spokeprobe",
        "3600",
    )
    assert "Policy" not in orders and "Tags.member.1.Key" not in orders
    stock = sent[role_arn(SPOKES["stock"][0], "custom")]
    assert "ExternalId" not in stock and stock["DurationSeconds"] == "7200"
    for request, parameters, status in proxy.calls:
        assert status == 200, parameters
        check_signature(request, HUB, "sts", REGION)


def test_the_gateway_notices_the_wrong_role(binary: Path, launcher: Launcher, moto_url: str, serve, closing) -> None:
    """Seeded error: a probe signed by another spoke's role is refused by the witness, and `up` is 0 with its reason."""
    host, _, port = moto_url.partition(":")
    proxy = closing(RecordingProxy(host, int(port)))
    gateway = Gateway(proxy)
    witness = serve(gateway)
    wrong = [{"name": "wrong", "request": "GET /", "as": "spoke:orders", "every": "1s"}]
    right = [{"name": "right", "request": "GET /", "every": "1s"}]
    spokes = [
        spoke("payments", SPOKES["payments"][0], wrong),
        spoke("orders", SPOKES["orders"][0], right, {"id": SPOKES["orders"][1]}),
    ]
    agent = start_agent(launcher, binary, configuration(witness.url, proxy.url, spokes)).wait_ready(30)
    agent.wait_for_attempts(2, spoke="payments")
    metrics = agent.wait_for_attempts(2, spoke="orders")
    assert set(metrics.reasons(spoke="payments")) == {"denied/signature_mismatch"}
    assert metrics.sum("up", spoke="payments") == 0 and metrics.sum("up", spoke="orders") == 1
    assert gateway.refused and all("was called as" in line for line in gateway.refused)
