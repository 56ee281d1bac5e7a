"""An HTTP server that keeps every request as it came over the wire, byte for byte.

It stands where API Gateway or STS would be. Python's own server classes decode and normalise; a witness must not.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Recorded:
    """A request as it was received."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    received_at: float
    connection: int

    def header(self, name: str) -> str | None:
        """The value of a header that stands there once at most."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} was sent {len(values)} times"
        return values[0] if values else None


@dataclass
class Answer:
    """What the witness says."""

    status: int = 200
    body: bytes = b"{}"
    headers: list[tuple[str, str]] = field(default_factory=list)

    def encode(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} Witness", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


def gateway_answer(body: object, status: int = 200) -> Answer:
    """An answer of an integration behind API Gateway: with the gateway's request ids."""
    return Answer(
        status,
        json.dumps(body).encode(),
        [
            ("Content-Type", "application/json"),
            ("x-amzn-RequestId", "0f4c36f1-5a5b-4b7c-9f54-6f1f0d0c9a01"),
            ("x-amz-apigw-id", "Yk1dFGhIDoEFrsA="),
        ],
    )


def error_answer(status: int, error_type: str, message: str) -> Answer:
    """An answer of API Gateway itself."""
    answer = gateway_answer({"message": message}, status)
    answer.headers.append(("x-amzn-ErrorType", error_type))
    return answer


Handler = Callable[[Recorded], Answer]


class Witness:
    """Serves on a loopback port until `close`, one thread per connection."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.requests: list[Recorded] = []
        self.problems: list[str] = []
        self._lock = threading.Lock()
        self._connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        # shutdown wakes the thread that waits in accept; close alone does not.
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()

    def take(self) -> list[Recorded]:
        """The requests so far, which are then forgotten."""
        with self._lock:
            taken, self.requests = self.requests, []
        return taken

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._connections += 1
            threading.Thread(target=self._serve, args=(peer, self._connections), daemon=True).start()

    def _serve(self, peer: socket.socket, connection: int) -> None:
        peer.settimeout(60)
        with peer, peer.makefile("rb") as stream:
            try:
                while (request := read_request(stream, connection)) is not None:
                    with self._lock:
                        self.requests.append(request)
                    peer.sendall(self.handler(request).encode())
            except (OSError, EOFError):
                return
            except Exception as error:  # noqa: BLE001 - a defect of the test must show in the test
                with self._lock:
                    self.problems.append(f"{type(error).__name__}: {error}")


def read_request(stream, connection: int = 0) -> Recorded | None:
    """One request, or None at the end of the connection."""
    line = stream.readline(70_000)
    if not line:
        return None
    method, target, version = line.decode("latin-1").rstrip("\r\n").split(" ")
    if version != "HTTP/1.1":
        raise ValueError(f"spoke {version}")
    headers: list[tuple[str, str]] = []
    while (line := stream.readline(70_000)) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").rstrip("\r\n").partition(":")
        headers.append((name, value.strip()))
    known = {name.lower(): value for name, value in headers}
    if "chunked" in known.get("transfer-encoding", ""):
        body = b""
        while (size := int(stream.readline(100).split(b";")[0], 16)) > 0:
            body += stream.read(size)
            stream.readline(10)
        stream.readline(10)
    else:
        body = stream.read(int(known.get("content-length", "0")))
    return Recorded(method, target, tuple(headers), body, time.time(), connection)
