"""Reload of the real binary: SIGHUP, POST /-/reload, a changed file; broken ones change nothing."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from agent import HUB, HUB_KEYS, Agent, configuration, spoke, write_configuration
from processes import Launcher
from reloading import names_of, reload
from sts import SmallSts
from witness import gateway_answer

HELLO = [{"name": "hello", "request": "GET /", "every": "1s"}]
ACCOUNTS = {"a": "111122223333", "b": "222233334444", "c": "333344445555"}


class Running:
    """An agent and the file it reads."""

    def __init__(self, launcher: Launcher, binary: Path, urls: tuple[str, str], *options: str) -> None:
        self.folder, self.urls = launcher.folder, urls
        self.content = configuration(*urls, [])
        self.path = self.write("a")
        command = ["run", "--config", self.path, *options]
        program = launcher.start("run", binary, *command, environment=HUB_KEYS)
        self.agent = Agent(program, self.content["web"]["listen"]).wait_ready()
        self.program = program

    def write(self, *names: str, **sections: object) -> Path:
        spokes = [spoke(name, ACCOUNTS[name], HELLO) for name in names]
        # Put in its place whole, as a careful deployment does it.
        path = write_configuration(self.folder, {**self.content, **sections, "spokes": spokes}, "config.new")
        return path.replace(self.folder / "config.yaml")

    def runs(self, *names: str) -> bool:
        return names_of(self.agent) == set(names)


@pytest.fixture
def urls(serve, closing) -> tuple[str, str]:
    sts = closing(SmallSts([HUB]))
    return serve(lambda request: gateway_answer({"hello": "world"})).url, sts.url


def test_sighup_and_post_reload(binary: Path, launcher: Launcher, urls: tuple[str, str]) -> None:
    """SIGHUP and POST take a new file; counters of kept targets go on; problems come back as text and change nothing."""
    running = Running(launcher, binary, urls, "--watch-config", "off")
    agent, program = running.agent, running.program
    before = agent.wait_for_attempts(3, spoke="a").sum("requests_total", spoke="a")
    running.write("a", "b")
    program.popen.send_signal(signal.SIGHUP)
    program.wait_for("the added spoke runs", lambda: running.runs("a", "b"))
    assert agent.metrics().sum("requests_total", spoke="a") >= before
    agent.wait_for_attempts(1, spoke="b")

    running.write("b", "c")
    status, said = reload(agent)
    assert (status, said.splitlines()[0]) == (200, "1 added, 1 removed, 0 changed, 1 kept"), said
    assert running.runs("b", "c") and not agent.metrics().find("requests_total", spoke="a")

    running.write("b", "c", webb={})
    status, said = reload(agent)
    assert status == 422 and "webb" in said and "did you mean `web`" in said, said
    assert running.runs("b", "c") and agent.metrics().sum("config_last_reload_successful") == 0
    assert "webb" in str(agent.status()["configuration"]["refused"])
    running.write("b", "c", metrics={"buckets": [1, 2]})
    status, said = reload(agent)
    assert status == 409 and "metrics.buckets" in said and "restart" in said, said
    running.write("b", "c")
    assert reload(agent)[0] == 200
    assert agent.metrics().sum("config_last_reload_successful") == 1
    assert agent.status()["configuration"]["refused"] is None
    assert program.terminate() == 0


def test_a_changed_file_is_taken_by_itself(binary: Path, launcher: Launcher, urls: tuple[str, str]) -> None:
    """A replaced file is taken; one that is being written counts when it is whole; one that vanishes changes nothing."""
    running = Running(launcher, binary, urls, "--watch-config", "1s")
    agent, program = running.agent, running.program
    running.write("a", "b")
    program.wait_for("the new file is taken", lambda: running.runs("a", "b"), 20)

    # Slowly written: what is seen in between is broken, and never counts.
    whole = running.write("a", "b", "c").read_bytes()
    running.path.write_bytes(whole[:0])
    with running.path.open("ab", buffering=0) as file:
        for at in range(0, len(whole), len(whole) // 12 + 1):
            file.write(whole[at : at + len(whole) // 12 + 1])
            time.sleep(0.25)
    program.wait_for("the whole file is taken", lambda: running.runs("a", "b", "c"), 20)
    assert "is refused" not in program.stderr

    os.remove(running.path)
    program.wait_for("its absence shows", lambda: agent.status()["configuration"]["unreadable"], 20)
    time.sleep(3)
    assert running.runs("a", "b", "c") and agent.metrics().sum("config_last_reload_successful") == 1
    assert program.stderr.count("cannot be read; what was read before runs on") == 1
    running.write("c")
    program.wait_for("a new one is taken", lambda: running.runs("c"), 20)
    assert program.terminate() == 0


def test_a_reload_every_second_is_harmless(binary: Path, launcher: Launcher, urls: tuple[str, str]) -> None:
    """Thirty reloads, as fast as they are taken for long, the set of spokes changing each time: no attempt is lost from the books, the process does not grow, the end is clean."""
    running = Running(launcher, binary, urls)
    agent, program = running.agent, running.program
    sets = [("a", "b"), ("a", "b", "c"), ("a",), ("a", "c")]
    memory: list[float] = []
    for nth in range(30):
        running.write(*sets[nth % 4])
        status, said = reload(agent)
        assert status == 200, said
        assert running.runs(*sets[nth % 4])
        memory.append(agent.metrics().samples and next(s.value for s in agent.metrics().samples if s.name == "process_resident_memory_bytes"))
        time.sleep(0.55)
    metrics = agent.metrics()
    ended = metrics.sum("requests_total") + metrics.sum("missed_attempts_total")
    assert 0 <= metrics.sum("due_attempts_total") - ended <= 8
    assert metrics.sum("unexpected_results_total") == 0, metrics.reasons()
    assert metrics.sum("task_panics_total") == 0
    print(f"resident after 10 and 30 reloads: {memory[9] / 2**20:.1f} and {memory[-1] / 2**20:.1f} MiB")
    assert memory[-1] < memory[9] + 8 * 2**20
    assert program.terminate() == 0
