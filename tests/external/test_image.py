"""The production image: linted by hadolint, built and run by buildah. No base image is fetched: what the compiling stage would lay out
is laid out here, around a static program that is built already."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from names_and_certificates import Authority, Gateway, Names
from processes import free_port, wait_until

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "image"
# What the image holds and nothing more.
FILES = {
    "etc/group",
    "etc/nsswitch.conf",
    "etc/passwd",
    "etc/ssl/certs/ca-certificates.crt",
    "usr/bin/spokeprobe",
    "usr/share/doc/spokeprobe/LICENSE-APACHE",
    "usr/share/doc/spokeprobe/LICENSE-MIT",
    "usr/share/doc/spokeprobe/THIRD-PARTY-LICENCES.txt",
    "usr/share/doc/spokeprobe/sbom.cdx.json",
}
# Shown to the kernel as an orchestrator would: a read-only root, no way to more rights, the user by number.
SHUT_IN = """set -eu
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
root=$1
shift
exec setpriv --no-new-privs chroot --userspec=10403:10403 --groups= "$root" "$@"
"""


@pytest.fixture(scope="module")
def static_program() -> Path:
    """The debug build, linked statically by scripts/test, without its symbols; or what SPOKEPROBE_STATIC_BINARY names."""
    path = Path(os.environ.get("SPOKEPROBE_STATIC_BINARY", ROOT / "target" / "static" / "spokeprobe"))
    if not path.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{path} is missing, and CI=true allows no skips")
        pytest.skip(f"{path} is missing: run scripts/test, or scripts/build-static and name it in SPOKEPROBE_STATIC_BINARY")
    return path


class Image:
    """The image in a store of its own, so that nothing of the machine's is touched."""

    def __init__(self, buildah: Path, folder: Path) -> None:
        self.buildah = buildah
        self.folder = folder
        self.environment = {
            **os.environ,
            "BUILDAH_ISOLATION": "chroot",
            "STORAGE_DRIVER": "vfs",
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "ENGINE": "buildah",
            "SOURCE_DATE_EPOCH": "1767225600",
        }
        (folder / "storage.conf").write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n')
        # One that the image trusts besides the machine's.
        self.authority = Authority()
        bundle = folder / "certificates.crt"
        bundle.write_bytes(Path("/etc/ssl/certs/ca-certificates.crt").read_bytes() + self.authority.certificate)
        self.environment["SSL_CERT_FILE"] = str(bundle)
        self.container = ""
        self.root = Path()

    def __call__(self, *command: object, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        asked = [str(part) for part in command]
        return subprocess.run(asked, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=seconds, check=False)

    def run(self, *command: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Within the container, as its user."""
        return self(self.buildah, "run", self.container, "--", *command, seconds=seconds)


@pytest.fixture(scope="module")
def image(tool: Callable[[str], Path], static_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Built by deploy/image/build from the project's Dockerfile, with the laid out files in place of the stage that compiles."""
    if os.geteuid() != 0:
        pytest.skip("building and shutting in an image needs root here")
    made = Image(tool("buildah"), tmp_path_factory.mktemp("image"))
    laid = made("scripts/image-files", made.folder / "files", "--program", static_program)
    assert laid.returncode == 0, laid.stderr
    built = made("deploy/image/build", "--files", made.folder / "files", "--tag", "spokeprobe:test")
    assert built.returncode == 0, built.stdout + built.stderr
    made.container = made(made.buildah, "from", "spokeprobe:test").stdout.strip()
    made.root = Path(made(made.buildah, "mount", made.container).stdout.strip())
    assert made.root.is_dir()
    yield made
    made(made.buildah, "umount", made.container)
    made(made.buildah, "rm", made.container)


def configuration(image: Image) -> dict:
    return json.loads(image(image.buildah, "inspect", "--type", "image", "spokeprobe:test").stdout)["Docker"]["config"]


def test_hadolint(tool: Callable[[str], Path], tmp_path: Path) -> None:
    """hadolint finds nothing in the Dockerfile; a base image without a version and a health check in shell form are found."""
    hadolint = tool("hadolint")
    found = subprocess.run([hadolint, FOLDER / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False)
    assert (found.returncode, found.stdout) == (0, "")
    seeded = tmp_path / "Dockerfile"
    text = (FOLDER / "Dockerfile").read_text()
    seeded.write_text(re.sub(r"rust:\S+", "rust", text).replace('ENTRYPOINT ["spokeprobe"]', "ENTRYPOINT spokeprobe"))
    found = subprocess.run([hadolint, seeded], capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode != 0
    assert {"DL3006", "DL3025"} <= set(re.findall(r"DL\d+", found.stdout)), found.stdout


def test_what_the_image_holds(image: Image) -> None:
    """The program, certificates, the user's name, licences and bill of materials: no shell, no library, nothing that root need not own."""
    found = {str(path.relative_to(image.root)): path for path in image.root.rglob("*") if not path.is_dir()}
    # buildah lays these for the container that runs.
    assert set(found) - {"etc/hosts", "etc/resolv.conf", "etc/hostname", "etc/mtab"} == FILES
    assert all(path.stat().st_uid == 0 for name, path in found.items() if name in FILES)
    assert not any(path.stat().st_mode & 0o6002 for path in found.values())
    components = json.loads(found["usr/share/doc/spokeprobe/sbom.cdx.json"].read_text())["components"]
    assert {"reqwest", "rustls", "glibc", "rust-std"} <= {one["name"] for one in components}
    texts = found["usr/share/doc/spokeprobe/THIRD-PARTY-LICENCES.txt"].read_text()
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in texts and "ring 0" in texts
    sizes = {name: path.stat().st_size / 1e6 for name, path in found.items() if name in FILES}
    program = sizes.pop("usr/bin/spokeprobe")
    print(f"program {program:.1f} MB, the rest {sum(sizes.values()):.1f} MB")


def test_how_the_image_is_started(image: Image) -> None:
    """By number as user 10403, as `spokeprobe run`, with a health check that needs no shell: what the Terraform module counts on."""
    config = configuration(image)
    service = (ROOT / "deploy" / "terraform" / "hub" / "service.tf").read_text()
    assert config["User"] == "10403:10403" == re.search(r'user\s+= "(\S+)"', service)[1]  # type: ignore[index]
    assert (config["Entrypoint"], config["Cmd"]) == (["spokeprobe"], re.search(r"command\s+= (\[\"run\"\])", service) and ["run"])
    assert config["Healthcheck"]["Test"] == ["CMD", "spokeprobe", "healthcheck"]
    assert '["CMD", "spokeprobe", "healthcheck"]' in service
    assert "10403/tcp" in config["ExposedPorts"]
    labels = {key.rsplit(".", 1)[1]: value for key, value in config["Labels"].items() if key.startswith("org.opencontainers.image.")}
    version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]  # type: ignore[index]
    assert (labels["title"], labels["version"]) == ("spokeprobe", version)
    assert labels["licenses"] == "MIT OR Apache-2.0"
    oldest = re.search(r'^rust-version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]  # type: ignore[index]
    assert f"ARG RUST_VERSION={oldest}\n" in (FOLDER / "Dockerfile").read_text(), "another compiler than the one that CI has proven"
    compose = (ROOT / "deploy" / "compose" / "compose.yaml").read_text()
    assert "dockerfile: deploy/image/Dockerfile" in compose


def test_the_demo_runs_in_the_image(image: Image) -> None:
    """`demo` in the container: simulator and agent over TLS, attempts accounted for; and there is no shell to get into."""
    found = image.run("spokeprobe", "demo", "--for", "5s", "--listen", f"127.0.0.1:{free_port()}")
    assert found.returncode in (0, 1), found.stdout + found.stderr
    assert "they agree" in found.stdout, found.stdout
    assert image.run("sh", "-c", "true").returncode != 0
    assert image.run("spokeprobe", "plan", "--config", "env:NOTHING").returncode == 2


def asked_for(image: Image, url: str, resolver: Path) -> dict:
    """What `call` in the image says about an api that is to be reached at `url`."""
    text = f"""
hub: {{region: eu-west-1, role_arn: "arn:aws:iam::111122223333:role/hub", endpoint: {{id: vpce-0123456789abcdef0, url: "{url}"}}}}
spokes: [{{name: payments, account: "111122223333", apis: [{{name: hoot, id: a1b2c3d4e5, stage: api, probes: [{{name: hello, request: GET /, as: anonymous}}]}}]}}]
"""
    command = ["spokeprobe", "call", "--config", "env:SPOKEPROBE_YAML", "--as", "anonymous", "payments/hoot", "GET", "/", "--json"]
    options = ["--env", f"SPOKEPROBE_YAML={text}", "--volume", f"{resolver}:/etc/resolv.conf:ro"]
    found = image(image.buildah, "run", *options, image.container, "--", *command)
    assert found.stdout.startswith("{"), found.stdout + found.stderr
    return json.loads(found.stdout)


def test_names_and_certificates_without_libraries(image: Image) -> None:
    """In an image without libraries names are looked up in /etc/hosts and by DNS, and the image's certificates decide whom to trust."""
    host = "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"
    resolver = image.folder / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.97\n")
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"
    with Names("127.0.0.97") as names, Gateway(image.authority, host, answer) as known, Gateway(Authority(), host, answer) as unknown:
        assert asked_for(image, f"https://localhost:{free_port()}", resolver)["reason"] == "connect_refused"
        assert not names.asked, "localhost stands in /etc/hosts"
        assert asked_for(image, f"https://spokeprobe.internal:{known.port}", resolver)["reason"] == "not_api_gateway"
        assert names.asked
        assert asked_for(image, f"https://spokeprobe.internal:{unknown.port}", resolver)["reason"] == "certificate"


def test_read_only_and_healthy(image: Image) -> None:
    """On a read-only root as user 10403 without new rights the agent becomes healthy, `healthcheck` says so, and SIGTERM drains it."""
    address = f"127.0.0.1:{free_port()}"
    shut_in = ["unshare", "--mount", "sh", "-c", SHUT_IN, "shut-in", str(image.root), "/usr/bin/spokeprobe"]
    began = time.monotonic()
    with (image.folder / "demo.txt").open("wb") as output:
        agent = subprocess.Popen([*shut_in, "demo", "--for", "40s", "--listen", address], stdout=output, stderr=output, env={"PATH": os.environ["PATH"]})
    try:
        healthy = lambda: image(*shut_in, "healthcheck", "--address", address).returncode == 0  # noqa: E731
        wait_until("healthy", healthy, 20)
        print(f"healthy {time.monotonic() - began:.2f} s after the start")
        status = Path(f"/proc/{agent.pid}/status").read_text()
        assert re.search(r"^Uid:\s+10403\s+10403\s+10403\s+10403$", status, re.MULTILINE), status
        assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE) and "NoNewPrivs:\t1" in status, status
        # The root as the agent has it.
        mounted = Path(f"/proc/{agent.pid}/mountinfo").read_text()
        assert re.search(rf" {re.escape(str(image.root))} ro[ ,]| / ro[ ,]", mounted), mounted
    finally:
        agent.terminate()
    assert agent.wait(20) in (0, 1)
    assert "they agree" in (image.folder / "demo.txt").read_text()
    assert image(*shut_in, "healthcheck", "--address", address).returncode == 1


def test_a_dynamic_program_is_refused(image: Image, binary: Path) -> None:
    """Seeded error: a program that needs libraries never gets into an image that has none."""
    found = image("scripts/image-files", image.folder / "dynamic", "--program", binary)
    assert found.returncode == 2 and "not static" in found.stderr, found.stderr


def test_the_same_files_give_the_same_layer(image: Image) -> None:
    """Built twice from the same files, the image has the same bytes: no time of the build is in it."""
    layers = []
    for name in ("first", "second"):
        built = image("deploy/image/build", "--files", image.folder / "files", "--tag", f"spokeprobe:{name}")
        assert built.returncode == 0, built.stderr
        found = json.loads(image(image.buildah, "inspect", "--type", "image", f"spokeprobe:{name}").stdout)
        layers.append(found["OCIv1"]["rootfs"]["diff_ids"])
    assert layers[0] == layers[1]


def test_the_image_as_a_file(image: Image) -> None:
    """Pushed into an archive as a registry would get it, it is one layer with what was laid out."""
    archive = image.folder / "image.tar"
    pushed = image(image.buildah, "push", "spokeprobe:test", f"oci-archive:{archive}")
    assert pushed.returncode == 0, pushed.stderr
    with tarfile.open(archive) as found:
        index = json.load(found.extractfile("index.json"))  # type: ignore[arg-type]
        manifest = json.load(found.extractfile("blobs/" + index["manifests"][0]["digest"].replace(":", "/")))  # type: ignore[arg-type]
    layers = [layer["size"] for layer in manifest["layers"]]
    print(f"{len(layers)} layer(s), {sum(layers) / 1e6:.1f} MB compressed")
    assert len(layers) == 1
