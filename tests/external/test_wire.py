"""What the agent puts on the wire and where: nothing that was not asked for, and to no address that was not named."""

from __future__ import annotations

import re
from pathlib import Path

from agent import HUB, HUB_KEYS, REGION, api_host, call, configuration, spoke, start_agent, write_configuration
from processes import Launcher, free_port
from sigv4 import authorization_of, check_signature
from simulated import HOOT
from sts import SmallSts
from witness import Answer, Recorded, gateway_answer

ACCOUNT = "012345678901"
# Everything that may stand in a request besides what the configuration adds.
USUAL = {"host", "authorization", "x-amz-date", "x-amz-security-token", "content-length", "user-agent", "accept"}
# The marks by which a spoke's team finds the request in its own log; in no signature.
MARKS = {"user-agent", "x-amzn-trace-id"}


def unexpected_headers(request: Recorded) -> set[str]:
    return {name.lower() for name, _ in request.headers} - USUAL - MARKS


def test_no_header_of_its_own(binary: Path, launcher: Launcher, serve, closing) -> None:
    """No cookie comes back, no encoding is offered, no proxy is asked, and a compressed body stays as it is."""

    def sticky(request: Recorded) -> Answer:
        answer = gateway_answer({"hello": "world"})
        answer.headers += [("Set-Cookie", "session=1; Path=/"), ("Content-Encoding", "gzip")]
        return answer

    sts, witness = closing(SmallSts([HUB])), serve(sticky)
    probe = {"name": "hello", "request": "GET /", "every": "1s", "expect": {"json": {"hello": "world"}}}
    dead = f"http://127.0.0.1:{free_port()}"
    proxies = {name: dead for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")}
    config = configuration(witness.url, sts.url, [spoke("payments", ACCOUNT, [probe])])
    agent = start_agent(launcher, binary, config, HUB_KEYS | proxies).wait_ready()
    metrics = agent.wait_for_attempts(3)
    assert agent.program.terminate() == 0
    assert set(metrics.reasons()) == {"ok/none"}, "a proxy was asked, or the body was unpacked"
    requests = witness.take()
    assert len(requests) >= 3
    for request in requests:
        assert not unexpected_headers(request), request.headers
    print(f"headers on the wire: {sorted({name.lower() for name, _ in requests[-1].headers})}")


def test_marks_of_correlation(binary: Path, launcher: Launcher, serve, closing) -> None:
    """Every request names the agent and its target, and has a trace id of its own; neither is signed."""
    sts, witness = closing(SmallSts([HUB])), serve(lambda request: gateway_answer({}))
    # More often than once a second: a signature then serves several requests.
    shape = spoke("payments", ACCOUNT, [{"name": "hello", "request": "GET /", "rate": "4/s"}])
    shape["apis"][0]["max_rate"] = "4/s"
    agent = start_agent(launcher, binary, configuration(witness.url, sts.url, [shape])).wait_ready()
    agent.wait_for_attempts(8)
    assert agent.program.terminate() == 0
    requests = witness.take()
    traces = [request.header("x-amzn-trace-id") for request in requests]
    assert all(re.fullmatch("Root=1-[0-9a-f]{8}-[0-9a-f]{24}", trace) for trace in traces), traces
    assert len(set(traces)) == len(requests) >= 8
    for request in requests:
        assert re.fullmatch(r"spokeprobe/\S+ \(payments/hoot/hello\)", request.header("user-agent")), request.headers
        assert not MARKS & set(authorization_of(request).signed_headers)


def test_an_added_header_is_noticed(binary: Path, launcher: Launcher, serve, closing) -> None:
    """Seeded error: a header that the configuration adds is not among the usual ones; one that only a secret fills is sent."""
    sts, witness = closing(SmallSts([HUB])), serve(lambda request: gateway_answer({}))
    probe = {"name": "hello", "request": "GET /", "headers": {"Cookie": "a=b", "X-Api-Key": "${SPOKEPROBE_KEY}"}, "every": "1s"}
    key = "key-from-the-environment"
    config = configuration(witness.url, sts.url, [spoke("payments", ACCOUNT, [probe])])
    agent = start_agent(launcher, binary, config, HUB_KEYS | {"SPOKEPROBE_KEY": key, "SPOKEPROBE_LOG": "trace"}).wait_ready()
    agent.wait_for_attempts(1)
    request = witness.take()[0]
    assert unexpected_headers(request) == {"cookie", "x-api-key"}
    assert request.header("x-api-key") == key and "x-api-key" in authorization_of(request).signed_headers
    assert key not in agent.metrics().text + agent.page("/api/v1/status")[1]
    plan = launcher.run(
        "plan", binary, "plan", "--config", launcher.folder / "agent.yaml", environment={"SPOKEPROBE_KEY": key}
    )
    assert plan.popen.returncode == 0, plan.tail()
    assert not [program.name for program in launcher.programs if key in program.output]


def test_zones_are_asked_one_by_one(binary: Path, launcher: Launcher, serve, closing) -> None:
    """A probe with `per_zone` goes to each zone's own address, under the same signed host, and a dead zone is seen alone."""
    sts = closing(SmallSts([HUB]))
    first, second = serve(lambda request: gateway_answer({})), serve(lambda request: gateway_answer({}))
    zones = {
        "euw1-az1": f"127.0.0.1:{first.port}",
        "euw1-az2": f"127.0.0.1:{second.port}",
        "euw1-az3": f"127.0.0.1:{free_port()}",
    }
    probe = {"name": "hello", "request": "GET /", "every": "1s", "per_zone": True}
    # The override says only that there is no TLS: a zone's address goes before it.
    override = f"http://127.0.0.1:{free_port()}"
    config = configuration(override, sts.url, [spoke("payments", ACCOUNT, [probe])], {"zones": zones})
    agent = start_agent(launcher, binary, config).wait_ready()
    for zone in zones:
        metrics = agent.wait_for_attempts(2, zone=zone)
    assert agent.program.terminate() == 0
    assert {zone: set(metrics.reasons(zone=zone)) for zone in zones} == {
        "euw1-az1": {"ok/none"},
        "euw1-az2": {"ok/none"},
        "euw1-az3": {"unreachable/connect_refused"},
    }
    for witness in (first, second):
        for request in witness.take():
            assert request.header("host") == api_host(HOOT)
            check_signature(request, sts.ledger.of(authorization_of(request).access_key).credentials, "execute-api", REGION)


def test_custom_domain(binary: Path, launcher: Launcher, serve, closing) -> None:
    """An api with a custom domain is asked under that name, with its base path and without a stage."""
    sts, witness = closing(SmallSts([HUB])), serve(lambda request: gateway_answer({}))
    shape = {
        "name": "payments",
        "account": ACCOUNT,
        "apis": [
            {
                "name": "hoot",
                "domain": "private.example.com",
                "base_path": "v1",
                "probes": [{"name": "hello", "request": "GET /"}],
            }
        ],
    }
    path = write_configuration(launcher.folder, configuration(witness.url, sts.url, [shape]))
    status, said, _ = call(launcher, binary, path, ["payments/hoot", "GET", "/x?a=1"])
    assert status == 0, said
    (request,) = witness.take()
    assert (request.header("host"), request.target) == ("private.example.com", "/v1/x?a=1")
    check_signature(request, sts.ledger.of(authorization_of(request).access_key).credentials, "execute-api", REGION)
