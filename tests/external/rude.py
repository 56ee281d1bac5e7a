"""An endpoint that answers as no server should. The api's id says how, so one listener serves every kind at once."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable

from witness import Answer, Recorded, error_answer, gateway_answer, read_request

IDS = b"x-amzn-RequestId: 0f4c36f1-5a5b-4b7c-9f54-6f1f0d0c9a01\r\nx-amz-apigw-id: Yk1dFGhIDoEFrsA=\r\n"
HUNDRED_MEGABYTES = 100 * 1024 * 1024


def half_body(stream: socket.socket) -> None:
    stream.sendall(b"HTTP/1.1 200 OK\r\n" + IDS + b"Content-Length: 1000\r\n\r\n{")


def chunked_rubbish(stream: socket.socket) -> None:
    stream.sendall(b"HTTP/1.1 200 OK\r\n" + IDS + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz!\r\n\x00\xff")


def no_http(stream: socket.socket) -> None:
    stream.sendall(b"\x00\xffSSH-2.0-OpenSSH_9.2\r\n\r\n")


def huge_body(stream: socket.socket) -> None:
    stream.sendall(b"HTTP/1.1 200 OK\r\n" + IDS + b"Content-Length: %d\r\n\r\n" % HUNDRED_MEGABYTES)
    piece = b"x" * 65536
    for _ in range(HUNDRED_MEGABYTES // len(piece)):
        stream.sendall(piece)


def huge_header(stream: socket.socket) -> None:
    stream.sendall(b"HTTP/1.1 200 OK\r\n" + IDS + b"X-Huge: " + b"h" * 1_048_576 + b"\r\nContent-Length: 0\r\n\r\n")


def many_headers(stream: socket.socket) -> None:
    headers = b"".join(b"X-%d: v\r\n" % at for at in range(5_000))
    stream.sendall(b"HTTP/1.1 200 OK\r\n" + IDS + headers + b"Content-Length: 0\r\n\r\n")


def not_utf8(stream: socket.socket) -> None:
    stream.sendall(b"HTTP/1.1 200 OK\r\n" + IDS + b"X-Odd: \xff\xfe\xe9\r\nContent-Length: 4\r\n\r\n\xff\xfe\x00{")


def reset(stream: socket.socket) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def silent_close(stream: socket.socket) -> None:
    stream.shutdown(socket.SHUT_RDWR)


def hang(stream: socket.socket) -> None:
    stream.settimeout(30)
    stream.recv(1)


def drip(stream: socket.socket) -> None:
    for byte in b"HTTP/1.1 200 OK\r\n" + IDS:
        stream.sendall(bytes([byte]))
        time.sleep(0.05)


def bare(stream: socket.socket) -> None:
    stream.sendall(b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")


def public(stream: socket.socket) -> None:
    stream.sendall(
        b"HTTP/1.1 200 OK\r\n" + IDS + b"Via: 1.1 abc.cloudfront.net (CloudFront)\r\nX-Amz-Cf-Id: x\r\nContent-Length: 2\r\n"
        b"Connection: close\r\n\r\nhi"
    )


def redirect(stream: socket.socket) -> None:
    stream.sendall(
        b"HTTP/1.1 302 Found\r\n" + IDS + b"Location: http://127.0.0.1:9/trap\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    )


def bad_status(stream: socket.socket) -> None:
    stream.sendall(b"HTTP/1.1 1x9 What\r\nContent-Length: 0\r\n\r\n")


# What each kind is expected to be, for a probe without `expect`.
KINDS: dict[str, tuple[Callable[[socket.socket], None], str]] = {
    "half-body": (half_body, "unreachable/protocol"),
    "chunked-rubbish": (chunked_rubbish, "unreachable/protocol"),
    "no-http": (no_http, "unreachable/protocol"),
    "bad-status": (bad_status, "unreachable/protocol"),
    "huge-header": (huge_header, "unreachable/protocol"),
    "many-headers": (many_headers, "unreachable/protocol"),
    "reset": (reset, "unreachable/reset"),
    "silent-close": (silent_close, "unreachable/reset"),
    "huge-body": (huge_body, "ok/none"),
    "not-utf8": (not_utf8, "ok/none"),
    "hang": (hang, "failed/response_timeout"),
    "drip": (drip, "failed/response_timeout"),
    "bare": (bare, "failed/not_api_gateway"),
    "public": (public, "failed/not_private"),
    "redirect": (redirect, "failed/unexpected_status"),
}


def api_id(kind: str) -> str:
    """A valid id for a kind: its place in the table."""
    return f"rude{list(KINDS).index(kind):06d}"


class RudeEndpoint:
    """Serves every kind, `polite` for all other apis, and those that depend on a reused connection."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.counts: dict[str, int] = {}
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        peer.settimeout(30)
        served = 0
        with peer, peer.makefile("rb") as stream:
            try:
                while (request := read_request(stream)) is not None:
                    api = (request.header("host") or "").partition(".")[0]
                    self.counts[api] = self.counts.get(api, 0) + 1
                    served += 1
                    if api.startswith("rude"):
                        KINDS[list(KINDS)[int(api[4:])]][0](peer)
                        return
                    if api == "closesreus" and served > 1:
                        # Read the second request of the connection, then close without a byte.
                        return
                    if api == "echosecret":
                        peer.sendall(self._echo(request).encode())
                        continue
                    peer.sendall(gateway_answer({"hello": "world"}).encode())
                    if api == "idleclosed":
                        peer.settimeout(0.2)
            except (OSError, EOFError, ValueError):
                return

    def _echo(self, request: Recorded) -> Answer:
        """Four ways of giving back what was sent, one after the other; the first is AWS's own."""
        token, authorization = request.header("x-amz-security-token") or "", request.header("authorization") or ""
        lines = "\n".join(f"{name.lower()}:{value}" for name, value in request.headers)
        mismatch = "The request signature we calculated does not match the signature you provided."
        way = self.counts["echosecret"] % 4
        if way == 1:
            canonical = f"The Canonical String for this request should have been\n'{request.method}\n{request.target}\n\n{lines}'"
            return error_answer(403, "InvalidSignatureException", f"{mismatch}\n\n{canonical}\n")
        if way == 2:
            return error_answer(403, "InvalidSignatureException", f"{token} was not expected here")
        if way == 3:
            text = f"{authorization} not a valid key=value pair (missing equal-sign) in Authorization header"
            return error_answer(403, "IncompleteSignatureException", text)
        return gateway_answer({"message": f"{token} {lines}"}, 500)
