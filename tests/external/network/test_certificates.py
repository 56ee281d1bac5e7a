"""Certificates and protocols of a real server, nginx on OpenSSL: what is wrong with each, in the agent's words."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from lab import NAME_END, NGINX, Lab, payments, probe

APIS = {name: f"{name:0<10}" for name in NGINX.values()}


def name_of(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """A certificate authority, and what it signs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = rsa.generate_private_key(65537, 2048)
        self.certificate = self.make("an authority of the lab", self.key, self.key, name_of("an authority of the lab"), [], True)
        self.file = folder / "authority.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    @staticmethod
    def make(
        subject: str, key: rsa.RSAPrivateKey, by: rsa.RSAPrivateKey, issuer: x509.Name, names: list[str], authority: bool,
        ends_in_days: int = 30,
    ) -> x509.Certificate:  # fmt: skip
        now = datetime.now(timezone.utc)
        builder = x509.CertificateBuilder().subject_name(name_of(subject)).issuer_name(issuer).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=60))
        builder = builder.not_valid_after(now + timedelta(days=ends_in_days))
        builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
        return builder.sign(by, hashes.SHA256())

    def issue(self, kind: str, as_if: str) -> None:
        """Files for the server `kind`, with what is wrong with `as_if`."""
        key = rsa.generate_private_key(65537, 2048)
        names = [f"wrong.{NAME_END}.example.com" if as_if == "wrongname" else f"*.{NAME_END}"]
        own = as_if == "selfsigned"
        issuer = name_of(kind) if own else self.certificate.subject
        made = self.make(kind, key, key if own else self.key, issuer, names, False, -1 if as_if == "expired" else 30)
        (self.folder / f"{kind}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self.folder / f"{kind}.key").write_bytes(private)


def write_servers(folder: Path, protocols: str) -> Path:
    """One server for each address; `protocols` are those of the old one."""
    servers = []
    for address, kind in NGINX.items():
        spoken = f"ssl_protocols {protocols}; ssl_ciphers ALL:@SECLEVEL=0;" if kind == "oldtls" else ""
        servers.append(
            f"server {{ listen {address}:443 ssl; ssl_certificate {kind}.pem; ssl_certificate_key {kind}.key; {spoken}"
            ' location / { default_type text/plain; return 200 "hello"; } }'
        )
    paths = "".join(f" {kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "scgi", "uwsgi"))
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; user root; pid {folder}/nginx.pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off;{paths}\n{chr(10).join(servers)}\n}}\n"
    )
    return file


def test_what_is_wrong_with_a_server_is_named(lab: Lab) -> None:
    """Expired, for another name, signed by itself: certificate; TLS 1.0 and 1.1 only: tls; mended, all of them are let through."""
    lab.firewall()
    folder = lab.launcher.folder
    authority = Authority(folder)
    for kind in NGINX.values():
        authority.issue(kind, kind)
    bundle = folder / "both.pem"
    bundle.write_text(Path(lab.simulator["ca_file"]).read_text() + authority.file.read_text())
    nginx = lab.tool("nginx")
    server = lab.start_far("nginx", nginx, "-p", folder, "-c", write_servers(folder, "TLSv1 TLSv1.1"))
    lab.names({APIS[kind]: [address] for address, kind in NGINX.items()})
    apis = [
        {"name": kind, "id": api, "stage": "api", "probes": [probe("hello", connection="fresh")]} for kind, api in APIS.items()
    ]
    agent = lab.start_agent(lab.configuration([payments(apis)], bundle))
    # No gateway, but a server that was let to speak: past certificate and protocol.
    through = "failed/not_api_gateway"
    wanted = {
        "good": through,
        "expired": "unreachable/certificate",
        "wrongname": "unreachable/certificate",
        "selfsigned": "unreachable/certificate",
        "oldtls": "unreachable/tls",
    }
    for kind, reason in wanted.items():
        agent.becomes(reason, api=kind)
    said = {target["api"]: str(target.get("message") or target) for target in agent.status()["targets"]}
    print({kind: said[kind][:60] for kind in wanted})

    # The seeded error: the same servers with nothing wrong. The very same assertions have to fail.
    for kind in NGINX.values():
        authority.issue(kind, "good")
    write_servers(folder, "TLSv1.2 TLSv1.3")
    lab.far.run("kill", "-HUP", str(server.popen.pid))
    for kind in wanted:
        agent.becomes(through, api=kind)
        if wanted[kind] != through:
            agent.is_not(wanted[kind], api=kind)
    assert agent.program.terminate() == 0
