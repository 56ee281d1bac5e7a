"""Starts programs for a test and ends them, whatever happens.

Output goes to files, so that a full pipe never blocks a program and a failed test can show what was printed.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def free_port() -> int:
    """A port of the loopback interface that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(what: str, condition: Callable[[], object], seconds: float = 10.0, pause: float = 0.05) -> object:
    """Asks until the answer is true and returns it. Fails by name after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(pause)


def http_get(url: str, seconds: float = 5.0) -> tuple[int, str]:
    """Status and text of a page, whatever the status; (0, reason) where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError as error:
        return 0, str(error)


class Program:
    """A running program with its output in two files."""

    def __init__(self, name: str, command: Sequence[str | Path], folder: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.command = [str(part) for part in command]
        self.stdout_path = folder / f"{name}.stdout"
        self.stderr_path = folder / f"{name}.stderr"
        with self.stdout_path.open("wb") as stdout, self.stderr_path.open("wb") as stderr:
            self.popen = subprocess.Popen(
                self.command, stdout=stdout, stderr=stderr, stdin=subprocess.DEVNULL, env=dict(environment), cwd=folder
            )

    @property
    def stdout(self) -> str:
        return self.stdout_path.read_bytes().decode(errors="replace")

    @property
    def stderr(self) -> str:
        return self.stderr_path.read_bytes().decode(errors="replace")

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    def running(self) -> bool:
        return self.popen.poll() is None

    def wait_for(self, what: str, condition: Callable[[], object], seconds: float = 15.0) -> object:
        """Like `wait_until`, and fails at once when the program ends before."""

        def alive_and_true() -> object:
            answer = condition()
            if not answer and not self.running():
                raise AssertionError(f"{self.name} ended with {self.popen.returncode} before: {what}\n{self.tail()}")
            return answer

        return wait_until(f"{self.name}: {what}", alive_and_true, seconds)

    def wait(self, seconds: float) -> int:
        """The exit status; fails when the program is still running after `seconds`."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {seconds} s\n{self.tail()}") from None

    def terminate(self, seconds: float = 12.0) -> int:
        """Asks it to end (SIGTERM) and gives the exit status."""
        if self.running():
            self.popen.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self) -> None:
        if self.running():
            self.popen.kill()
            self.popen.wait(10)

    def tail(self, lines: int = 40) -> str:
        parts = [f"$ {' '.join(self.command)}  (exit status: {self.popen.poll()})"]
        for path in (self.stdout_path, self.stderr_path):
            text = path.read_text(errors="replace").splitlines()[-lines:]
            parts.append(f"--- {path.name}\n" + "\n".join(line[:400] for line in text))
        return "\n".join(parts)


class Launcher:
    """Starts programs in one folder and ends all of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs: list[Program] = []

    def start(self, name: str, *command: str | Path, environment: Mapping[str, str] | None = None) -> Program:
        """Starts a program with `environment` as its whole environment (besides PATH and HOME)."""
        program = Program(
            f"{len(self.programs)}-{name}", command, self.folder, bare_environment(self.folder) | dict(environment or {})
        )
        self.programs.append(program)
        return program

    def run(
        self, name: str, *command: str | Path, environment: Mapping[str, str] | None = None, seconds: float = 30.0
    ) -> Program:
        """Starts a program and waits for its end."""
        program = self.start(name, *command, environment=environment)
        program.wait(seconds)
        return program

    def end(self) -> None:
        for program in reversed(self.programs):
            program.kill()

    def report(self) -> str:
        return "\n\n".join(program.tail() for program in self.programs)


def bare_environment(folder: Path) -> dict[str, str]:
    """An environment without anybody's AWS settings, proxies or profile."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(folder),
        "NO_COLOR": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "RUST_BACKTRACE": "1",
    }
