"""What an agent survives, on the real binary against the simulated hub: killed and started again, ended under load, a reload
every second, STS gone for two lives of its sessions. Each prints the metrics before and after. `scripts/show-it-holds` runs
them long; that half of the zones is lost is in network/test_firewall.py."""

from __future__ import annotations

import os
import signal
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from agent import Metrics
from holding import (
    Books,
    Door,
    HeldScrape,
    Setting,
    api_id,
    at_rest,
    most_in_a_second,
    moved,
    own_costs,
    places,
    probe,
    spoke,
    table,
    world,
)
from processes import Launcher, wait_until
from reloading import names_of, reload

LONG = os.environ.get("SHOW_IT_HOLDS") == "long"


def test_kill_9_and_a_new_start(binary: Path, launcher: Launcher) -> None:
    """Killed with SIGKILL and started again: counters from zero, the same places in the interval, no burst, books that balance."""
    every, spokes = (10, 50) if LONG else (2, 10)
    setting = Setting(launcher, binary, world(spokes))
    configured = [spoke(nth, probe(every=f"{every}s"), probe("again", every=f"{every}s")) for nth in range(spokes)]
    targets = 2 * spokes
    agent = setting.start(configured)
    # Long enough that each target is at its place: its first attempt may go before.
    first_round = every + 3
    time.sleep(first_round)
    agent.wait_for_attempts(2 * targets, 3 * every + 30)
    before, counted_before = at_rest(agent, setting)
    was = places(agent.metrics(), every)
    assert before.reasons.keys() == {"ok/none"} and counted_before == before.ended
    sts_before = setting.sts_calls()

    agent.program.popen.send_signal(signal.SIGKILL)
    assert agent.program.wait(5) == -signal.SIGKILL
    at_kill, sts_at_kill = setting.requests(), setting.sts_calls()
    again = setting.start(configured, "again")
    fresh = Books.of(again.metrics())
    assert fresh.due <= targets and fresh.asked == spokes
    per_half_second, seen, end = [], setting.requests(), time.monotonic() + 2 * every
    while time.monotonic() < end:
        time.sleep(0.5)
        now = setting.requests()
        per_half_second.append(now - seen)
        seen = now
    again.wait_for_attempts(2 * targets, 2 * every + 30)
    after, counted = at_rest(again, setting)
    shift = moved(was, places(again.metrics(), every), every, together=True)
    print(
        table(
            f"kill -9 and a new start: {targets} targets every {every} s",
            before=before.rows() | {"counted by the hub": counted_before, "calls to STS": sts_before},
            at_the_new_start=fresh.rows() | {"counted by the hub": 0, "calls to STS": setting.sts_calls() - sts_at_kill},
            after=after.rows()
            | {
                "counted by the hub": counted - at_kill,
                "calls to STS": setting.sts_calls() - sts_at_kill,
                "most requests in half a second": max(per_half_second),
                "moved within the interval, s": round(shift, 3),
            },
        )
    )
    assert after.ended == counted - at_kill and after.missed == after.unexpected == 0
    assert after.due < before.due + counted, "counters begin at zero"
    assert setting.sts_calls() - sts_at_kill <= spokes + 1, "each role is asked for once, and maybe who the agent is"
    # Evenly spread it were a quarter of a second's arrivals; hashed places cluster a little.
    assert max(per_half_second) <= targets / 2, per_half_second
    assert shift < every / 10 + 0.2, "the targets are not at their places towards each other"
    assert again.program.terminate() == 0


def test_sigterm_under_full_load(binary: Path, launcher: Launcher) -> None:
    """SIGTERM in the midst of hundreds of requests: exit 0 within the deadline, the last scrape has all, the hub counted the same."""
    spokes, rate = (5, 80) if LONG else (4, 25)
    setting = Setting(launcher, binary, world(spokes, latency="400ms"))
    configured = [spoke(nth, probe("steady", rate=f"{rate}/s")) for nth in range(spokes - 1)]
    configured.append(spoke(spokes - 1, probe(every="1s")))
    sections: dict[str, object] = {}
    if LONG:
        # A load begins at a whole minute of the wall clock, and no sooner than two minutes after the agent's start.
        at = datetime.now(timezone.utc) + timedelta(seconds=190)
        load = {"name": "drill", "probe": f"spoke-{spokes - 1}/hoot/hello", "stages": [{"to": "60/s", "for": "1s"}, {"hold": "10m"}]}
        sections["loads"] = [load | {"at": f"{at:%H:%M}"}]
    agent = setting.start(configured, **sections)
    if LONG:
        agent.program.wait_for("the load runs", lambda: agent.metrics().sum("load_running") == 1, 210)
    time.sleep(20 if LONG else 5)
    metrics = agent.metrics()
    before = Books.of(metrics)
    assert before.in_flight >= rate * 0.4, "it is under load"
    scrape = HeldScrape(agent)
    began = time.monotonic()
    agent.program.popen.send_signal(signal.SIGTERM)
    wait_until("drained", lambda: "drained: every attempt" in agent.program.stderr, 12, 0.01)
    last = scrape.finish()
    status = agent.program.wait(5)
    took = time.monotonic() - began
    after, counted = Books.of(last), setting.requests()

    def of_loads(metrics: Metrics) -> dict[str, float]:
        return {"load: ended": metrics.sum("load_requests_total"), "load: missed": metrics.sum("load_missed_total")}

    print(
        table(
            f"SIGTERM under load: {spokes - 1} probes of {rate}/s{' and a load of 60/s' if LONG else ''}, each answer after 400 ms",
            before=before.rows() | of_loads(metrics),
            last_scrape=after.rows() | of_loads(last) | {"counted by the hub": counted, "seconds to the end": round(took, 2), "exit status": status},
        )
    )
    assert status == 0 and took < 10
    assert after.in_flight == 0 and last.sum("in_flight_requests") == 0
    assert after.unsent == after.unexpected == 0
    assert counted == after.ended + of_loads(last)["load: ended"]
    assert after.due > before.due or after.ended > before.ended


def test_a_reload_every_second(binary: Path, launcher: Launcher) -> None:
    """Reloads one after the other, by SIGHUP and POST, each with another change: what stays loses no attempt and no place, nothing grows."""
    times, pause, every = (60, 1.0, 5) if LONG else (12, 0.4, 2)
    kept, guest = 5, 5
    setting = Setting(launcher, binary, world(kept + 1))

    def configured(nth: int) -> list[dict]:
        spokes = [spoke(at, probe(every=f"{every}s"), labels={"round": f"r{nth % 3}" if at == 0 else "r"}) for at in range(kept)]
        # A guest comes and goes, and is another each time it comes.
        return spokes + ([spoke(guest, probe(every=f"{1 + nth % 3}s"))] if nth % 2 else [])

    agent = setting.start(configured(0))
    names = {f"spoke-{at}" for at in range(kept)}
    ours = [api_id(at) for at in range(kept)]
    time.sleep(every + 1)
    agent.wait_for_attempts(2 * kept, 3 * every + 20)
    before, was, costs = Books.of(agent.metrics()), places(agent.metrics(), every), own_costs(agent)
    early = costs
    for nth in range(1, times + 1):
        setting.write(configured(nth))
        wanted = names | ({f"spoke-{guest}"} if nth % 2 else set())
        if nth % 3:
            status, said = reload(agent)
            assert status == 200, said
        else:
            agent.program.popen.send_signal(signal.SIGHUP)
        agent.program.wait_for("the reload", lambda: names_of(agent) == wanted, 10)
        if nth == min(10, times // 2):
            early = own_costs(agent)
        time.sleep(pause)
    setting.write(configured(0))
    assert reload(agent)[0] == 200
    # A round without reloads, so that each target was at its place once more.
    time.sleep(every + 1)
    after, counted = at_rest(agent, setting, *ours)
    metrics, end = agent.metrics(), own_costs(agent)
    shift = moved(was, places(metrics, every), every)
    print(
        table(
            f"{times} reloads, {pause} s between each: {kept} targets that stay every {every} s, one that comes and goes",
            before=before.rows() | costs,
            after_some={**early},
            after=after.rows()
            | {"counted by the hub": counted, "moved within the interval, s": round(shift, 3)}
            | end
            | {"panics": metrics.sum("task_panics_total")},
        )
    )
    assert after.ended == counted and after.missed == after.unexpected == 0, after
    assert after.reasons.keys() == {"ok/none"}
    assert shift < 0.5, "a target that stayed has another place"
    assert metrics.sum("task_panics_total") == 0 and metrics.sum("config_last_reload_successful") == 1
    assert end["resident MiB"] < early["resident MiB"] + 8 and end["open files"] <= early["open files"] + 8
    assert end["threads"] <= early["threads"] + 4
    assert agent.program.terminate() == 0


def test_sts_is_gone_for_two_lives_of_its_sessions(binary: Path, launcher: Launcher, closing) -> None:
    """STS gone for twice the life of a session: used to its end and no longer, then said so; unsigned probes go on; no stampede after."""
    life, spokes = (60, 10) if LONG else (6, 4)
    door = closing(Door())
    setting = Setting(launcher, binary, world(spokes, session_life=f"{life}s"), door.url)
    door.leads_to(setting.hub.sts_url)
    unsigned = probe("unsigned", every="1s", **{"as": "anonymous"}, expect={"denied": True})
    agent = setting.start([spoke(nth, probe(every="1s"), unsigned) for nth in range(spokes)])
    time.sleep(life if LONG else 5)
    before, was = Books.of(agent.metrics(), probe="hello"), places(agent.metrics(), 1.0, probe="hello")
    assert before.reasons.keys() == {"ok/none"}

    def column(books: Books, knocks: list[float]) -> dict[str, object]:
        metrics = agent.metrics()
        return books.rows() | {
            "unsigned: ended": metrics.sum("requests_total", probe="unsigned"),
            "unsigned: up": metrics.sum("up", probe="unsigned"),
            "up": metrics.sum("up", probe="hello"),
            "fault of sts": metrics.sum("fault", scope="sts"),
            "connections to STS": len(knocks),
            "most of these in a second": most_in_a_second(knocks),
        }

    columns = {"before": column(before, door.knocks)}
    door.open = False
    shut_at, knocked = time.monotonic(), len(door.knocks)
    time.sleep(2 * life)
    during = Books.of(agent.metrics(), probe="hello")
    columns["two_lives_later"] = column(during, door.knocks[knocked:])
    assert agent.metrics().sum("up", probe="hello") == 0
    assert agent.metrics().sum("up", probe="unsigned") == spokes, "who needs no credentials never noticed"
    assert set(during.reasons) <= {"ok/none", "unsent/credentials_expired", "unsent/assume_role_failed"}, during.reasons
    knocks = [at for at in door.knocks[knocked:] if at > shut_at]
    assert len(knocks) >= spokes, "it tried"
    assert most_in_a_second(knocks) <= 10 * spokes, "and not without end"

    door.open = True
    opened, knocked = time.monotonic(), len(door.knocks)
    most = setting.most_sts_calls(lambda: agent.metrics().sum("up", probe="hello") == spokes, 75)
    well_after = time.monotonic() - opened
    assert most <= spokes + 1, "more than one call for each role at once were a stampede"
    time.sleep(3)
    after = Books.of(agent.metrics(), probe="hello")
    columns["after"] = column(after, door.knocks[knocked:])
    columns["after"]["most calls to STS in 250 ms"] = most
    columns["after"]["seconds until all were well"] = round(well_after, 1)
    shift = moved(was, places(agent.metrics(), 1.0, probe="hello"), 1.0)
    columns["after"]["moved within the interval, s"] = round(shift, 3)
    print(table(f"STS gone for twice {life} s: {spokes} roles, a signed and an unsigned probe of each every 1 s", **columns))
    # Never with what had ended: the gateway would have said so.
    assert not {reason for reason in after.reasons if "token" in reason or reason.startswith("denied")}, after.reasons
    assert 0 <= after.in_flight <= 2 * spokes and after.missed == 0
    assert agent.program.terminate() == 0


def test_a_lost_attempt_and_a_lost_place_are_noticed() -> None:
    """Seeded errors: books with an attempt too few do not balance, and a target at another place in its interval is told."""
    lines = ['spokeprobe_due_attempts_total{spoke="a"} 5', 'spokeprobe_requests_total{outcome="ok",reason="none",spoke="a"} 3', ""]
    metrics = Metrics("\n".join(lines))
    assert Books.of(metrics).in_flight == 2
    before = {"a/hello": 0.1, "b/hello": 9.9, "c/hello": 5.0}
    later = {name: (place + 3) % 10 for name, place in before.items()}
    assert moved(before, later, 10, together=True) < 1e-9 and abs(moved(before, later, 10) - 3) < 1e-9
    assert moved(before, later | {"c/hello": 0.0}, 10, together=True) > 1
    assert most_in_a_second([0.0, 0.5, 0.9, 1.4, 3.0]) == 3
