"""The systemd unit, judged by systemd's own tools and by what the program really asks of the kernel."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import Launcher, free_port

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "deploy" / "systemd" / "spokeprobe.service"
# Tenths, as systemd counts: 0 is shut in altogether, 96 a unit that says nothing.
THRESHOLD = 15
# What the kernel never filters, or does before a filter is there.
ALWAYS = {"execve", "exit", "exit_group", "rt_sigreturn"}


def run(*command: object, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    asked = [str(part) for part in command]
    return subprocess.run(asked, capture_output=True, text=True, timeout=seconds, check=False, env={**os.environ, "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"})


@pytest.fixture(scope="module")
def analyze(tool: Callable[[str], Path]) -> Path:
    return tool("systemd-analyze")


@pytest.fixture
def unit(binary: Path, tmp_path: Path) -> Path:
    """The unit with the program under test in place of the installed one, and without the manual that is not installed."""
    text = UNIT.read_text().replace("/usr/bin/spokeprobe", str(binary))
    path = tmp_path / "spokeprobe.service"
    path.write_text(re.sub(r"^Documentation=.*\n", "", text, flags=re.MULTILINE))
    return path


def test_the_unit_is_sound(analyze: Path, unit: Path) -> None:
    """systemd-analyze verify finds nothing; a misspelt setting and a program that is not there are found."""
    found = run(analyze, "verify", unit)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")
    text = unit.read_text()
    unit.write_text(text.replace("ProtectClock=yes", "ProtectClok=yes"))
    assert "ProtectClok" in run(analyze, "verify", unit).stderr
    unit.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/usr/bin/not-there", text))
    assert run(analyze, "verify", unit).returncode != 0


def test_the_unit_is_shut_in(analyze: Path, unit: Path, tmp_path: Path) -> None:
    """systemd-analyze security rates the exposure under 1.5 of 10; the same unit without its settings is far above."""
    judged = ["security", "--offline=true", f"--threshold={THRESHOLD}"]
    found = run(analyze, *judged, unit)
    assert found.returncode == 0, found.stdout
    print(re.search(r"Overall exposure level.*?: (\S+)", found.stdout)[0])  # type: ignore[index]
    bare = tmp_path / "bare" / "spokeprobe.service"
    bare.parent.mkdir()
    kept = ("[", "Type=", "ExecStart=", "Restart=", "User=", "Description=")
    bare.write_text("".join(line for line in unit.read_text().splitlines(keepends=True) if line.startswith(kept)))
    assert run(analyze, *judged, bare).returncode != 0


def test_the_unit_leaves_time_to_drain(unit: Path) -> None:
    """Restarted after a failure, reloaded by SIGHUP, and killed no sooner than the drain and a long answer take."""
    settings = dict(line.split("=", 1) for line in unit.read_text().splitlines() if re.match(r"^[A-Z]\w+=", line))
    assert (settings["Type"], settings["Restart"], settings["ExecReload"]) == ("exec", "on-failure", "/bin/kill -HUP $MAINPID")
    assert int(settings["TimeoutStopSec"]) >= 40
    assert settings["CapabilityBoundingSet"] == settings["AmbientCapabilities"] == ""


def allowed(analyze: Path, filters: list[str]) -> set[str]:
    """The system calls that SystemCallFilter= lines leave, in the order that systemd reads them."""

    def expanded(name: str) -> set[str]:
        if not name.startswith("@"):
            return {name}
        listed = run(analyze, "syscall-filter", name).stdout.splitlines()
        found = [line.strip() for line in listed[1:] if line.strip() and not line.strip().startswith("#")]
        return set().union(*(expanded(one) for one in found))

    left: set[str] = set()
    for line in filters:
        names = set().union(*(expanded(name) for name in line.removeprefix("~").split()))
        left = left - names if line.startswith("~") else left | names
    return left


def test_the_program_stays_within_the_filter(analyze: Path, tool: Callable[[str], Path], unit: Path, binary: Path, launcher: Launcher, tmp_path: Path) -> None:
    """Every system call and address family of a demo, seen by strace, is one that the unit allows; a filter without timers is noticed."""
    trace = tmp_path / "trace.txt"
    demo = launcher.start("demo", tool("strace"), "-f", "-qq", "-e", "signal=none", "-o", trace, binary, "demo", "--for", "5s", "--listen", f"127.0.0.1:{free_port()}")
    assert demo.wait(60) in (0, 1), demo.output
    lines = trace.read_text(errors="replace").splitlines()
    calls = {found[1] for line in lines if (found := re.match(r"\d+\s+(\w+)\(", line))} - ALWAYS
    assert {"epoll_wait", "sendto", "openat"} & calls
    text = unit.read_text()
    filters = re.findall(r"^SystemCallFilter=(.*)$", text, re.MULTILINE)
    permitted = allowed(analyze, filters)
    # A change of affinity or limits would be refused, not deadly: the runtime only reads them.
    assert calls <= permitted, f"not allowed: {sorted(calls - permitted)}"
    assert calls - allowed(analyze, [*filters, "~@timer @io-event"])
    families = {found[1] for line in lines if (found := re.search(r"\bsocket(?:pair)?\((AF_\w+)", line))}
    assert families <= set(re.search(r"^RestrictAddressFamilies=(.*)$", text, re.MULTILINE)[1].split()), families  # type: ignore[index]
    # MemoryDenyWriteExecute: nothing is mapped both writable and executable.
    assert not [line for line in lines if re.search(r"\b(mmap|mprotect)\(.*PROT_WRITE\|PROT_EXEC", line)]
    print(f"{len(calls)} kinds of system calls, {len(permitted)} allowed")


def test_the_drop_in_shuts_off_public_addresses(analyze: Path, unit: Path) -> None:
    """With private-only.conf the rating is better still: public addresses are denied."""
    folder = unit.parent / "spokeprobe.service.d"
    folder.mkdir()
    text = (UNIT.parent / "private-only.conf").read_text()
    assert "IPAddressDeny=any" in text and "0.0.0.0/0" not in text
    service = text.split("[Service]\n", 1)[1]
    unit.write_text(unit.read_text().replace("[Install]", f"{service}\n[Install]"))
    found = run(analyze, "security", "--offline=true", f"--threshold={THRESHOLD - 1}", unit)
    assert found.returncode == 0, found.stdout
    assert run(analyze, "verify", unit).stderr == ""
