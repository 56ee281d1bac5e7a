"""The credentials services of EC2 (IMDSv2) and of containers, small and strict. botocore is their oracle."""

from __future__ import annotations

import json

from botocore.credentials import Credentials
from witness import Answer, Recorded, Witness

LIFE = {"LastUpdated": "2026-01-01T00:00:00Z", "Expiration": "2099-01-01T00:00:00Z"}


class InstanceMetadata:
    """IMDSv2: a token by PUT first, then everything with that token."""

    TOKEN = "InstanceMetadataToken=="
    ROLE = "spokeprobe-hub"

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self.witness = Witness(self._answer)
        self.url = self.witness.url
        self.close = self.witness.close

    def _answer(self, request: Recorded) -> Answer:
        if request.target == "/latest/api/token":
            if request.method != "PUT" or request.header("x-aws-ec2-metadata-token-ttl-seconds") is None:
                return Answer(400)
            # The token itself says nothing about its life; clients that need it read this header.
            return Answer(200, self.TOKEN.encode(), [("x-aws-ec2-metadata-token-ttl-seconds", "21600")])
        if request.header("x-aws-ec2-metadata-token") != self.TOKEN:
            return Answer(401)
        base = "/latest/meta-data/iam/security-credentials"
        if request.target.rstrip("/") == base:
            return Answer(200, self.ROLE.encode(), [("Content-Type", "text/plain")])
        if request.target.rstrip("/") == f"{base}/{self.ROLE}":
            found = {
                "Code": "Success",
                "Type": "AWS-HMAC",
                "AccessKeyId": self.credentials.access_key,
                "SecretAccessKey": self.credentials.secret_key,
                "Token": self.credentials.token,
                **LIFE,
            }
            return Answer(200, json.dumps(found).encode(), [("Content-Type", "text/plain")])
        return Answer(404)


class ContainerCredentials:
    """What ECS and EKS give containers: one address, guarded by an authorization token."""

    def __init__(self, credentials: Credentials, authorization: str) -> None:
        self.credentials = credentials
        self.authorization = authorization
        self.witness = Witness(self._answer)
        self.full_uri = f"{self.witness.url}/v2/credentials/witness"
        self.close = self.witness.close

    def _answer(self, request: Recorded) -> Answer:
        if request.header("authorization") != self.authorization:
            return Answer(403)
        found = {
            "RoleArn": "arn:aws:iam::111122223333:role/spokeprobe-hub",
            "AccessKeyId": self.credentials.access_key,
            "SecretAccessKey": self.credentials.secret_key,
            "Token": self.credentials.token,
            **LIFE,
        }
        return Answer(200, json.dumps(found).encode(), [("Content-Type", "application/json")])
