"""Fixtures of the tests against foreign parts, and what is shown of them.

Every test's docstring says what it proves; the summary lists them. Everything runs on loopback, on free ports, with
limits on time, and ends with its test. When a test fails, the output of all its programs is shown.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from demonstration import Demonstration, watch_a_demo
from processes import Launcher, free_port, http_get
from simulated import Simulated, start_simulator
from witness import Handler, Witness

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "target" / "test-tools" / "bin"


@pytest.fixture(scope="session")
def binary() -> Path:
    """The program under test: the debug build, or what SPOKEPROBE_BINARY names."""
    path = Path(os.environ.get("SPOKEPROBE_BINARY", ROOT / "target" / "debug" / "spokeprobe"))
    assert path.exists(), f"{path} is not there: cargo build comes first"
    return path


@pytest.fixture(scope="session")
def tool() -> Callable[[str], Path]:
    """Finds a foreign program. Without it the test is skipped, or fails where CI=true."""

    def find(name: str) -> Path:
        found = shutil.which(name, path=f"{TOOLS}{os.pathsep}{os.environ.get('PATH', '')}")
        if found:
            return Path(found)
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is missing, and CI=true allows no skips")
        pytest.skip(f"{name} is missing: run scripts/install-test-tools")

    return find


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    """Programs that end with the test."""
    programs = Launcher(tmp_path)
    yield programs
    programs.end()


@pytest.fixture(scope="module")
def shared_launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Programs that end with the module."""
    programs = Launcher(tmp_path_factory.mktemp("programs"))
    yield programs
    programs.end()


@pytest.fixture
def serve() -> Iterator[Callable[[Handler], Witness]]:
    """Starts witnesses that end with the test; a defect within a handler fails the test."""
    started: list[Witness] = []

    def start(handler: Handler) -> Witness:
        started.append(Witness(handler))
        return started[-1]

    yield start
    for witness in started:
        witness.close()
    problems = [problem for witness in started for problem in witness.problems]
    assert not problems, problems


@pytest.fixture
def closing() -> Iterator[Callable]:
    """Registers things with a `close` that is called at the end of the test."""
    things: list = []

    def register(thing):
        things.append(thing)
        return thing

    yield register
    for thing in things:
        thing.close()


@pytest.fixture(scope="module")
def simulator(binary: Path, shared_launcher: Launcher) -> Simulated:
    """`spokeprobe simulate` with its default world."""
    return start_simulator(shared_launcher, binary)


@pytest.fixture(scope="session")
def demonstration(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demonstration]:
    """One `spokeprobe demo --for 20s --json`, scraped by a real Prometheus where there is one."""
    programs = Launcher(tmp_path_factory.mktemp("demo"))
    prometheus = shutil.which("prometheus", path=f"{TOOLS}{os.pathsep}{os.environ.get('PATH', '')}")
    try:
        yield watch_a_demo(programs, binary, Path(prometheus) if prometheus else None)
    finally:
        programs.end()


@pytest.fixture(scope="module")
def moto_url(shared_launcher: Launcher) -> str:
    """moto's server on a free port."""
    port = free_port()
    server = ROOT / "target" / "test-tools" / "venv" / "bin" / "moto_server"
    program = shared_launcher.start("moto", server, "-H", "127.0.0.1", "-p", str(port))
    program.wait_for("moto answers", lambda: http_get(f"http://127.0.0.1:{port}/moto-api/data.json")[0] == 200, 40)
    return f"127.0.0.1:{port}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    report = yield
    if report.failed:
        values = getattr(item, "funcargs", {}).values()
        launchers = {id(found): found for value in values if isinstance(found := getattr(value, "launcher", value), Launcher)}
        for programs in launchers.values():
            report.sections.append((f"programs in {programs.folder.name}", programs.report()))
    report.proves = (getattr(getattr(item, "function", None), "__doc__", None) or "says nothing").strip().splitlines()[0]
    return report


def pytest_terminal_summary(terminalreporter) -> None:
    terminalreporter.section("what was proven")
    for word in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(word, []):
            if word == "passed" and report.when != "call":
                continue
            file, _, test = report.nodeid.partition("::")
            name = f"{Path(file).stem}: {test}"
            terminalreporter.write_line(f"{word:8}{getattr(report, 'duration', 0):6.1f} s  {name}")
            # What a test printed is a figure worth seeing, also when it passed.
            for line in [getattr(report, "proves", ""), *report.capstdout.splitlines()[:3]]:
                terminalreporter.write_line(f"{'':18}{line[:180]}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        assert item.function.__doc__, f"{item.nodeid} does not say what it proves"  # type: ignore[attr-defined]
