"""botocore as the other side of SigV4: it signs requests for the simulator, and recomputes what the agent signed."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from witness import Recorded

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<date>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, ?"
    r"SignedHeaders=(?P<signed>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class Authorization:
    """The parts of an Authorization header."""

    access_key: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str


def authorization_of(request: Recorded) -> Authorization:
    """Reads the Authorization header, strictly."""
    text = request.header("authorization")
    assert text is not None, "the request is not signed"
    match = AUTHORIZATION.fullmatch(text)
    assert match, f"not an Authorization header of SigV4: {text[:60]}"
    return Authorization(
        match["key"], match["date"], match["region"], match["service"], tuple(match["signed"].split(";")), match["signature"]
    )


def expected_signature(request: Recorded, credentials: Credentials) -> str:
    """The signature that botocore gives for the same headers, body and time."""
    authorization = authorization_of(request)
    headers = {name: request.header(name) for name in authorization.signed_headers}
    missing = [name for name, value in headers.items() if value is None]
    assert not missing, f"signed, but not sent: {missing}"
    declared = request.header("x-amz-content-sha256")
    if declared is not None:
        # botocore would take the declared value for the hash of the body.
        assert declared == hashlib.sha256(request.body).hexdigest(), "x-amz-content-sha256 is not the hash of the body"
    same = AWSRequest(
        method=request.method, url=f"https://{request.header('host')}{request.target}", headers=headers, data=request.body
    )
    same.context["timestamp"] = request.header("x-amz-date")
    signer = SigV4Auth(credentials, authorization.service, authorization.region)
    # These three steps are what `add_auth` does, without its own idea of the present time.
    canonical = signer.canonical_request(same)
    return signer.signature(signer.string_to_sign(same, canonical), same)


def check_signature(request: Recorded, credentials: Credentials, service: str, region: str) -> Authorization:
    """Fails unless the request is signed exactly as botocore would, for this service and with these credentials."""
    authorization = authorization_of(request)
    assert authorization.access_key == credentials.access_key, "signed with another access key"
    assert (authorization.service, authorization.region) == (service, region)
    date = request.header("x-amz-date")
    assert date is not None and date.startswith(authorization.date)
    assert "host" in authorization.signed_headers, "the host is not signed"
    assert "x-amz-date" in authorization.signed_headers, "the date is not signed"
    if credentials.token:
        assert request.header("x-amz-security-token") == credentials.token, "another session token, or none"
        assert "x-amz-security-token" in authorization.signed_headers, "the session token is not signed"
    else:
        assert request.header("x-amz-security-token") is None
    expected = expected_signature(request, credentials)
    assert authorization.signature == expected, f"{request.method} {request.target}: botocore signs it differently"
    return authorization


def changed(request: Recorded, **parts: object) -> Recorded:
    """The request with parts replaced: a seeded error."""
    return replace(request, **parts)


def signed_headers(
    credentials: Credentials,
    method: str,
    host: str,
    target: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    region: str = "eu-west-1",
    service: str = "execute-api",
) -> dict[str, str]:
    """The headers of a request signed by botocore. `target` is taken as it is."""
    request = AWSRequest(method=method, url=f"https://{host}{target}", headers={"host": host, **(headers or {})}, data=body)
    SigV4Auth(credentials, service, region).add_auth(request)
    assert urlsplit(request.url).netloc == host
    return dict(request.headers.items())
