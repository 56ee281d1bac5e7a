"""A bucket of moto behind a proxy that keeps every request, and botocore's own signer for S3 as the judge of them."""

from __future__ import annotations

import http.client
from dataclasses import replace

import boto3
from agent import HUB, HUB_KEYS, REGION
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from sigv4 import authorization_of
from witness import Answer, Recorded, Witness

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
HOP_BY_HOP = {"connection", "content-length", "transfer-encoding"}


class Bucket:
    """One versioned bucket. `fault`, while set, is answered instead of asking moto."""

    def __init__(self, moto: str, name: str) -> None:
        self.name = name
        self.fault: Answer | None = None
        self.statuses: list[tuple[int, str]] = []
        self._moto = moto
        self.client = boto3.client(
            "s3",
            endpoint_url=f"http://{moto}",
            region_name=REGION,
            aws_access_key_id=HUB.access_key,
            aws_secret_access_key=HUB.secret_key,
            config=Config(s3={"addressing_style": "path"}, proxies={}),
        )
        self.client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        self.witness = Witness(self._answer)
        self.close = self.witness.close
        self.environment = {**HUB_KEYS, "AWS_ENDPOINT_URL_S3": self.witness.url}

    def put(self, key: str, text: str) -> str:
        return self.client.put_object(Bucket=self.name, Key=key, Body=text.encode())["VersionId"]

    def _answer(self, request: Recorded) -> Answer:
        if self.fault is not None:
            return self.fault
        connection = http.client.HTTPConnection(self._moto, timeout=20)
        headers = {name: value for name, value in request.headers if name.lower() not in HOP_BY_HOP}
        connection.request(request.method, request.target, request.body, headers)
        upstream = connection.getresponse()
        body = upstream.read()
        connection.close()
        self.statuses.append((upstream.status, request.target))
        kept = [(name, value) for name, value in upstream.getheaders() if name.lower() not in {*HOP_BY_HOP, "date", "server"}]
        return Answer(upstream.status, body, kept)


def s3_signature(request: Recorded) -> str:
    """The signature that botocore's signer for S3 gives for the same request at the same time."""
    authorization = authorization_of(request)
    headers = {name: request.header(name) for name in authorization.signed_headers}
    same = AWSRequest(method=request.method, url=f"http://{request.header('host')}{request.target}", headers=headers, data=request.body)
    same.context["timestamp"] = request.header("x-amz-date")
    signer = S3SigV4Auth(HUB, "s3", REGION)
    canonical = signer.canonical_request(same)
    return signer.signature(signer.string_to_sign(same, canonical), same)


def check_s3_signature(request: Recorded) -> None:
    """Fails unless the request is signed as S3 wants it, exactly as botocore would."""
    authorization = authorization_of(request)
    assert (authorization.access_key, authorization.service, authorization.region) == (HUB.access_key, "s3", REGION)
    assert {"host", "x-amz-content-sha256", "x-amz-date"} <= set(authorization.signed_headers)
    assert request.header("x-amz-content-sha256") == EMPTY
    assert authorization.signature == s3_signature(request), f"{request.target}: botocore signs it differently"


def with_header(request: Recorded, name: str, value: str) -> Recorded:
    """The request with another value of a header: a seeded error."""
    headers = tuple((key, value if key.lower() == name else old) for key, old in request.headers)
    return replace(request, headers=headers)
