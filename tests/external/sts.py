"""STS in tests: an own small one that checks signatures, and a proxy before moto's that remembers what was issued."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs

from botocore.credentials import Credentials
from sigv4 import authorization_of, check_signature
from witness import Answer, Recorded, Witness

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


@dataclass(frozen=True)
class Issued:
    """A session that STS handed out."""

    role_arn: str
    parameters: dict[str, str]
    credentials: Credentials
    issued_at: float


class Ledger:
    """All sessions issued, by access key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_key: dict[str, Issued] = {}

    def note(self, parameters: dict[str, str], credentials: Credentials) -> None:
        with self._lock:
            self._by_key[credentials.access_key] = Issued(
                parameters["RoleArn"], parameters, credentials, time.time()
            )

    def issued(self) -> list[Issued]:
        with self._lock:
            return list(self._by_key.values())

    def of(self, access_key: str) -> Issued:
        with self._lock:
            assert access_key in self._by_key, f"STS never issued {access_key}"
            return self._by_key[access_key]

    def secrets(self) -> list[str]:
        """Every text that must not appear in any output; of a token a piece is too much already."""
        found = [one.credentials for one in self.issued()]
        return [text for each in found for text in (each.secret_key, each.token[:30])]


def parameters_of(request: Recorded) -> dict[str, str]:
    """The form of a call to STS."""
    return {name: values[0] for name, values in parse_qs(request.body.decode(), keep_blank_values=True).items()}


def sts_error(status: int, code: str, message: str) -> Answer:
    """An error as STS writes it."""
    text = (
        f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type><Code>{code}</Code>'
        f"<Message>{message}</Message></Error><RequestId>3f1c-witness</RequestId></ErrorResponse>"
    )
    return Answer(status, text.encode(), [("Content-Type", "text/xml")])


class SmallSts:
    """Answers AssumeRole, AssumeRoleWithWebIdentity and GetCallerIdentity for callers whose signature botocore confirms."""

    def __init__(self, callers: Iterable[Credentials], refused_roles: Iterable[str] = (), life_seconds: int = 3600) -> None:
        self.ledger = Ledger()
        self.callers = {caller.access_key: caller for caller in callers}
        self.refused_roles = set(refused_roles)
        self.life_seconds = life_seconds
        self.seen: list[dict[str, str]] = []
        self.signers: list[str] = []
        self.problems: list[str] = []
        self._serial = itertools.count(1)
        self.witness = Witness(self._answer)
        self.url = self.witness.url

    def close(self) -> None:
        self.witness.close()

    def _answer(self, request: Recorded) -> Answer:
        parameters = parameters_of(request)
        action = parameters.get("Action", "")
        self.seen.append(parameters)
        if action == "AssumeRoleWithWebIdentity":
            assert request.header("authorization") is None, "a call with a web identity is not signed"
            return self._session(action, parameters)
        try:
            key = authorization_of(request).access_key
            self.signers.append(key)
            known = dict(self.callers)
            known |= {one.credentials.access_key: one.credentials for one in self.ledger.issued()}
            if key not in known:
                return sts_error(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
            check_signature(request, known[key], "sts", "eu-west-1")
        except AssertionError as error:
            self.problems.append(str(error))
            return sts_error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match.")
        if action == "GetCallerIdentity":
            return self._result(
                action,
                "<Arn>arn:aws:sts::111122223333:assumed-role/spokeprobe-hub/i-0</Arn>"
                "<UserId>AROAEXAMPLE:i-0</UserId><Account>111122223333</Account>",
            )
        if action != "AssumeRole":
            return sts_error(400, "InvalidAction", f"Could not find operation {action}")
        if parameters["RoleArn"] in self.refused_roles:
            return sts_error(
                403,
                "AccessDenied",
                "User: arn:aws:sts::111122223333:assumed-role/spokeprobe-hub/i-0 is not authorized to perform: "
                f"sts:AssumeRole on resource: {parameters['RoleArn']}",
            )
        return self._session(action, parameters)

    def _session(self, action: str, parameters: dict[str, str]) -> Answer:
        serial = next(self._serial)
        credentials = Credentials(
            f"ASIAWITNESS{serial:09d}",
            f"witness/secret+key/of/session/{serial:010d}",
            # As long as a real one: what is left out of messages goes by length too.
            f"WitnessToken//{serial:08d}{'Ab9/+Yz0' * 60}==",
        )
        self.ledger.note(parameters, credentials)
        end = datetime.now(timezone.utc) + timedelta(seconds=self.life_seconds)
        role = parameters["RoleArn"]
        assumed = role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/" + parameters["RoleSessionName"]
        return self._result(
            action,
            f"<AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:{parameters['RoleSessionName']}</AssumedRoleId>"
            f"<Arn>{assumed}</Arn></AssumedRoleUser><Credentials><AccessKeyId>{credentials.access_key}</AccessKeyId>"
            f"<SecretAccessKey>{credentials.secret_key}</SecretAccessKey><SessionToken>{credentials.token}</SessionToken>"
            f"<Expiration>{end:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>",
        )

    @staticmethod
    def _result(action: str, inner: str) -> Answer:
        text = (
            f'<{action}Response xmlns="{NAMESPACE}"><{action}Result>{inner}</{action}Result>'
            f"<ResponseMetadata><RequestId>3f1c-witness</RequestId></ResponseMetadata></{action}Response>"
        )
        return Answer(200, text.encode(), [("Content-Type", "text/xml")])


class RecordingProxy:
    """Passes calls to a real STS server on and remembers which credentials it issued."""

    def __init__(self, host: str, port: int) -> None:
        self.ledger = Ledger()
        self.calls: list[tuple[Recorded, dict[str, str], int]] = []
        self._upstream = (host, port)
        self.witness = Witness(self._answer)
        self.url = self.witness.url

    def close(self) -> None:
        self.witness.close()

    def _answer(self, request: Recorded) -> Answer:
        connection = http.client.HTTPConnection(*self._upstream, timeout=20)
        hop_by_hop = {"connection", "content-length", "transfer-encoding"}
        headers = {name: value for name, value in request.headers if name.lower() not in hop_by_hop}
        connection.request(request.method, request.target, request.body, headers)
        upstream = connection.getresponse()
        body = upstream.read()
        connection.close()
        parameters = parameters_of(request)
        self.calls.append((request, parameters, upstream.status))
        if upstream.status == 200 and parameters.get("Action") == "AssumeRole":
            self.ledger.note(parameters, credentials_in(body))
        kept = [(name, value) for name, value in upstream.getheaders() if name.lower() not in {*hop_by_hop, "date", "server"}]
        return Answer(upstream.status, body, kept)


def credentials_in(answer: bytes) -> Credentials:
    """The credentials in an answer of AssumeRole."""
    found = {element.tag.rpartition("}")[2]: element.text for element in ElementTree.fromstring(answer).iter()}
    return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
