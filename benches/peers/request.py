"""What all clients send: one request with one session token of 1,000 bytes, and the configuration for ours.

Who cannot sign sends header values that were signed once, long ago: the server reads no signature, and the bytes
are the same.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

REGION = "eu-west-1"
HOST = f"a1b2c3d4e5.execute-api.{REGION}.amazonaws.com"
PATH = "/api/"
CONNECTIONS = 64

ACCESS_KEY = "ASIAEXAMPLEEXAMPLE00"
SECRET_KEY = "c3Bva2Vwcm9iZS1iZW5jaC1wZWVycy1ub3QtYS1rZXk"
# Letters as in a real token, and no word of them means anything.
TOKEN = "".join(hashlib.sha256(bytes([n])).hexdigest() for n in range(16))[:1000]

CREDENTIALS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_SESSION_TOKEN": TOKEN}

HEADERS = {
    "User-Agent": "spokeprobe/0.1.0 (payments/hoot/steady)",
    "X-Amzn-Trace-Id": "Root=1-6740f2a1-0123456789abcdef01234567",
    "X-Amz-Date": "20261121T220000Z",
    "X-Amz-Security-Token": TOKEN,
    "Authorization": (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20261121/{REGION}/execute-api/aws4_request, "
        "SignedHeaders=host;x-amz-date;x-amz-security-token, "
        f"Signature={hashlib.sha256(b'long ago').hexdigest()}"
    ),
}


def configuration(folder: Path, port: int, ca_file: Path, probes: list[dict[str, object]], listen: str = "") -> Path:
    """Writes a configuration of spokeprobe that connects to the server, signed with the agent's own credentials.

    `hub.role_arn` says who the agent is, so that STS is never asked. JSON is YAML.
    """
    api = {"name": "hoot", "id": HOST.split(".")[0], "stage": "api", "max_rate": "10000/s", "probes": probes}
    document = {
        "hub": {
            "region": REGION,
            "role_arn": "arn:aws:iam::111122223333:role/spokeprobe-hub",
            "endpoint": {
                "id": "vpce-0123456789abcdef0",
                "url": f"https://127.0.0.1:{port}",
                "ca_file": str(ca_file),
            },
            # Nothing listens there, and nothing has to.
            "sts": {"endpoint_url": "http://127.0.0.1:9"},
        },
        "web": {"listen": listen or "127.0.0.1:0"},
        "limits": {
            "requests_per_second": 20000,
            "requests_per_second_per_account": 20000,
            "in_flight": 4096,
            "in_flight_per_account": 4096,
        },
        "spokes": [{"name": "payments", "account": "222233334444", "apis": [api]}],
    }
    path = folder / "config.yaml"
    path.write_text(json.dumps(document, indent=1))
    return path


def probe(name: str, **keys: object) -> dict[str, object]:
    """A probe of the configuration that the server's answer satisfies."""
    return {
        "name": name,
        "request": "GET /",
        "as": "hub",
        "expect": {"status": 200, "json": {"hello": "world"}},
        **keys,
    }
