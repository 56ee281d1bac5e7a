"""The life of a session with short-lived credentials: refreshed in time, never used after its end, lost and won back."""

from __future__ import annotations

import time
from pathlib import Path

from agent import HUB, REGION, configuration, role_arn, spoke, start_agent
from botocore.credentials import Credentials
from processes import Launcher
from sigv4 import authorization_of, check_signature, signed_headers
from sts import SmallSts
from witness import Recorded, gateway_answer

PROBE = {"name": "hello", "request": "GET /", "every": "1s"}
ROLE = role_arn("012345678901")


def age_at_use(sts: SmallSts, request: Recorded) -> float:
    """How old the session was when its request arrived, in seconds."""
    return request.received_at - sts.ledger.of(authorization_of(request).access_key).issued_at


def test_sessions_are_renewed_before_they_end(binary: Path, launcher: Launcher, serve, closing) -> None:
    """With sessions of 6 s the agent asks again at half their life, one call at a time, and never signs with an ended one."""
    life = 6
    sts, witness = closing(SmallSts([HUB], life_seconds=life)), serve(lambda request: gateway_answer({}))
    config = configuration(witness.url, sts.url, [spoke("payments", "012345678901", [PROBE])])
    agent = start_agent(launcher, binary, config).wait_ready()
    metrics = agent.wait_for_attempts(11)
    expiry = metrics.sum("credentials_expiry_timestamp_seconds", spoke="payments")
    assert 0 < expiry - time.time() <= life
    assert agent.program.terminate() == 0
    requests = witness.take()
    for request in requests:
        check_signature(request, sts.ledger.of(authorization_of(request).access_key).credentials, "execute-api", REGION)
    ages = [age_at_use(sts, request) for request in requests]
    assert max(ages) < life, ages
    assert set(metrics.reasons()) == {"ok/none"}
    issued = [one.issued_at for one in sts.ledger.issued()]
    gaps = [after - before for before, after in zip(issued, issued[1:])]
    assert 3 <= len(issued) <= 6 and all(0.35 * life <= gap <= 0.75 * life for gap in gaps), gaps
    print(f"sessions renewed after {[round(gap, 1) for gap in gaps]} s, oldest in use {max(ages):.1f} s")


def test_trust_is_removed_and_repaired(binary: Path, launcher: Launcher, serve, closing) -> None:
    """A role whose trust goes away stays in use while its session lives, then is `assume_role_denied`, and comes back."""
    life = 5
    sts, witness = closing(SmallSts([HUB], life_seconds=life)), serve(lambda request: gateway_answer({}))
    anonymous = {"name": "unsigned", "request": "GET /", "as": "anonymous", "every": "1s"}
    spokes = [spoke("payments", "012345678901", [PROBE, anonymous]), spoke("orders", "222233334444", [PROBE])]
    agent = start_agent(launcher, binary, configuration(witness.url, sts.url, spokes)).wait_ready()
    agent.wait_for_attempts(2, spoke="payments", probe="hello")
    sts.refused_roles.add(ROLE)
    agent.wait_for_attempts(2, 20, spoke="payments", probe="hello", reason="assume_role_denied")
    metrics = agent.metrics()
    assert metrics.sum("up", spoke="payments", probe="hello") == 0
    assert metrics.sum("assume_role_total", spoke="payments", result="denied") >= 1
    # Nobody else is touched, and nobody else's credentials are taken instead.
    assert set(metrics.reasons(spoke="orders")) == {"ok/none"}
    assert set(metrics.reasons(spoke="payments", probe="unsigned")) == {"ok/none"}
    sts.refused_roles.clear()
    before = metrics.sum("requests_total", spoke="payments", probe="hello", outcome="ok")
    agent.wait_for_attempts(int(before) + 2, 40, spoke="payments", probe="hello", outcome="ok")
    assert agent.metrics().sum("up", spoke="payments", probe="hello") == 1
    assert agent.program.terminate() == 0
    for request in witness.take():
        if request.header("authorization"):
            assert age_at_use(sts, request) < life


def test_an_ended_session_is_noticed(closing) -> None:
    """Seeded error: the measure of a session's age tells one that ended."""
    sts = closing(SmallSts([HUB]))
    late = Credentials("ASIALATE000000000001", "late/secret", "LateToken")
    sts.ledger.note({"RoleArn": ROLE}, late)
    headers = signed_headers(late, "GET", "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com", "/api/")
    request = Recorded("GET", "/api/", tuple(headers.items()), b"", time.time() + 100, 0)
    assert age_at_use(sts, request) > 90
