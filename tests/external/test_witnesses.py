"""The witnesses themselves: a witness that accepts everything proves nothing, so each must catch its seeded error."""

from __future__ import annotations

import socket
import urllib.request

import boto3
import botocore.session
import pytest
from agent import HUB, REGION, Metrics
from botocore.credentials import Credentials
from metadata import ContainerCredentials, InstanceMetadata
from sigv4 import changed, check_signature, signed_headers
from sts import SmallSts
from witness import Recorded, gateway_answer

SESSION = Credentials("ASIAWITNESS000000001", "witness/secret", "WitnessToken//+/==")
HOST = "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"


def recorded(method: str, target: str, body: bytes, headers: dict[str, str]) -> Recorded:
    return Recorded(method, target, tuple(headers.items()), body, 0.0, 0)


@pytest.mark.parametrize(
    "target", ["/api/", "/api/a%20b", "/api/a%2Fb", "/api//double/", "/api/%E2%82%AC?q=%E2%82%AC", "/api/x?b=2&a=1&e=&f"]
)
def test_verifier_agrees_with_botocore_as_signer(target: str) -> None:
    """The verifier accepts what botocore itself signed, odd paths included."""
    for method, body in (("GET", b""), ("POST", b'{"name":"buddy"}')):
        headers = signed_headers(SESSION, method, HOST, target, body, {"X-Team": "a"})
        check_signature(recorded(method, target, body, headers), SESSION, "execute-api", REGION)


def test_verifier_catches_one_changed_byte() -> None:
    """Seeded errors: body, path, query, header, host, secret, token, service and region are all noticed."""
    headers = signed_headers(SESSION, "POST", HOST, "/api/greet?a=1", b"body", {"X-Team": "a"})
    good = recorded("POST", "/api/greet?a=1", b"body", headers)
    check_signature(good, SESSION, "execute-api", REGION)

    def with_header(name: str, value: str) -> Recorded:
        return changed(good, headers=tuple((key, value if key.lower() == name else old) for key, old in good.headers))

    for bad in (
        changed(good, body=b"bodz"),
        changed(good, target="/api/greeT?a=1"),
        changed(good, target="/api/greet?a=2"),
        changed(good, method="PUT"),
        with_header("x-team", "b"),
        with_header("host", "other.example.com"),
        with_header("x-amz-security-token", "other"),
    ):
        with pytest.raises(AssertionError):
            check_signature(bad, SESSION, "execute-api", REGION)
    for credentials, service, region in (
        (Credentials(SESSION.access_key, "other", SESSION.token), "execute-api", REGION),
        (SESSION, "sts", REGION),
        (SESSION, "execute-api", "us-east-1"),
    ):
        with pytest.raises(AssertionError):
            check_signature(good, credentials, service, region)


def test_witness_keeps_bytes(serve) -> None:
    """The witness keeps the target and repeated headers as sent, over one connection."""
    witness = serve(lambda request: gateway_answer({"target": request.target}))
    with socket.create_connection(("127.0.0.1", witness.port), timeout=5) as raw:
        for target in ("/a%2Fb//c?z=1&a=", "/second"):
            raw.sendall(f"POST {target} HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nhi".encode())
            assert b"200 Witness" in raw.recv(4096)
    first, second = witness.take()
    assert (first.target, first.body, first.header("x-a")) == ("/a%2Fb//c?z=1&a=", b"hi", "1")
    assert second.target == "/second" and first.connection == second.connection


def test_small_sts_is_a_sts_for_boto3(closing) -> None:
    """boto3 reads our small STS like the real one, and a wrong secret is refused."""
    sts = closing(SmallSts([HUB], refused_roles=["arn:aws:iam::222233334444:role/closed"]))

    def client(secret: str):
        return boto3.client(
            "sts", region_name=REGION, endpoint_url=sts.url, aws_access_key_id=HUB.access_key, aws_secret_access_key=secret
        )

    good = client(HUB.secret_key)
    assert good.get_caller_identity()["Account"] == "111122223333"
    answer = good.assume_role(RoleArn="arn:aws:iam::222233334444:role/open", RoleSessionName="me")
    issued = sts.ledger.of(answer["Credentials"]["AccessKeyId"])
    assert issued.credentials.token == answer["Credentials"]["SessionToken"]
    with pytest.raises(good.exceptions.ClientError, match="AccessDenied"):
        good.assume_role(RoleArn="arn:aws:iam::222233334444:role/closed", RoleSessionName="me")
    with pytest.raises(good.exceptions.ClientError, match="SignatureDoesNotMatch"):
        client("wrong").get_caller_identity()
    assert len(sts.problems) == 1


def test_botocore_accepts_the_metadata_services(closing, monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore takes credentials from our IMDSv2 and ECS endpoints, so they are faithful enough for the agent."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    instance = closing(InstanceMetadata(SESSION))
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", instance.url)
    found = botocore.session.Session().get_credentials()
    assert (found.method, found.access_key, found.token) == ("iam-role", SESSION.access_key, SESSION.token)
    # IMDSv1, without a token, must not work: else the test of the agent could not tell.
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{instance.url}/latest/meta-data/iam/security-credentials/")
    container = closing(ContainerCredentials(SESSION, "Bearer witness"))
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.full_uri)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer witness")
    found = botocore.session.Session().get_credentials()
    assert (found.method, found.access_key, found.token) == ("container-role", SESSION.access_key, SESSION.token)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(container.full_uri)


def test_metrics_reader_counts() -> None:
    """The reader of /metrics sums by labels, and a page that is no exposition is an error."""
    page = (
        "# HELP spokeprobe_requests_total Requests.\n# TYPE spokeprobe_requests_total counter\n"
        'spokeprobe_requests_total{spoke="a",outcome="ok",reason="none"} 2\n'
        'spokeprobe_requests_total{spoke="b",outcome="denied",reason="forbidden"} 3\n'
    )
    metrics = Metrics(page)
    assert metrics.sum("requests_total") == 5
    assert metrics.reasons(spoke="b") == {"denied/forbidden": 3}
    with pytest.raises(ValueError):
        Metrics("spokeprobe_requests_total{spoke=} x\n")
