"""What may be linked into the program, judged by cargo-deny. The advisories need a database from the network: without it they are
skipped, loudly."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# A second TLS stack or cryptographic library, by any feature, on any machine. (schannel is there for Windows' certificates only.)
BANNED = re.compile(r"^(openssl|openssl-sys|openssl-src|native-tls|tokio-native-tls|hyper-tls|boring.*|aws-lc-.*|mbedtls.*|wolfssl.*)$")


@pytest.fixture(scope="module")
def deny(tool: Callable[[str], Path]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`cargo deny check`, by the project's deny.toml or another."""
    program = tool("cargo-deny")

    def check(*what: str, config: Path = ROOT / "deny.toml", seconds: float = 60) -> subprocess.CompletedProcess[str]:
        asked = [program, "--format", "json", "--locked", "--config", config, "check", *what]
        return subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False, env={**os.environ, "GIT_TERMINAL_PROMPT": "0"})

    return check


def findings(found: subprocess.CompletedProcess[str]) -> list[str]:
    messages = [json.loads(line) for line in found.stderr.splitlines() if line.startswith("{")]
    return [message["fields"]["code"] for message in messages if message["type"] == "diagnostic" and message["fields"]["severity"] == "error"]


def test_bans_licences_and_sources(deny: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """cargo-deny finds no second TLS stack, no licence that is not allowed, no second version without a reason, no source but the public registry."""
    found = deny("bans", "licenses", "sources")
    assert (found.returncode, findings(found)) == (0, []), found.stderr
    assert '"severity":"warning"' not in found.stderr, found.stderr


@pytest.mark.parametrize(
    ("what", "old", "new", "code"),
    [
        ("bans", '"archived; yaml_serde continues it" },', '"" }, { name = "rustls", version = "<1", reason = "seeded" },', "banned"),
        ("bans", '{ crate = "rustix@0.38"', '{ crate = "rustix@0.37"', "duplicate"),
        ("licenses", '    "MIT",\n', "", "rejected"),
        ("sources", 'unknown-registry = "deny"', 'unknown-registry = "deny"\nallow-registry = []', "source-not-allowed"),
    ],
)
def test_what_may_not_be_is_noticed(deny: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, what: str, old: str, new: str, code: str) -> None:
    """Seeded errors: a banned crate, a second version, a licence, a registry that nobody allowed."""
    text = (ROOT / "deny.toml").read_text()
    assert old in text
    (tmp_path / "deny.toml").write_text(text.replace(old, new))
    found = deny(what, config=tmp_path / "deny.toml")
    assert found.returncode != 0 and code in findings(found), found.stderr[-2000:]


def test_advisories(deny: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """No dependency has an advisory of RustSec or was yanked, where its database can be had."""
    try:
        found = deny("advisories", seconds=60)
    except subprocess.TimeoutExpired:
        pytest.skip("the RustSec database cannot be had: no answer within a minute")
    if "failed to fetch advisory database" in found.stderr or "failed to load advisory database" in found.stderr:
        # Not even CI=true insists: it may have no network but the package registries.
        pytest.skip("the RustSec database cannot be had: " + " ".join(found.stderr.split())[:160])
    assert (found.returncode, findings(found)) == (0, []), found.stderr


def test_one_tls_stack_by_any_feature() -> None:
    """Cargo.lock, which holds what any feature on any machine could bring, names no OpenSSL, no aws-lc and no second TLS stack."""
    packages = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    assert not [package["name"] for package in packages if BANNED.match(package["name"])]
    assert [package["version"].rsplit(".", 1)[0] for package in packages if package["name"] == "rustls"] == ["0.23"]
    # The check must be able to fail.
    assert BANNED.match("aws-lc-rs") and BANNED.match("openssl-sys") and not BANNED.match("openssl-probe")
    (source,) = {package.get("source", "a folder") for package in packages if package["name"] != "spokeprobe"}
    assert source.startswith("registry+")
    assert all(len(package["checksum"]) == 64 for package in packages if package["name"] != "spokeprobe")
    print(f"{len(packages)} packages")


def test_only_one_crate_links_c() -> None:
    """ring is the only part that is not Rust: nothing else in the program compiles or links C."""
    asked = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"]
    found = json.loads(subprocess.run(asked, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    names = {package["id"]: package["name"] for package in found["packages"]}
    compiling = {
        names[node["id"]]
        for node in found["resolve"]["nodes"]
        for used in node["deps"]
        if names[used["pkg"]] in ("cc", "cmake", "bindgen") and any(kind["kind"] == "build" for kind in used["dep_kinds"])
    }
    assert compiling == {"ring"}
