"""Tarball, Debian package and bill of materials, made by scripts/package around the program under test, and judged by dpkg, lintian,
cargo and the CycloneDX library."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: object, seconds: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
    asked = [str(part) for part in command]
    return subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False, env={**os.environ, **environment})


@pytest.fixture(scope="module")
def program(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program under test without its symbols, which would make the packages large."""
    stripped = tmp_path_factory.mktemp("program") / "spokeprobe"
    found = run("strip", "--strip-all", "-o", stripped, binary)
    assert found.returncode == 0, found.stderr
    return stripped


def packed(program: Path, folder: Path, **environment: str) -> Path:
    found = run("scripts/package", "--quick", "--program", program, "--out", folder, **{"SOURCE_DATE_EPOCH": "1767225600", "CI": "true", **environment})
    assert found.returncode == 0, found.stdout + found.stderr
    return folder


@pytest.fixture(scope="module")
def packages(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that scripts/package filled."""
    if not shutil.which("dpkg-deb"):
        pytest.skip("dpkg-deb is missing: this is not a Debian machine")
    return packed(program, tmp_path_factory.mktemp("packages"))


def one(packages: Path, pattern: str) -> Path:
    (found,) = packages.glob(pattern)
    return found


def test_the_same_inputs_give_the_same_bytes(packages: Path, program: Path, tmp_path: Path) -> None:
    """Packed again elsewhere, under another umask, locale and time zone: the same checksums. Another commit's time gives others."""
    first = (packages / "SHA256SUMS").read_text()
    before = os.umask(0o077)
    try:
        again = packed(program, tmp_path / "again", TMPDIR=str(tmp_path), LC_ALL="C.UTF-8", TZ="Asia/Tokyo")
    finally:
        os.umask(before)
    assert (again / "SHA256SUMS").read_text() == first
    later = packed(program, tmp_path / "later", SOURCE_DATE_EPOCH="1767225601")
    assert not set((later / "SHA256SUMS").read_text().split()) & {line.split()[0] for line in first.splitlines()}
    checked = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=packages, capture_output=True, text=True, check=False)
    assert checked.returncode == 0 and checked.stdout.count(": OK") == 3, checked.stdout


def test_the_tarball(packages: Path, tmp_path: Path) -> None:
    """One folder with program, unit, manual, completions, licences and bill of materials, all of root's; the program in it runs."""
    with tarfile.open(one(packages, "*.tar.gz")) as archive:
        members = archive.getmembers()
        archive.extractall(tmp_path, filter="data")
    (top,) = tmp_path.iterdir()
    names = {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}
    assert {
        "spokeprobe",
        "spokeprobe.1",
        "config.yaml",
        "sbom.cdx.json",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "THIRD-PARTY-LICENCES.txt",
        "INSTALL.md",
        "CHANGELOG.md",
        "completions/_spokeprobe",
        "completions/spokeprobe.bash",
        "completions/spokeprobe.fish",
        "systemd/spokeprobe.service",
        "systemd/private-only.conf",
        "systemd/spokeprobe.default",
        "systemd/spokeprobe.sysusers",
    } == names
    assert {(member.uid, member.gid) for member in members} == {(0, 0)}
    assert [member.name for member in members] == sorted(member.name for member in members)
    assert run(top / "spokeprobe", "--version").stdout.startswith("spokeprobe ")
    # The configuration that is installed is one that the program takes.
    planned = run(top / "spokeprobe", "plan", "--config", top / "config.yaml")
    assert planned.returncode == 0, planned.stderr
    # Every file that the instructions name is there, or made by them.
    for name in re.findall(r"install [^\n]*? (\S+) /(?:usr|etc)/", (top / "INSTALL.md").read_text()):
        assert name in names, name
    print(f"{len(names)} files")


def installed(folder: Path, *command: object) -> subprocess.CompletedProcess[str]:
    """dpkg on a system of its own below `folder`, with the package's scripts run from outside, as when an image is made."""
    (folder / "var/lib/dpkg/info").mkdir(parents=True, exist_ok=True)
    (folder / "var/lib/dpkg/updates").mkdir(exist_ok=True)
    (folder / "var/lib/dpkg/status").touch()
    (folder / "etc").mkdir(exist_ok=True)
    forced = "--force-script-chrootless,depends,confold,not-root,bad-path"
    return run("dpkg", f"--root={folder}", forced, f"--log={folder}/dpkg.log", *command)


def test_the_debian_package_comes_and_goes(packages: Path, program: Path, tmp_path: Path) -> None:
    """dpkg installs it with its user, keeps a changed configuration over an upgrade and a removal, and purges the rest."""
    if os.geteuid() != 0:
        pytest.skip("dpkg keeps owners only as root")
    root = tmp_path / "system"
    deb = one(packages, "*.deb")
    found = installed(root, "--install", deb)
    assert found.returncode == 0, found.stdout + found.stderr
    config, service = root / "etc/spokeprobe/config.yaml", root / "usr/lib/systemd/system/spokeprobe.service"
    assert run(root / "usr/bin/spokeprobe", "--version").returncode == 0
    assert service.read_text() == (ROOT / "deploy/systemd/spokeprobe.service").read_text()
    if shutil.which("systemd-sysusers"):
        assert re.search(r"^spokeprobe:.*:/usr/sbin/nologin$", (root / "etc/passwd").read_text(), re.MULTILINE)
    assert (root / "etc/default/spokeprobe").stat().st_mode & 0o777 == 0o600
    config.write_text("# mine\n")
    found = installed(root, "--install", deb)
    assert found.returncode == 0 and config.read_text() == "# mine\n", found.stdout + found.stderr
    assert installed(root, "--remove", "spokeprobe").returncode == 0
    assert config.exists() and not service.exists() and not (root / "usr/bin/spokeprobe").exists()
    assert installed(root, "--purge", "spokeprobe").returncode == 0
    assert not (root / "etc/spokeprobe").exists() and not (root / "etc/default/spokeprobe").exists()


# Run by systemd in the machine below, as root. Each line that the test reads begins with a word and a colon.
BOOTED = r"""
dpkg -i /spokeprobe_*.deb >/dev/null 2>&1; echo "install: $?"
echo "started by the package: $(systemctl is-active spokeprobe)"
mkdir -p /etc/systemd/system/spokeprobe.service.d
printf '[Service]\nExecStart=\nExecStart=/usr/bin/spokeprobe demo --for 60s --listen 127.0.0.1:10999\n' >/etc/systemd/system/spokeprobe.service.d/demo.conf
for user in package dynamic; do
    # Without the package's user systemd makes one for as long as the service runs.
    if [ $user = dynamic ]; then userdel spokeprobe; fi
    systemctl daemon-reload
    systemctl start spokeprobe; echo "$user start: $?"
    for _ in $(seq 50); do spokeprobe healthcheck --address 127.0.0.1:10999 >/dev/null 2>&1 && break; sleep 0.1; done
    spokeprobe healthcheck --address 127.0.0.1:10999 >/dev/null; echo "$user healthy: $?"
    pid=$(systemctl show --property MainPID --value spokeprobe)
    sed -n "s/^\(CapEff\|NoNewPrivs\|Seccomp\):[[:space:]]*/$user \1: /p" /proc/$pid/status
    echo "$user runs as: $(stat --format %U /proc/$pid)"
    nsenter --target $pid --mount touch /var/spokeprobe 2>/dev/null; echo "$user writes: $?"
    systemctl stop spokeprobe
    echo "$user ended: $(systemctl show --property Result --value spokeprobe)"
done
rm -r /etc/systemd/system/spokeprobe.service.d
systemctl daemon-reload
systemctl start spokeprobe; sleep 2; echo "with the installed configuration: $(systemctl is-active spokeprobe)"
sed -i 's/name: hello$/name: hello-again/' /etc/spokeprobe/config.yaml
systemctl reload spokeprobe; sleep 2
echo "after a reload: $(systemctl is-active spokeprobe), $(journalctl --unit spokeprobe --output cat | grep -c 'reading the configuration again')"
dpkg -i /spokeprobe_*.deb >/dev/null 2>&1; sleep 1; echo "after an upgrade: $(systemctl is-active spokeprobe), $(journalctl --unit spokeprobe --output cat | grep -c 'drained')"
dpkg --remove spokeprobe >/dev/null 2>&1; echo "after a removal: $(systemctl is-active spokeprobe)"
journalctl --unit spokeprobe --output cat --no-pager | tail -n 20
"""


@pytest.fixture
def machine(packages: Path, tool: Callable[[str], Path], tmp_path: Path) -> Iterator[Path]:
    """A root that is this machine's, written to beside it and without a network, with the package in it."""
    if os.geteuid() != 0 or not Path("/lib/systemd/systemd").exists():
        pytest.skip("booting systemd in a container needs root and systemd")
    tool("systemd-nspawn")
    layers, root = tmp_path / "layers", tmp_path / "root"
    layers.mkdir()
    root.mkdir()
    assert run("mount", "-t", "tmpfs", "tmpfs", layers).returncode == 0
    (layers / "upper").mkdir()
    (layers / "work").mkdir()
    made = run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={layers}/upper,workdir={layers}/work", root)
    try:
        if made.returncode != 0:
            pytest.skip(f"this machine lays no overlay over its root: {made.stderr.strip()}")
        shutil.copy(one(packages, "*.deb"), root)
        (root / "etc/machine-id").write_text("")
        (root / "experiment").write_text(BOOTED)
        (root / "etc/systemd/system/experiment.service").write_text(
            "[Unit]\nRequires=basic.target\nAfter=basic.target\n"
            "[Service]\nType=oneshot\nExecStart=/bin/sh /experiment\nExecStopPost=/bin/systemctl poweroff --force\n"
            "StandardOutput=file:/said\nStandardError=file:/said\nTimeoutStartSec=180\n"
        )
        yield root
    finally:
        run("umount", "--lazy", root)
        run("umount", "--lazy", layers)


@pytest.mark.timeout(240)
def test_the_package_under_systemd(machine: Path) -> None:
    """systemd boots, the package is installed, and its unit runs shut in: as the package's user and as a passing one; it drains, SIGHUP reloads it, an upgrade restarts it."""
    booted = run("systemd-nspawn", "--directory", machine, "--private-network", "--register=no", "--keep-unit", "--console=pipe", "--boot", "systemd.unit=experiment.service", seconds=200)
    if not (machine / "said").exists():
        pytest.skip(f"systemd does not boot in a container here: {' '.join((booted.stderr or booted.stdout).split())[-200:]}")
    text = (machine / "said").read_text()
    said = dict(line.split(": ", 1) for line in text.splitlines() if re.match(r"^[a-zA-Z ]+: \S", line))
    assert (said["install"], said["started by the package"]) == ("0", "inactive"), text
    for user in ("package", "dynamic"):
        found = {key: said[f"{user} {key}"] for key in ("start", "healthy", "CapEff", "NoNewPrivs", "Seccomp", "runs as", "ended")}
        assert found == {
            "start": "0",
            "healthy": "0",
            "CapEff": "0" * 16,
            "NoNewPrivs": "1",
            "Seccomp": "2",
            "runs as": "spokeprobe",
            "ended": "success",
        }, text
        assert said[f"{user} writes"] != "0", text
    assert said["with the installed configuration"] == "active", text
    assert re.fullmatch(r"active, [1-9]", said["after a reload"]), text
    assert said["after an upgrade"].startswith("active, ") and said["after a removal"] == "inactive", text


def test_what_the_debian_package_says(packages: Path) -> None:
    """Architecture, version and dependencies; configuration files are marked, and no library is asked for."""
    deb = one(packages, "*.deb")
    fields = dict(line.split(": ", 1) for line in run("dpkg-deb", "--field", deb).stdout.splitlines() if re.match(r"^[A-Z]", line))
    assert fields["Architecture"] == run("dpkg", "--print-architecture").stdout.strip()
    version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]  # type: ignore[index]
    assert (fields["Version"], fields["Depends"]) == (f"{version}-1", "ca-certificates")
    assert set(run("dpkg-deb", "--info", deb, "conffiles").stdout.split()) == {"/etc/default/spokeprobe", "/etc/spokeprobe/config.yaml"}
    listed = run("dpkg-deb", "--contents", deb).stdout.splitlines()
    assert all(line.split()[1] == "root/root" for line in listed)


def test_lintian(packages: Path, tool: Callable[[str], Path], tmp_path: Path) -> None:
    """lintian finds nothing but what deploy/debian/lintian-overrides explains; a package without its copyright file is found."""
    lintian = [tool("lintian"), "--allow-root", "--fail-on", "error,warning"]
    # The program under test is dynamic and stripped: what is said of the static one does not appear.
    found = run(*lintian, "--suppress-tags", "mismatched-override,undeclared-elf-prerequisites,missing-dependency-on-libc,hardening-no-pie", one(packages, "*.deb"))
    assert found.returncode == 0, found.stdout + found.stderr
    run("dpkg-deb", "--raw-extract", one(packages, "*.deb"), tmp_path / "seeded")
    (tmp_path / "seeded/usr/share/doc/spokeprobe/copyright").unlink()
    run("dpkg-deb", "-Znone", "--root-owner-group", "--build", tmp_path / "seeded", tmp_path / "seeded.deb")
    found = run(*lintian, tmp_path / "seeded.deb")
    assert found.returncode != 0 and "no-copyright-file" in found.stdout, found.stdout


def test_the_bill_of_materials(packages: Path) -> None:
    """The CycloneDX library takes it; one whose parts are in an unknown scope it does not. Whatever depends on something names a part."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = one(packages, "*.cdx.json").read_text()
    validator = JsonStrictValidator(SchemaVersion.V1_5)
    assert validator.validate_str(text) is None
    seeded = json.loads(text)
    seeded["components"][0]["scope"] = "linked"
    assert validator.validate_str(json.dumps(seeded)) is not None
    document = json.loads(text)
    refs = {part["bom-ref"] for part in document["components"]} | {document["metadata"]["component"]["bom-ref"]}
    for dependency in document["dependencies"]:
        assert {dependency["ref"], *dependency["dependsOn"]} <= refs
    crates = [part for part in document["components"] if part["purl"].startswith("pkg:cargo/")]
    assert all(part["licenses"] and part["hashes"][0]["alg"] == "SHA-256" for part in crates)
    print(f"{len(crates)} crates, {sum(part['scope'] == 'required' for part in crates)} of them linked in")


def test_the_bill_names_what_is_linked(packages: Path, tool: Callable[[str], Path]) -> None:
    """cargo-deny knows each crate that the bill names as linked in, and each has its place among the licence texts."""
    document = json.loads(one(packages, "*.cdx.json").read_text())
    ours = {f"{part['name']} v{part['version']}" for part in document["components"] if part["scope"] == "required" and part["purl"].startswith("pkg:cargo/")}
    seen = json.loads(run(tool("cargo-deny"), "list", "--format", "json", "--layout", "crate").stdout)
    theirs = {re.sub(r"^(\S+) (\S+).*$", r"\1 v\2", name) for name in seen}
    # It also lists macros, build scripts and what tests need; of the rest nothing may be missing on either side.
    assert not ours - theirs, ours - theirs
    build = {f"{part['name']} v{part['version']}" for part in document["components"] if part["scope"] == "excluded"}
    print(f"{len(theirs - ours - build)} crates are there for tests or for the other architecture only")
    with tarfile.open(one(packages, "*.tar.gz")) as archive:
        name = next(name for name in archive.getnames() if name.endswith("THIRD-PARTY-LICENCES.txt"))
        texts = archive.extractfile(name).read().decode()  # type: ignore[union-attr]
    missing = [crate for crate in ours if crate.replace(" v", " ") + " (" not in texts]
    assert not missing
