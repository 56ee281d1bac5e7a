"""`spokeprobe simulate` seen as a client sees it: an address, a certificate authority, credentials, STS."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import boto3
from agent import REGION, role_arn
from botocore.config import Config
from botocore.credentials import Credentials
from processes import Launcher, Program
from sigv4 import signed_headers

HOOT = "a1b2c3d4e5"
PAYMENTS = "012345678901"


@dataclass
class Reply:
    """An answer of the simulated gateway."""

    status: int
    error_type: str
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> object:
        return json.loads(self.text)

    @property
    def message(self) -> str:
        body = self.json
        assert isinstance(body, dict)
        return str(body.get("message") or body.get("Message"))


@dataclass
class Simulated:
    """A running simulator and how to reach it."""

    program: Program
    host: str
    port: int
    sts_url: str
    credentials_url: str
    credentials_token: str
    ca_file: Path
    counts_url: str
    config_file: Path | None
    environment: dict[str, str]

    def hub_credentials(self) -> Credentials:
        """What a container's credentials endpoint hands out."""
        request = urllib.request.Request(self.credentials_url, headers={"Authorization": self.credentials_token})
        with urllib.request.urlopen(request, timeout=10) as answer:
            found = json.load(answer)
        return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["Token"])

    def sts(self, credentials: Credentials | None = None):
        """boto3's client of the simulated STS."""
        who = credentials or self.hub_credentials()
        return boto3.client(
            "sts",
            region_name=REGION,
            endpoint_url=self.sts_url,
            verify=str(self.ca_file),
            aws_access_key_id=who.access_key,
            aws_secret_access_key=who.secret_key,
            aws_session_token=who.token,
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=10),
        )

    def assume(self, account: str, role: str, external_id: str | None) -> Credentials:
        """Credentials of a spoke's role, through boto3."""
        extra = {"ExternalId": external_id} if external_id else {}
        answer = self.sts().assume_role(RoleArn=role_arn(account, role), RoleSessionName="witness", **extra)
        found = answer["Credentials"]
        return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])

    def send(self, method: str, host: str, target: str, headers: dict[str, str], body: bytes = b"") -> Reply:
        """Sends exactly this over TLS, with the certificate checked for `host`."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        with socket.create_connection((self.host, self.port), timeout=10) as raw:
            with context.wrap_socket(raw, server_hostname=host) as stream:
                lines = [f"{method} {target} HTTP/1.1"]
                if "host" not in {name.lower() for name in headers}:
                    lines.append(f"Host: {host}")
                lines += [f"{name}: {value}" for name, value in headers.items()]
                if body or method == "POST":
                    lines.append(f"Content-Length: {len(body)}")
                stream.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body)
                answer = http.client.HTTPResponse(stream, method=method)
                answer.begin()
                text = answer.read().decode()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, found.get("x-amzn-errortype", ""), found, text)

    def signed(
        self,
        credentials: Credentials,
        method: str,
        host: str,
        target: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Signs with botocore and sends."""
        return self.send(method, host, target, signed_headers(credentials, method, host, target, body, headers), body)

    def counts(self) -> dict:
        with urllib.request.urlopen(self.counts_url, timeout=10) as answer:
            return json.load(answer)


def start_simulator(launcher: Launcher, binary: Path, world: Path | None = None) -> Simulated:
    """Starts it on free ports and reads the environment that it prints for its clients."""
    options = ["--world", world] if world else []
    # A folder for each: two simulators have two certificate authorities.
    out = launcher.folder / f"hub-{len(launcher.programs)}"
    program = launcher.start(
        "simulate", binary, "simulate", "--control", "127.0.0.1:0", "--out", out, "--json", *options
    )

    def printed() -> dict | None:
        try:
            return json.loads(program.stdout)
        except json.JSONDecodeError:
            return None

    found = program.wait_for("the environment is printed", printed, 20)
    assert isinstance(found, dict)
    host, _, port = found["endpoint_address"].rpartition(":")
    return Simulated(
        program,
        host,
        int(port),
        found["sts_url"],
        found["credentials_url"],
        found["credentials_token"],
        Path(found["ca_file"]),
        found["control_url"],
        Path(found["config_file"]) if found["config_file"] else None,
        found["environment"],
    )
