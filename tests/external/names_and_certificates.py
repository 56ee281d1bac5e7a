"""A DNS server and a TLS server for tests of programs that must bring their own resolver and certificates."""

from __future__ import annotations

import datetime
import socket
import ssl
import struct
import tempfile
import threading
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """A certificate authority of its own."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "spokeprobe tests")])
        self._signed = self.sign(self.name, self.key, x509.BasicConstraints(ca=True, path_length=0), [])
        self.certificate = self._signed.public_bytes(serialization.Encoding.PEM)

    def sign(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, constraints: x509.BasicConstraints, hosts: list[str]) -> x509.Certificate:
        now = datetime.datetime.now(datetime.timezone.utc)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(constraints, critical=True)
        )
        if hosts:
            made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        return made.sign(self.key, hashes.SHA256())


class Gateway:
    """Answers each TLS connection on loopback with the same bytes, under a certificate of `authority` for `host`."""

    def __init__(self, authority: Authority, host: str, answer: bytes) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
        leaf = authority.sign(name, key, x509.BasicConstraints(ca=False, path_length=None), [host])
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            pem = Path(folder) / "gateway.pem"
            private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            pem.write_bytes(private + leaf.public_bytes(serialization.Encoding.PEM))
            self.context.load_cert_chain(pem)
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            peer.settimeout(5)
            try:
                with self.context.wrap_socket(peer, server_side=True) as stream:
                    stream.recv(65536)
                    stream.sendall(self.answer)
            except OSError:
                pass  # a client that does not trust it goes away


class Names:
    """A DNS server at port 53 of a loopback address: every name is 127.0.0.1. Needs root."""

    def __init__(self, address: str) -> None:
        self.asked: list[bytes] = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def _serve(self) -> None:
        while True:
            try:
                query, peer = self.socket.recvfrom(1024)
            except OSError:
                return
            end = query.index(b"\0", 12) + 5
            (kind,) = struct.unpack("!H", query[end - 4 : end - 2])
            self.asked.append(query[12 : end - 5])
            answers = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 5, 4) + socket.inet_aton("127.0.0.1") if kind == 1 else b""
            head = query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1 if answers else 0, 0, 0)
            self.socket.sendto(head + query[12:end] + answers, peer)
