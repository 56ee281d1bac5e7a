"""The web configuration file against those it is made for: promtool reads it, Prometheus scrapes through it, curl knocks."""

from __future__ import annotations

import datetime
import ipaddress
import json
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from agent import HUB, HUB_KEYS, Metrics, configuration, spoke, write_configuration
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from processes import Launcher, Program, free_port, http_get, wait_until
from rude import RudeEndpoint
from sts import SmallSts

ROOT = Path(__file__).resolve().parents[2]

EXAMPLE = ROOT / "deploy" / "prometheus" / "web.yaml"
USER, PASSWORD = "prometheus", "test"
# The hash of `test` that the guide of Prometheus on basic authentication shows, made by Python's bcrypt.
FOREIGN_HASH = "$2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay"
HELLO = {"name": "hello", "request": "GET /", "every": "1s", "timeout": "5s"}


class Authority:
    """A certificate authority, and what it issues, as files."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(subject, self.key, None)
        self.file = folder / f"{name}.crt"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, file: str, name: str) -> tuple[Path, Path]:
        """Certificate and key for a name, and for 127.0.0.1."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate = self._sign(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key, names)
        paths = self.folder / f"{file}.crt", self.folder / f"{file}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        no_password = serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password)
        paths[1].write_bytes(pem)
        return paths

    def _sign(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, names: x509.SubjectAlternativeName | None):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True)
        )
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.key, hashes.SHA256())


@dataclass
class Protected:
    """An agent behind a web configuration file."""

    launcher: Launcher
    program: Program
    listen: str
    authority: Authority
    folder: Path

    @property
    def url(self) -> str:
        return f"https://{self.listen}"


@pytest.fixture
def protect(binary: Path, launcher: Launcher, closing, tmp_path: Path) -> Callable[[dict], Protected]:
    """Starts an agent with this web configuration file, beside `server.crt`, `server.key` and `clients.crt`."""

    def start(web_file: dict) -> Protected:
        authority = Authority(tmp_path, "ours")
        authority.issue("server", "agent.internal")
        shutil.copy(authority.file, tmp_path / "clients.crt")
        (tmp_path / "web.yaml").write_text(yaml.safe_dump(web_file))
        sts, rude = closing(SmallSts([HUB])), closing(RudeEndpoint())
        content = configuration(rude.url, sts.url, [spoke("payments", "000000000001", [HELLO], {"id": "polite0000"})])
        listen = content["web"]["listen"]
        content["web"]["config_file"] = "web.yaml"
        path = write_configuration(launcher.folder, content)
        program = launcher.start("agent", binary, "run", "--config", path, environment=HUB_KEYS)
        agent = Protected(launcher, program, listen, authority, tmp_path)
        program.wait_for("the agent is healthy", lambda: healthy(binary, listen), 20)
        return agent

    return start


def healthy(binary: Path, listen: str, *more: str) -> bool:
    command = [binary, "healthcheck", "--address", listen, *more]
    return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0


def curl(tool: Callable[[str], Path], *arguments: str | Path) -> tuple[int, str, str]:
    """Exit status of curl, the code of the answer, and the answer with its head."""
    command = [tool("curl"), "-sS", "-i", "--max-time", "10", "-w", "\\n%{http_code}", *arguments]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=20, check=False)
    answer, _, code = done.stdout.rpartition("\n")
    return done.returncode, code, answer + done.stderr


def tls(**more: object) -> dict:
    return {"tls_server_config": {"cert_file": "server.crt", "key_file": "server.key", **more}}


MUTUAL = tls(
    client_auth_type="RequireAndVerifyClientCert", client_ca_file="clients.crt", client_allowed_sans=["scraper.internal"]
)
USERS = {"basic_auth_users": {USER: FOREIGN_HASH}}

# What both of us must say to a file. Where we refuse what the toolkit takes, the reason stands beside it.
FILES: list[tuple[str, dict, bool, bool]] = [
    ("nothing", {}, True, True),
    ("tls", tls(), True, True),
    ("users", USERS, True, True),
    ("mutual", MUTUAL | USERS, True, True),
    ("versions", tls(min_version="TLS13", max_version="TLS13"), True, True),
    ("suites", tls(cipher_suites=["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"], curve_preferences=["X25519"]), True, True),
    ("headers", tls() | {"http_server_config": {"headers": {"X-Frame-Options": "deny"}}}, True, True),
    ("rate", {"rate_limit": {"interval": "1s", "burst": 3}}, True, True),
    ("unknown key", {"tls_config": {}}, False, False),
    ("no key", {"tls_server_config": {"cert_file": "server.crt"}}, False, False),
    ("unknown suite", tls(cipher_suites=["TLS_FANTASY"]), False, False),
    ("unknown curve", tls(curve_preferences=["X448"]), False, False),
    ("unknown version", tls(min_version="TLS14"), False, False),
    ("authorities for nobody", tls(client_ca_file="clients.crt"), False, False),
    ("unknown way to ask", tls(client_auth_type="Perhaps"), False, False),
    ("header", tls() | {"http_server_config": {"headers": {"Server": "x"}}}, False, False),
    ("value of a header", tls() | {"http_server_config": {"headers": {"X-Frame-Options": "never"}}}, False, False),
    ("no bcrypt", {"basic_auth_users": {USER: PASSWORD}}, False, False),
    ("retired version", tls(min_version="TLS10"), True, False),
    ("weak suite", tls(cipher_suites=["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"]), True, False),
    ("everything is refused", {"rate_limit": {"interval": "1s", "burst": 0}}, True, False),
    ("verified by nobody in particular", tls(client_auth_type="RequireAndVerifyClientCert"), True, False),
    ("TLS that is not there", {"tls_server_config": {"min_version": "TLS13"}}, True, False),
]  # fmt: skip


def test_promtool_reads_what_we_read(
    binary: Path, tool: Callable[[str], Path], launcher: Launcher, tmp_path: Path
) -> None:
    """promtool check web-config and `plan` agree on files right and wrong; where we refuse more, it is one of five known cases."""
    authority = Authority(tmp_path, "ours")
    authority.issue("server", "agent.internal")
    shutil.copy(authority.file, tmp_path / "clients.crt")
    promtool = tool("promtool-newest")
    content = configuration("http://127.0.0.1:9", "http://127.0.0.1:9", [spoke("payments", "000000000001", [HELLO])])
    content["web"]["config_file"] = "web.yaml"
    path = write_configuration(tmp_path, content)
    differences = []
    for name, web_file, theirs, ours in FILES:
        (tmp_path / "web.yaml").write_text(yaml.safe_dump(web_file))
        check = subprocess.run([promtool, "check", "web-config", tmp_path / "web.yaml"], capture_output=True, timeout=20)
        plan = launcher.run(f"plan-{name.replace(' ', '-')}", binary, "plan", "--config", path)
        got = check.returncode == 0, plan.popen.returncode == 0
        if got != (theirs, ours):
            differences.append(f"{name}: {got}, wanted {(theirs, ours)}: {check.stderr.decode()} {plan.stderr}")
    assert not differences, "\n".join(differences)
    print(f"{len(FILES)} files, {sum(theirs != ours for _, _, theirs, ours in FILES)} of them refused by us alone")


def test_the_example_is_right(tool: Callable[[str], Path], protect, binary: Path, tmp_path: Path) -> None:
    """promtool of two generations accepts deploy/prometheus/web.yaml, and an agent behind it asks for the password that it names."""
    agent = protect(yaml.safe_load(EXAMPLE.read_text()))
    shutil.copy(EXAMPLE, agent.folder / "web.yaml")
    for promtool in ("promtool", "promtool-newest"):
        subprocess.run([tool(promtool), "check", "web-config", agent.folder / "web.yaml"], check=True, timeout=20)
    trust = ["--cacert", agent.authority.file]
    _, code, answer = curl(tool, *trust, "-u", f"{USER}:{PASSWORD}", f"{agent.url}/metrics")
    assert code == "200" and "strict-transport-security: max-age=31536000" in answer.lower()
    assert curl(tool, *trust, "-u", f"{USER}:{PASSWORD}", f"{agent.url}/")[1] == "200", "a password opens the page"
    assert curl(tool, *trust, f"{agent.url}/metrics")[1] == "401"


def start_scraper(launcher: Launcher, prometheus: Path, jobs: list[dict]) -> str:
    """A Prometheus with these jobs; its URL."""
    listen = f"127.0.0.1:{free_port()}"
    config = launcher.folder / "prometheus.yaml"
    config.write_text(
        yaml.safe_dump({"global": {"scrape_interval": "1s", "scrape_timeout": "900ms"}, "scrape_configs": jobs})
    )
    program = launcher.start(
        "prometheus",
        prometheus,
        f"--config.file={config}",
        f"--storage.tsdb.path={launcher.folder / 'tsdb'}",
        f"--web.listen-address={listen}",
        "--log.level=warn",
    )
    program.wait_for("Prometheus is ready", lambda: http_get(f"http://{listen}/-/ready")[0] == 200, 30)
    return f"http://{listen}"


def targets(url: str) -> dict[str, tuple[str, str]]:
    """Health and last error of each job."""
    active = json.loads(http_get(f"{url}/api/v1/targets")[1])["data"]["activeTargets"]
    return {target["labels"]["job"]: (target["health"], target["lastError"]) for target in active}


def series(agent: Protected) -> tuple[set[tuple], Metrics]:
    """Names and labels of all series, read with password and certificate."""
    context = ssl.create_default_context(cafile=str(agent.authority.file))
    context.load_cert_chain(agent.folder / "scraper.crt", agent.folder / "scraper.key")
    manager = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    manager.add_password(None, agent.url, USER, PASSWORD)
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=context), urllib.request.HTTPBasicAuthHandler(manager)
    )
    with opener.open(f"{agent.url}/metrics", timeout=10) as answer:
        metrics = Metrics(answer.read().decode())
    return {(sample.name, *sorted(sample.labels.items())) for sample in metrics.samples}, metrics


def test_prometheus_scrapes_with_password_and_certificate(
    protect, tool: Callable[[str], Path], binary: Path
) -> None:
    """Prometheus gets in with password and client certificate, and in no other way; its wrong scrapes leave no trace in the metrics."""
    agent = protect(MUTUAL | USERS)
    agent.authority.issue("scraper", "scraper.internal")
    agent.authority.issue("elsewhere", "elsewhere.internal")
    Authority(agent.folder, "theirs").issue("stranger", "scraper.internal")

    def job(name: str, password: str | None, certificate: str | None) -> dict:
        tls_config = {"ca_file": str(agent.authority.file)}
        if certificate:
            tls_config |= {kind: str(agent.folder / f"{certificate}.{end}") for kind, end in (("cert_file", "crt"), ("key_file", "key"))}
        login = {"basic_auth": {"username": USER, "password": password}} if password else {}
        static = [{"targets": [agent.listen]}]
        return {"job_name": name, "scheme": "https", "tls_config": tls_config, "static_configs": static, **login}

    wait_until("the first attempts", lambda: series(agent)[1].sum("requests_total") > 1, 20)
    before, _ = series(agent)
    url = start_scraper(
        agent.launcher,
        tool("prometheus"),
        [
            job("right", PASSWORD, "scraper"),
            job("wrong-password", "guess", "scraper"),
            job("no-password", None, "scraper"),
            job("no-certificate", PASSWORD, None),
            job("other-name", PASSWORD, "elsewhere"),
            job("stranger", PASSWORD, "stranger"),
        ],
    )
    seen = wait_until(
        "every job was scraped", lambda: (found := targets(url)) and all(h != "unknown" for h, _ in found.values()) and found, 20
    )
    time.sleep(3)
    seen = targets(url)
    assert seen["right"] == ("up", ""), seen
    assert {job for job, (health, _) in seen.items() if health == "up"} == {"right"}, seen
    assert "401" in seen["wrong-password"][1] and "401" in seen["no-password"][1], seen
    assert "403" in seen["no-certificate"][1], "from this machine a connection comes about, and nothing more"
    for name in ("other-name", "stranger"):
        assert seen[name][0] == "down" and "401" not in seen[name][1], seen
    after, _ = series(agent)
    assert after == before, after ^ before
    assert PASSWORD + '"' not in agent.program.output and "guess" not in agent.program.output
    assert healthy(binary, agent.listen) and healthy(binary, agent.listen, "--tls")


def test_curl_knocks(protect, tool: Callable[[str], Path]) -> None:
    """curl meets 401, 403 and 405 where they belong, is told to speak https, and finds no TLS 1.1 and no suite that is not offered."""
    agent = protect(tls(cipher_suites=["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"]) | USERS)
    trust = ["--cacert", agent.authority.file]
    login = ["-u", f"{USER}:{PASSWORD}"]
    for path, arguments, wanted in [
        ("/-/healthy", [], "200"),
        ("/-/ready", [], "200"),
        ("/metrics", [], "401"),
        ("/", [], "401"),
        ("/-/reload", ["-X", "POST"], "401"),
        ("/metrics", ["-u", f"{USER}:wrong"], "401"),
        ("/metrics", ["-u", f"nobody:{PASSWORD}"], "401"),
        ("/metrics", login, "200"),
        ("/", login, "200"),
        ("/-/loads/stop", [*login, "-X", "POST", "-H", "Origin: null"], "403"),
        ("/-/loads/stop", [*login, "-X", "POST", "-H", "Sec-Fetch-Site: cross-site"], "403"),
        ("/-/loads/stop", [*login, "-X", "POST"], "200"),
        ("/-/loads/stop", [*login, "-X", "DELETE"], "405"),
        ("/metrics", [*login, "-X", "POST"], "405"),
    ]:
        _, code, answer = curl(tool, *trust, *arguments, f"{agent.url}{path}")
        assert code == wanted, f"{path} {arguments}: {answer}"
        for header in ("x-content-type-options: nosniff", "cache-control: no-store", "frame-ancestors 'none'"):
            assert header in answer.lower(), f"{path}: {answer}"
    _, code, answer = curl(tool, f"http://{agent.listen}/metrics")
    assert code == "400" and "speaks https only" in answer, answer
    # A client that would speak HTTP/2 gets HTTP/1.1.
    assert curl(tool, *trust, "--http2", f"{agent.url}/-/healthy")[2].startswith("HTTP/1.1 200")
    assert curl(tool, f"{agent.url}/-/healthy")[0] == 60, "without our authority the certificate is not trusted"
    assert curl(tool, *trust, "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", f"{agent.url}/-/healthy")[0] == 35
    old = [*trust, "--tls-max", "1.2", "--ciphers"]
    assert curl(tool, *old, "ECDHE-ECDSA-AES256-GCM-SHA384", f"{agent.url}/-/healthy")[1] == "200"
    assert curl(tool, *old, "ECDHE-ECDSA-CHACHA20-POLY1305", f"{agent.url}/-/healthy")[0] == 35


def test_renewal_without_a_restart(protect, tool: Callable[[str], Path]) -> None:
    """A renewed certificate and a changed password are in force within seconds; a broken file changes nothing and is named once."""
    agent = protect(tls() | USERS)
    right = ["-u", f"{USER}:{PASSWORD}"]
    old = agent.authority
    assert curl(tool, "--cacert", old.file, *right, f"{agent.url}/metrics")[1] == "200"
    new = Authority(agent.folder, "renewed")
    new.issue("server", "agent.internal")
    wait_until(
        "the renewed certificate", lambda: curl(tool, "--cacert", new.file, *right, f"{agent.url}/metrics")[1] == "200", 10
    )
    assert curl(tool, "--cacert", old.file, *right, f"{agent.url}/metrics")[0] == 60
    path = agent.folder / "web.yaml"
    whole = path.read_text()
    path.write_text(whole.replace("cert_file", "certfile"))
    agent.program.wait_for("a line in the log", lambda: "cannot be used" in agent.program.output, 10)
    time.sleep(3)
    assert agent.program.output.count("cannot be used") == 1
    assert "did you mean `cert_file`?" in agent.program.output
    assert curl(tool, "--cacert", new.file, *right, f"{agent.url}/metrics")[1] == "200"
    path.write_text(yaml.safe_dump(tls() | {"basic_auth_users": {"other": FOREIGN_HASH}}))
    wait_until("the user is gone", lambda: curl(tool, "--cacert", new.file, *right, f"{agent.url}/metrics")[1] == "401", 10)
    other = ["-u", f"other:{PASSWORD}"]
    assert curl(tool, "--cacert", new.file, *other, f"{agent.url}/metrics")[1] == "200"


def test_the_knock_notices_an_open_door(protect, tool: Callable[[str], Path]) -> None:
    """Seeded error: without users in the file, the same knocks come out otherwise, so the tests above can fail."""
    agent = protect(tls())
    trust = ["--cacert", agent.authority.file]
    assert curl(tool, *trust, f"{agent.url}/metrics")[1] == "200"
    assert curl(tool, *trust, "-u", f"{USER}:wrong", f"{agent.url}/metrics")[1] == "200"
