"""botocore against both sides of SigV4: as a foreign signer for the simulator, as a verifier of the agent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from agent import (
    ENDPOINT_ID,
    ENDPOINT_NAME,
    HUB,
    HUB_KEYS,
    REGION,
    PlainYaml,
    api_host,
    call,
    configuration,
    role_arn,
    spoke,
    start_agent,
    write_configuration,
)
from processes import Launcher
from sigv4 import authorization_of, changed, check_signature, expected_signature, signed_headers
from simulated import HOOT, PAYMENTS, Simulated, start_simulator
from sts import SmallSts
from witness import Recorded, gateway_answer

# What stands after the stage. All are sent as they are written.
ODD_TARGETS = [
    "/",
    "/a%20b",
    "/a%2Fb",
    "/a//b/",
    "/%E2%82%AC/caf%C3%A9",
    "/users/@me",
    "/p:colon;semi,comma=eq",
    "/tilde~star*bang!",
    "/x?b=2&a=1",
    "/x?a=2&a=1&A=0",
    "/x?empty=&valueless&z=1",
    "/x?q=%E2%82%AC&r=%2F%26",
    "/x?q=a%2Bb%20c",
]

EVERYTHING = {"Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "*"}


@pytest.fixture(scope="module")
def payments(simulator: Simulated):
    """The role of the spoke `payments`, assumed through boto3."""
    return simulator.assume(PAYMENTS, "spokeprobe", "spokeprobe-payments")


def test_simulator_accepts_botocore(simulator: Simulated, payments) -> None:
    """GET / and POST /greet of the article's API are answered to requests that botocore signed."""
    host = api_host(HOOT)
    reply = simulator.signed(payments, "GET", host, "/api/")
    assert (reply.status, reply.json) == (200, {"hello": "world"}), reply
    body = b'{"name":"buddy"}'
    reply = simulator.signed(payments, "POST", host, "/api/greet", body, {"content-type": "application/json"})
    assert (reply.status, reply.json) == (200, {"hello": "buddy"}), reply
    reply = simulator.signed(payments, "POST", host, "/api/greet", b"")
    assert (reply.status, reply.json) == (200, {"hello": "stranger"}), reply


def test_simulator_refuses_one_changed_byte(simulator: Simulated, payments) -> None:
    """Seeded errors: one byte of body, path, query, header, token or signature changed is an InvalidSignatureException."""
    host, body = api_host(HOOT), b'{"name":"buddy"}'
    headers = signed_headers(payments, "POST", host, "/api/greet?a=1", body, {"x-team": "a"})
    assert simulator.send("POST", host, "/api/greet?a=1", headers, body).status == 200
    flipped = headers["Authorization"][:-1] + ("0" if headers["Authorization"][-1] != "0" else "1")
    for what, target, sent, sent_body in (
        ("body", "/api/greet?a=1", headers, b'{"name":"buddz"}'),
        ("query", "/api/greet?a=2", headers, body),
        ("path", "/api/greet/?a=1", headers, body),
        ("header", "/api/greet?a=1", {**headers, "x-team": "b"}, body),
        ("signature", "/api/greet?a=1", {**headers, "Authorization": flipped}, body),
    ):
        reply = simulator.send("POST", host, target, sent, sent_body)
        assert (reply.status, reply.error_type) == (403, "InvalidSignatureException"), (what, reply)
    stolen = {**headers, "X-Amz-Security-Token": headers["X-Amz-Security-Token"][:-4] + "AAAA"}
    reply = simulator.send("POST", host, "/api/greet?a=1", stolen, body)
    assert reply.status == 403 and reply.error_type != "AccessDeniedException", reply


def test_simulator_checks_scope_and_clock(simulator: Simulated, payments) -> None:
    """A wrong region or service in the scope and an unknown access key are refused as AWS does."""
    host = api_host(HOOT)
    for keywords in ({"region": "us-east-1"}, {"service": "sts"}):
        headers = signed_headers(payments, "GET", host, "/api/", **keywords)
        reply = simulator.send("GET", host, "/api/", headers)
        assert (reply.status, reply.error_type) == (403, "InvalidSignatureException"), (keywords, reply)
        assert "Credential should be scoped to" in reply.message, reply
    reply = simulator.signed(HUB, "GET", host, "/api/")
    assert reply.status == 403 and "security token included in the request is invalid" in reply.message, reply


def test_simulator_accepts_odd_paths(binary: Path, shared_launcher: Launcher) -> None:
    """Paths with %20, %2F, //, unicode and queries in any order verify, in a world that takes every path."""
    world = {
        "region": REGION,
        "hub": {"account": "111122223333", "role": "spokeprobe-hub"},
        "endpoint": {"id": ENDPOINT_ID},
        "accounts": [
            {
                "id": "111122223333",
                "roles": [
                    {
                        "name": "spokeprobe-hub",
                        "policies": [
                            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
                        ],
                    }
                ],
                "apis": [
                    {
                        "id": "z9y8x7w6v5",
                        "stages": ["api"],
                        "resource_policy": {"Version": "2012-10-17", "Statement": [EVERYTHING]},
                        "routes": [
                            {
                                "method": "ANY",
                                "path": path,
                                "authorization": "AWS_IAM",
                                "integration": {"status": 200, "json": {"odd": True}},
                            }
                            for path in ("/", "/{proxy+}")
                        ],
                    }
                ],
            }
        ],
    }
    file = shared_launcher.folder / "odd-world.yaml"
    file.write_text(yaml.dump(world, Dumper=PlainYaml, sort_keys=False))
    odd = start_simulator(shared_launcher, binary, file)
    hub, host = odd.hub_credentials(), api_host("z9y8x7w6v5")
    refused = []
    for target in ODD_TARGETS:
        for method, body in (("GET", b""), ("POST", "caf\u00e9".encode())):
            reply = odd.signed(hub, method, host, f"/api{target}", body)
            if reply.status != 200:
                refused.append((method, target, reply.status, reply.error_type, reply.text[:120]))
    assert not refused, refused
    # And none of these paths is accepted under the signature of another one.
    headers = signed_headers(hub, "GET", host, "/api/a%20b")
    for target in ("/api/a%2520b", "/api/a+b", "/api/a%2Fb"):
        assert odd.send("GET", host, target, headers).error_type == "InvalidSignatureException", target


def one_spoke(sts: SmallSts, url: str, probes: list[dict], **endpoint: str) -> dict:
    shape = spoke("payments", PAYMENTS, probes, external_id="spokeprobe-payments")
    return configuration(url, sts.url, [shape], endpoint)


def verify(request: Recorded, sts: SmallSts) -> None:
    """The request is signed with a session of the payments role, as botocore would."""
    issued = sts.ledger.of(authorization_of(request).access_key)
    assert issued.role_arn == role_arn(PAYMENTS)
    check_signature(request, issued.credentials, "execute-api", REGION)


def test_botocore_verifies_what_run_sends(binary: Path, launcher: Launcher, serve, closing) -> None:
    """Every request of `run` carries the signature that botocore computes: methods, odd paths, headers, body, token."""
    sts = closing(SmallSts([HUB]))
    witness = serve(lambda request: gateway_answer({"hello": "world"}))
    probes = [{"name": f"odd-{at}", "request": f"GET {target}", "every": "1s"} for at, target in enumerate(ODD_TARGETS)]
    probes += [
        {"name": "greet", "request": "POST /greet", "json": {"name": "buddy"}, "every": "1s"},
        {"name": "text", "request": "PUT /text?b=2&a=1", "body": "caf\u00e9 \u20ac", "every": "1s"},
        {"name": "head", "request": "HEAD /head", "every": "1s"},
        {
            "name": "headers",
            "request": "GET /headers",
            "headers": {"X-Team": "two  inner  spaces", "Accept": "application/json", "X-Unicode-Free": "a,b;c=d"},
            "every": "1s",
        },
        {"name": "raw-plus", "request": "GET /plus?q=a+b", "every": "1s"},
        {"name": "raw-space", "request": "GET /sp ace", "every": "1s"},
    ]
    agent = start_agent(launcher, binary, one_spoke(sts, witness.url, probes))
    agent.wait_ready()
    agent.wait_for_attempts(2 * len(probes))
    assert agent.program.terminate() == 0
    requests = witness.take()
    assert not sts.problems, sts.problems
    for request in requests:
        verify(request, sts)
        assert request.header("host") == api_host(HOOT), "the signed host is not the api's"
    targets = {request.target for request in requests}
    # Sent as written: nothing decoded, reordered, collapsed; only a raw plus and a raw space are encoded.
    assert {f"/api{target}" for target in ODD_TARGETS} <= targets, targets
    assert {"/api/plus?q=a%2Bb", "/api/sp%20ace"} <= targets, targets
    by_target = {request.target: request for request in requests}
    assert json.loads(by_target["/api/greet"].body) == {"name": "buddy"}
    assert by_target["/api/text?b=2&a=1"].body == "caf\u00e9 \u20ac".encode()
    headed = by_target["/api/headers"]
    assert headed.header("accept") == "application/json"
    assert {"x-team", "accept", "x-unicode-free"} <= set(authorization_of(headed).signed_headers)
    print(f"{len(requests)} requests of {len(probes)} probes verified")


@pytest.mark.parametrize(
    ("style", "host", "header"),
    [
        ("private_dns", api_host(HOOT), None),
        ("endpoint_dns", api_host(HOOT), None),
        ("api_id_header", ENDPOINT_NAME, HOOT),
        ("alias", f"{HOOT}-{ENDPOINT_ID}.execute-api.{REGION}.amazonaws.com", None),
    ],
)
def test_botocore_verifies_every_addressing(
    binary: Path, launcher: Launcher, serve, closing, style: str, host: str, header: str | None
) -> None:
    """In each style of addressing the signed Host is the one on the wire, and `call` signs like botocore."""
    sts = closing(SmallSts([HUB]))
    witness = serve(lambda request: gateway_answer({"hello": "world"}))
    probe = {"name": "hello", "request": "GET /"}
    config = write_configuration(launcher.folder, one_spoke(sts, witness.url, [probe], addressing=style))
    status, said, _ = call(launcher, binary, config, ["payments/hoot", "GET", "/x%2Fy?b=1&a=%20", "-H", "X-Team: a"])
    assert status == 0 and said is not None and (said["outcome"], said["reason"]) == ("ok", "none"), said
    status, said, _ = call(launcher, binary, config, ["payments/hoot", "POST", "/greet", "-d", '{"name":"buddy"}'])
    assert status == 0, said
    get, post = witness.take()
    for request in (get, post):
        verify(request, sts)
        assert request.header("host") == host
        assert request.header("x-apigw-api-id") == header
        if header:
            assert "x-apigw-api-id" in authorization_of(request).signed_headers
    assert (get.method, get.target) == ("GET", "/api/x%2Fy?b=1&a=%20")
    assert get.header("x-team") == "a" and "x-team" in authorization_of(get).signed_headers
    assert (post.method, post.target, post.body) == ("POST", "/api/greet", b'{"name":"buddy"}')


def test_identities_sign_as_themselves(binary: Path, launcher: Launcher, serve, closing) -> None:
    """`--as hub` signs with the hub's keys, `--as spoke:NAME` with that spoke's role, `--as anonymous` not at all."""
    sts = closing(SmallSts([HUB]))
    witness = serve(lambda request: gateway_answer({"hello": "world"}))
    probe = {"name": "hello", "request": "GET /"}
    spokes = [spoke("payments", PAYMENTS, [probe]), spoke("orders", "222233334444", [probe], {"id": "o1o2o3o4o5"})]
    config = write_configuration(launcher.folder, configuration(witness.url, sts.url, spokes))
    for identity in ("hub", "spoke:orders", "anonymous"):
        status, said, _ = call(launcher, binary, config, ["payments/hoot", "GET", "/", "--as", identity])
        assert status == 0, (identity, said)
    hub, orders, anonymous = witness.take()
    check_signature(hub, HUB, "execute-api", REGION)
    issued = sts.ledger.of(authorization_of(orders).access_key)
    assert issued.role_arn == role_arn("222233334444")
    check_signature(orders, issued.credentials, "execute-api", REGION)
    for name in ("authorization", "x-amz-date", "x-amz-security-token"):
        assert anonymous.header(name) is None, f"an anonymous call sent {name}"


def test_a_wrong_secret_is_noticed(binary: Path, launcher: Launcher, serve, closing) -> None:
    """Seeded error: an agent with another secret key signs something that botocore refuses."""
    sts = closing(SmallSts([HUB]))
    witness = serve(lambda request: gateway_answer({}))
    config = write_configuration(launcher.folder, one_spoke(sts, witness.url, [{"name": "hello", "request": "GET /"}]))
    wrong = {**HUB_KEYS, "AWS_SECRET_ACCESS_KEY": "another/secret"}
    call(launcher, binary, config, ["payments/hoot", "GET", "/", "--as", "hub"], environment=wrong)
    (request,) = witness.take()
    assert authorization_of(request).signature != expected_signature(request, HUB)
    with pytest.raises(AssertionError, match="botocore signs it differently"):
        check_signature(request, HUB, "execute-api", REGION)
    with pytest.raises(AssertionError, match="another access key"):
        check_signature(changed(request), type(HUB)("AKIAOTHER", "x"), "execute-api", REGION)
