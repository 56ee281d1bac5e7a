"""curl and boto3 as clients of the simulated hub: what people have at hand must work with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from agent import api_host
from botocore.exceptions import ClientError
from processes import Launcher, Program
from simulated import HOOT, PAYMENTS, Simulated

HOST = api_host(HOOT)


def curl(launcher: Launcher, tool, simulator: Simulated, *options: str) -> Program:
    """curl as a user would call it: the real name, connected to the simulator."""
    return launcher.run(
        "curl",
        tool("curl"),
        "--silent",
        "--show-error",
        "--max-time",
        "15",
        "--dump-header",
        "-",
        "--cacert",
        simulator.ca_file,
        "--connect-to",
        f"{HOST}:443:{simulator.host}:{simulator.port}",
        *options,
        f"https://{HOST}/api/",
    )


@pytest.fixture(scope="module")
def payments(simulator: Simulated):
    return simulator.assume(PAYMENTS, "spokeprobe", "spokeprobe-payments")


def signing(credentials, secret: str | None = None) -> list[str]:
    return [
        "--aws-sigv4",
        "aws:amz:eu-west-1:execute-api",
        "--user",
        f"{credentials.access_key}:{secret or credentials.secret_key}",
        "--header",
        f"X-Amz-Security-Token: {credentials.token}",
    ]


def test_curl_signs(simulator: Simulated, launcher: Launcher, tool, payments) -> None:
    """curl --aws-sigv4 gets the article's answer over a certificate that it checks for the API's own name."""
    program = curl(launcher, tool, simulator, *signing(payments))
    assert program.popen.returncode == 0, program.stderr
    head, _, body = program.stdout.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200") and json.loads(body) == {"hello": "world"}
    assert "x-amzn-requestid" in head.lower() and "x-amz-apigw-id" in head.lower()


def test_curl_unsigned_is_refused(simulator: Simulated, launcher: Launcher, tool) -> None:
    """An unsigned call gets the 403 of the article: anonymous, refused by the endpoint policy."""
    program = curl(launcher, tool, simulator)
    head, _, body = program.stdout.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 403") and "x-amzn-errortype: accessdeniedexception" in head.lower(), head
    (message,) = json.loads(body).values()
    assert message.startswith("User: anonymous is not authorized to perform: execute-api:Invoke on resource: "), message
    assert "because no VPC endpoint policy allows the execute-api:Invoke action" in message


def test_curl_with_a_wrong_secret_is_refused(simulator: Simulated, launcher: Launcher, tool, payments) -> None:
    """Seeded errors: a wrong secret is a signature mismatch, and without the CA file curl refuses the certificate."""
    program = curl(launcher, tool, simulator, *signing(payments, "wrong/secret"))
    assert program.stdout.startswith("HTTP/1.1 403") and "InvalidSignatureException" in program.stdout
    assert payments.secret_key not in program.stdout
    blind = launcher.run(
        "curl", tool("curl"), "-sS", "--max-time", "15", "--connect-to", f"{HOST}:443:{simulator.host}:{simulator.port}",
        f"https://{HOST}/api/",
    )  # fmt: skip
    assert blind.popen.returncode == 60, blind.stderr


def test_counts_know_the_callers(simulator: Simulated, launcher: Launcher, tool, payments) -> None:
    """GET /counts of the control page grows by exactly what curl sent, by api, identity and code."""

    def count(identity: str, code: str) -> int:
        rows = simulator.counts()["requests"]
        return sum(row["count"] for row in rows if (row["api"], row["code"]) == (HOOT, code) and identity in row["identity"])

    before = count("anonymous", "403"), count("role/spokeprobe", "200")
    curl(launcher, tool, simulator)
    curl(launcher, tool, simulator, *signing(payments))
    curl(launcher, tool, simulator, *signing(payments))
    assert (count("anonymous", "403"), count("role/spokeprobe", "200")) == (before[0] + 1, before[1] + 2)


def test_boto3_asks_who_it_is(simulator: Simulated, payments) -> None:
    """boto3's GetCallerIdentity names the hub's role, and after AssumeRole the role of the spoke."""
    assert ":assumed-role/" in simulator.sts().get_caller_identity()["Arn"]
    answer = simulator.sts(payments).get_caller_identity()
    assert answer["Account"] == PAYMENTS and answer["Arn"].endswith(":assumed-role/spokeprobe/witness")


def test_boto3_wrong_external_id(simulator: Simulated) -> None:
    """A wrong or missing external id is AccessDenied in STS's XML, which boto3 reads."""
    for external_id in ("wrong", None):
        with pytest.raises(ClientError) as refused:
            simulator.assume(PAYMENTS, "spokeprobe", external_id)
        error = refused.value.response["Error"]
        assert error["Code"] == "AccessDenied" and "is not authorized to perform: sts:AssumeRole" in error["Message"]
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_boto3_validation(simulator: Simulated) -> None:
    """A duration that STS does not allow is a ValidationError."""
    with pytest.raises(ClientError) as refused:
        simulator.sts().assume_role(
            RoleArn=f"arn:aws:iam::{PAYMENTS}:role/spokeprobe",
            RoleSessionName="witness",
            ExternalId="spokeprobe-payments",
            DurationSeconds=43200,
        )
    assert refused.value.response["Error"]["Code"] == "ValidationError"


def test_ends_on_sigterm(binary: Path, launcher: Launcher) -> None:
    """`simulate` ends on SIGTERM with exit status 0."""
    from simulated import start_simulator

    assert start_simulator(launcher, binary).program.terminate(5) == 0
