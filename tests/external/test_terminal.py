"""The program in a terminal: a real pseudo-terminal of the kernel, narrow, with and without colours."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from pathlib import Path

import pytest
from agent import HUB_KEYS, configuration, spoke, write_configuration
from moody import MoodyEndpoint
from processes import Launcher, bare_environment
from sts import SmallSts

COLUMNS = 44
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
MOVE = re.compile(r"\x1b\[[0-9]*[AJ]")


def in_terminal(command: list[str], environment: dict[str, str], seconds: float = 30) -> tuple[int, str]:
    """Exit status, and all that a terminal of `COLUMNS` columns got."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    program = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    got = bytearray()

    def read() -> None:
        # Linux ends a terminal that nobody holds any more with an error.
        try:
            while piece := os.read(ours, 65536):
                got.extend(piece)
        except OSError:
            pass

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        status = program.wait(seconds)
    finally:
        program.kill()
    reader.join(5)
    os.close(ours)
    return status, got.decode()


@pytest.fixture
def load(binary: Path, launcher: Launcher, closing):
    """A load of three seconds that a guard stops, in a terminal."""

    def run(**environment: str) -> tuple[int, str]:
        sts, server = closing(SmallSts([])), closing(MoodyEndpoint("throttles"))
        hello = {"name": "hello", "request": "GET /", "as": "hub", "timeout": "2s"}
        spokes = [spoke("payments", "012345678901", [hello], {"max_rate": "100/s"})]
        config = write_configuration(launcher.folder, configuration(server.url, sts.url, spokes))
        asked = ["load", "payments/hoot/hello", "--rate", "60/s", "--for", "5s", "--ramp-down", "1500ms"]
        given = {name: value for name, value in bare_environment(launcher.folder).items() if name != "NO_COLOR"}
        given |= HUB_KEYS | {"TERM": "xterm"} | environment
        return in_terminal([str(binary), *asked, "--config", str(config)], given)

    return run


def test_progress_is_drawn_over_itself_and_says_which_guard_stops_the_run(load) -> None:
    """In a narrow terminal progress takes no line twice, names the guard, and leaves only the report behind."""
    status, text = load()
    assert status == 1, text
    assert COLOUR.search(text) and MOVE.search(text)
    drawn, report = text[: text.rindex("\x1b[J")], text[text.rindex("\x1b[J") :]
    lines = [COLOUR.sub("", MOVE.sub("", line)).strip("\r") for line in drawn.split("\n")]
    progress = [line for line in lines if not line.startswith("GET ")]
    assert progress and all(len(line) <= COLUMNS for line in progress), progress
    assert any("stopping: the guard throttled" in line for line in progress), progress
    assert "NOT AS EXPECTED" in report and "stopped by the guard throttled" in report


def test_who_wants_no_colour_gets_none(load) -> None:
    """NO_COLOR: progress and report without one colour; a dumb terminal gets no control sequence at all."""
    status, text = load(NO_COLOR="1")
    assert status == 1 and not COLOUR.search(text.replace("\x1b[0m", "")), text
    status, text = load(TERM="dumb", NO_COLOR="1")
    assert status == 1 and "\x1b" not in text, text


def test_logs_in_a_terminal_are_coloured_and_nothing_fails(binary: Path, launcher: Launcher) -> None:
    """Commands that log begin in a terminal as elsewhere: `run` with a broken configuration says what is wrong."""
    bad = launcher.folder / "bad.yaml"
    bad.write_text("hub: {}\n")
    given = {name: value for name, value in bare_environment(launcher.folder).items() if name != "NO_COLOR"}
    status, text = in_terminal([str(binary), "run", "--config", str(bad)], given)
    assert status == 2 and "panicked" not in text and "ansi" not in text, text
    assert COLOUR.search(text), text
