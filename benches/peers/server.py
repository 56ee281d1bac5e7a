"""The server that none of us wrote: nginx over TLS 1.3, answering from memory as API Gateway does.

One worker on a core of its own. No TLS session can be resumed, so that a fresh connection costs every client a
whole handshake. A second port writes the size of each request to a log: it is asked once by each client before
anything is timed.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from machine import Account, Running
from request import HOST, PATH

CONFIGURATION = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    log_format size $request_length;
    client_body_temp_path {folder}/t1;
    proxy_temp_path {folder}/t2;
    fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4;
    scgi_temp_path {folder}/t5;
    server_tokens off;
    client_header_buffer_size 4k;
    keepalive_requests 1000000;
    keepalive_timeout 300s;
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.key;
    ssl_protocols TLSv1.3;
    ssl_session_cache off;
    ssl_session_tickets off;
    default_type application/json;
    add_header x-amzn-RequestId 6e1f9a30-27d1-4f4c-9f2d-9d3a3c3f5b11;
    add_header x-amz-apigw-id AbCdEfGhIjkEL1g=;
    server {{
        listen 127.0.0.1:{port} ssl backlog=1024;
        location / {{ return 200 '{{"hello":"world"}}'; }}
    }}
    server {{
        listen 127.0.0.1:{size_port} ssl;
        access_log {folder}/sizes.log size;
        location / {{ return 200 '{{"hello":"world"}}'; }}
    }}
}}
"""


def free_port() -> int:
    """A port of loopback that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def answers(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """nginx, running."""

    def __init__(self, nginx: Path, openssl: str, core: int, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.ca_file = folder / "ca.pem"
        self.port, self.size_port = free_port(), free_port()
        make_certificate(openssl, folder)
        file = folder / "nginx.conf"
        file.write_text(CONFIGURATION.format(folder=folder, port=self.port, size_port=self.size_port))
        (folder / "sizes.log").write_text("")
        self._running = Running([nginx, "-p", folder, "-c", file], core, folder / "nginx.log")
        self._running.wait_until(lambda: answers(self.port))

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.__exit__()

    def url(self, name: str = "127.0.0.1", port: int | None = None) -> str:
        return f"https://{name}:{port or self.port}{PATH}"

    def account(self) -> Account:
        """What it spends from now on."""
        self._running.must_run()
        return Account(self._running.process.pid)

    @contextmanager
    def at_the_port_that_counts_bytes(self) -> Iterator[None]:
        """Sends clients to the second port meanwhile."""
        self.sizes()
        self.port, self.size_port = self.size_port, self.port
        try:
            yield
        finally:
            self.port, self.size_port = self.size_port, self.port

    def sizes(self) -> list[int]:
        """The bytes of each request that the second port has seen, and forgets them."""
        time.sleep(0.1)
        log = self.folder / "sizes.log"
        sizes = [int(line) for line in log.read_text().split()]
        # The file is open for appending, so cutting it off is enough.
        log.write_text("")
        return sizes


def make_certificate(openssl: str, folder: Path) -> None:
    """An authority of a day and a certificate of it: a certificate that is its own authority is refused by rustls."""

    def call(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True)

    names = f"subjectAltName=DNS:{HOST},DNS:localhost,IP:127.0.0.1"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    call("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=bench-peers CA")
    call("req", *curve, "-keyout", "server.key", "-out", "server.csr", "-subj", f"/CN={HOST}")
    (folder / "extensions").write_text(f"{names}\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\n")
    issue = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "extensions"]
    call("x509", "-req", "-in", "server.csr", "-out", "server.pem", "-days", "30", *issue)
