"""The machine and its processes: cores, what they are told apart by, and what a process costs.

Processor time of a client that ends is the kernel's own account of it (`wait4`, user + system). Of one that runs
on it is the scheduler's count per thread, in nanoseconds, since `/proc/PID/stat` counts in hundredths of a second.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cores:
    """Which core the server has, and which the clients. Without a second core the two share one."""

    server: int
    client: int

    @staticmethod
    def find() -> Cores:
        """The first two cores this process may use; `BENCH_CORES=SERVER,CLIENT` names others."""
        given = os.environ.get("BENCH_CORES")
        usable = [int(core) for core in given.split(",")] if given else sorted(os.sched_getaffinity(0))
        return Cores(usable[0], usable[1] if len(usable) > 1 else usable[0])


def on_core(core: int | None) -> Callable[[], None]:
    """What a child does before it becomes the program: it goes to its core, or to all of them."""
    cores = {core} if core is not None else set(range(os.cpu_count() or 1))
    return lambda: os.sched_setaffinity(0, cores)


@dataclass(frozen=True)
class Ended:
    """A program that ran to its end."""

    status: int
    stdout: str
    stderr: str
    seconds: float
    cpu_seconds: float


def run(
    command: Sequence[str | Path],
    core: int | None,
    scratch: Path,
    environment: Mapping[str, str] | None = None,
    patience_seconds: float = 120,
) -> Ended:
    """Runs a program to its end. Its output goes through files, so that nobody has to read beside it."""
    out, err = scratch / "stdout.txt", scratch / "stderr.txt"
    began = time.monotonic()
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, **(environment or {})},
            preexec_fn=on_core(core),
        )
        signal.signal(signal.SIGALRM, lambda *_: process.kill())
        signal.setitimer(signal.ITIMER_REAL, patience_seconds)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return Ended(
        process.returncode,
        out.read_text(errors="replace"),
        err.read_text(errors="replace"),
        time.monotonic() - began,
        usage.ru_utime + usage.ru_stime,
    )


class Running:
    """A program that is ended when it is no longer needed."""

    def __init__(
        self,
        command: Sequence[str | Path],
        core: int | None,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(environment or {})},
                preexec_fn=on_core(core),
            )

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def must_run(self) -> None:
        """Fails with the program's own words when it has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.process.args[0]} ended: {self.log.read_text(errors='replace')[-500:]}")

    def wait_until(self, is_ready: Callable[[], bool], patience_seconds: float = 20) -> None:
        """Waits until the program serves."""
        until = time.monotonic() + patience_seconds
        while not is_ready():
            self.must_run()
            if time.monotonic() > until:
                raise RuntimeError(f"{self.process.args[0]} does not serve: {self.log.read_text()[-500:]}")
            time.sleep(0.02)


class Account:
    """What a process that runs on has spent since now: processor time and wake-ups of all its threads.

    A thread takes its count with it when it ends, so `look` must be called now and then, and the last count of each
    thread is kept.
    """

    def __init__(self, pid: int) -> None:
        self._tasks = Path(f"/proc/{pid}/task")
        self._counts: dict[str, tuple[int, int]] = {}
        self.look()
        self._before = self._sums()
        self._began = time.monotonic()

    def look(self) -> None:
        for task in self._tasks.iterdir():
            try:
                on_cpu_ns = int((task / "schedstat").read_text().split()[0])
                status = (task / "status").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            switches = next(line for line in status.splitlines() if line.startswith("voluntary_ctxt_switches"))
            self._counts[task.name] = (on_cpu_ns, int(switches.split()[1]))

    def _sums(self) -> tuple[int, int]:
        return sum(c[0] for c in self._counts.values()), sum(c[1] for c in self._counts.values())

    def spent(self) -> Spent:
        self.look()
        on_cpu_ns, switches = self._sums()
        return Spent(
            time.monotonic() - self._began, (on_cpu_ns - self._before[0]) / 1e9, switches - self._before[1]
        )


@dataclass(frozen=True)
class Spent:
    """What a process spent in a span of time."""

    seconds: float
    cpu_seconds: float
    wakeups: int

    @property
    def share_of_core(self) -> float:
        return self.cpu_seconds / self.seconds


def load_average() -> str:
    """The load average over a minute, as the kernel writes it."""
    return Path("/proc/loadavg").read_text().split()[0]


def describe(cores: Cores) -> str:
    """What the figures were taken on."""
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in cpuinfo if line.startswith("model name")), os.uname().machine)
    memory_kib = int(Path("/proc/meminfo").read_text().split()[1])
    pinning = f"the server on core {cores.server}, the clients on core {cores.client}"
    if cores.server == cores.client:
        pinning = "server and clients on ONE core: the figures are of no worth"
    return (
        f"{model}, {os.cpu_count()} cores, {memory_kib / 1024 / 1024:.1f} GiB of memory, "
        f"Linux {os.uname().release}; {pinning}"
    )
