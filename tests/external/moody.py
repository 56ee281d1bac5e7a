"""An endpoint that answers as it should for a while, and then as its mood says. Plain HTTP, keep-alive, on loopback."""

from __future__ import annotations

import socket
import struct
import threading
import time

from witness import error_answer, gateway_answer, read_request

# How long it behaves, from its first request on, and when a stall is over.
GOOD, STALL_OVER = 1.0, 3.0
MOODS = ("polite", "stalls once", "throttles", "fails", "resets", "dies", "slows", "falls silent")

OK = gateway_answer({"hello": "world"}).encode()
THROTTLED = error_answer(429, "TooManyRequestsException", "Too Many Requests").encode()
FAILED = gateway_answer({"message": "out of order"}, 500).encode()


class MoodyEndpoint:
    """Serves one mood."""

    def __init__(self, mood: str) -> None:
        assert mood in MOODS, mood
        self.mood = mood
        self.answered = 0
        self.stalled = 0
        self._first: float | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._streams: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._over.set()
        with self._lock:
            streams = [self._listener, *self._streams]
        for stream in streams:
            try:
                stream.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._streams.add(peer)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer, peer.makefile("rb") as stream:
            try:
                while read_request(stream) is not None:
                    if not self._answer(peer):
                        break
            except (OSError, EOFError, ValueError):
                pass
        with self._lock:
            self._streams.discard(peer)

    def _answer(self, peer: socket.socket) -> bool:
        """Answers one request; false when the connection is to end."""
        now = time.monotonic()
        with self._lock:
            self._first = self._first or now
            age = now - self._first
        answer = OK
        if self.mood == "stalls once" and GOOD <= age < STALL_OVER:
            with self._lock:
                self.stalled += 1
            self._over.wait(STALL_OVER - age)
        elif age >= GOOD:
            if self.mood == "throttles":
                answer = THROTTLED
            elif self.mood == "fails":
                answer = FAILED
            elif self.mood == "resets":
                # To be read by whoever closes: with data unsent the kernel answers with a reset.
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            elif self.mood == "dies":
                self.close()
                return False
            elif self.mood == "slows":
                self._over.wait(0.8)
            elif self.mood == "falls silent":
                self._over.wait(30)
                return False
        peer.sendall(answer)
        with self._lock:
            self.answered += 1
        return True
