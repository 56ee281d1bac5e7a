"""Several real agents that share the targets: shares by DNS and by hand, members that die and come, DNS that is gone.

Answers of DNS count when two in a row agree, and they are 15 s apart; so the stories run side by side, from the first
test on, and each test waits for the end of its own.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
from members import HOST, SERVICE, TWO_REFRESHES, Dnsmasq, Group, start_hub, why_not
from processes import Launcher
from reloading import reload

pytestmark = pytest.mark.timeout(150)


def join_and_leave(group: Group, members: dict) -> str:
    """Two share, one is killed and replaced, two come in its place."""
    a, b, c = group.addresses
    group.dns.names([a, b])
    first, second = group.start(a, members), group.start(b, members)
    group.see(2)
    before = group.share_out()
    assert all(before.values()), before
    group.come_in()
    requests = group.books_agree()
    known = first.members
    assert len(known["me"]) == 1 and known["me"] != second.members["me"] and known["problem"] is None

    group.kill(second)
    killed = time.monotonic()
    group.dns.names([a])
    group.see(1, TWO_REFRESHES)
    taken_over = time.monotonic() - killed
    group.share_out()
    group.come_in()

    group.dns.names([a, b, c])
    second, third = group.start(b, members), group.start(c, members)
    came = time.monotonic()
    # Who comes shares at once; who is there already probes on until it has seen them twice.
    group.see(3, TWO_REFRESHES)
    moved_back = time.monotonic() - came
    after = group.share_out()
    assert all(after.values()), after
    assert after[a] <= before[a] and after[b] <= before[b], "nothing moves between two that stay"
    group.come_in()

    first.program.wait_for("the first member begins loads", lambda: first.members["first"], 45)
    assert not second.members["first"] and not third.members["first"]
    for agent in group.agents:
        assert agent.metrics().sum("task_panics_total") == 0
        assert agent.program.terminate() == 0
    return f"{requests} requests counted alike; taken over {taken_over:.0f} s after kill -9, moved back {moved_back:.0f} s after"


def by_addresses(group: Group) -> str:
    return join_and_leave(group, {"dns": HOST})


def by_service(group: Group) -> str:
    return join_and_leave(group, {"dns": SERVICE})


def replicas(group: Group) -> str:
    """The two start at different moments, so only the time of day can lead them to places half an interval apart."""
    a, b, _ = group.addresses
    group.dns.names([a, b])
    members = {"dns": HOST, "replicas": 2}
    one = group.start(a, members)
    time.sleep(group.interval * 0.2)
    other = group.start(b, members)
    group.see(2)
    group.share_out(owners=2)

    def apart() -> list[float]:
        moments = [each.last_attempts() for each in (one, other)]
        if not all(moments[0].values()) or not all(moments[1].values()):
            return []
        at = [{api: datetime.fromisoformat(text).timestamp() for api, text in each.items()} for each in moments]
        return [(at[1][api] - at[0][api]) % group.interval / group.interval for api in at[0]]

    found = one.program.wait_for("both have asked every api", apart, 4 * group.interval)
    # The end of an attempt, on a machine that is busy.
    assert all(abs(each - 0.5) < 0.15 for each in found), found
    group.come_in(times=2, intervals=2)
    group.books_agree()
    assert [each.members["replicas"] for each in group.agents] == [2, 2]
    return f"{min(found):.2f} to {max(found):.2f} of an interval apart"


def dns_gone(group: Group) -> str:
    a, b, _ = group.addresses
    members = {"dns": SERVICE}
    group.dns.names([a, b])
    agents = [group.start(each, members) for each in (a, b)]
    group.see(2)
    before = group.share_out()

    group.dns.silent = True
    for agent in agents:
        stays = "what is known of them stays"
        agent.program.wait_for("it says so", lambda agent=agent: stays in (agent.members["problem"] or ""), 60)
    assert group.share_out() == before
    group.come_in()
    group.books_agree()
    for agent in agents:
        known = agent.members
        assert (known["state"], len(known["names"]), known["first"]) == ("sharing", 2, False)
        assert agent.metrics().sum("members") == 2
        assert "DNS does not name the members" in agent.page("/")[1]

    group.dns.silent = False
    for agent in agents:
        agent.program.wait_for("all is well", lambda agent=agent: agent.members["problem"] is None, TWO_REFRESHES)
    assert group.share_out() == before
    return "two refreshes and more without an answer moved nothing"


def never_any_dns(group: Group) -> str:
    a, b, _ = group.addresses
    agents = [group.start(each, {"dns": HOST}) for each in (a, b)]
    for agent in agents:
        assert (agent.members["state"], agent.apis) == ("waiting", set())
        agent.program.wait_for("it says so", lambda agent=agent: "DNS does not name the members yet" in agent.page("/")[1], 8)
    for agent in agents:
        agent.program.wait_for("it stands in", lambda agent=agent: agent.members["state"] == "stand_in", TWO_REFRESHES)
    group.share_out(owners=2)
    group.come_in(times=2)
    for agent in agents:
        assert agent.members["first"] is False and agent.metrics().sum("members") == 0
        assert "this agent probes every target" in agent.program.output
        assert "it probes every target, as others may do" in agent.page("/")[1]
    group.books_agree()
    # The first answer that names it ends that.
    group.dns.names([a, b])
    group.see(2)
    group.share_out()
    group.come_in()
    return "both probed everything until the first answer"


def by_hand(group: Group) -> str:
    """Without DNS. Both are told the same first, which each assertion of the other stories has to notice."""
    a, b, _ = group.addresses
    for address in (a, b):
        group.start(address, {"shard": "1/2"})
    group.see(2)
    with pytest.raises(AssertionError, match="agents that have each api, wanted 1"):
        group.share_out()
    with pytest.raises(AssertionError, match="requests in .* wanted"):
        group.come_in()
    group.write(b, {"shard": "2/2"})
    status, said = reload(group.agents[1])
    assert status == 200, said
    group.share_out()
    group.come_in()
    group.agents[0].program.wait_for("the first begins loads", lambda: group.agents[0].members["first"], 5)
    assert not group.agents[1].members["first"]
    return "both told 1/2: seen as doubled and as missing"


STORIES: dict[str, Callable[[Group], str]] = {
    each.__name__: each for each in (by_addresses, by_service, replicas, dns_gone, never_any_dns, by_hand)
}


class Stories:
    """The stories as they run. `launcher` is that of the one that was waited for, for the report of a failure."""

    def __init__(self, binary: Path, dnsmasq: Path, launcher: Launcher, folder: Callable[[str], Path]) -> None:
        self.launcher = launcher
        hub = start_hub(launcher, binary, list(range(1, len(STORIES) + 1)))
        self.groups: dict[str, Group] = {}
        self.running: dict[str, Future[str]] = {}
        self.threads = ThreadPoolExecutor(len(STORIES))
        for nth, (name, story) in enumerate(STORIES.items(), 1):
            group = Group(nth, binary, Launcher(folder(name)), hub, interval=6 if story is replicas else 2)
            if story is by_service:
                group.dns = Dnsmasq(group.dns.address, dnsmasq, group.launcher)
            self.groups[name] = group
            self.running[name] = self.threads.submit(story, group)

    def end_of(self, story: Callable[[Group], str]) -> None:
        self.launcher = self.groups[story.__name__].launcher
        print(self.running[story.__name__].result(timeout=140))

    def close(self) -> None:
        for group in self.groups.values():
            group.close()
        self.threads.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def stories(
    binary: Path, tool: Callable[[str], Path], shared_launcher: Launcher, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stories]:
    """All stories, begun at once. CI=true allows no skip, unless the kernel itself forbids namespaces."""
    reason = why_not()
    if reason:
        print(f"!! skipped: agents that share targets: {reason}", file=sys.stderr)
        if os.environ.get("CI") == "true" and not reason.startswith("the kernel forbids"):
            pytest.fail(f"{reason}, and CI=true allows no skips")
        pytest.skip(reason)
    tool("unshare")
    running = Stories(binary, tool("dnsmasq"), shared_launcher, tmp_path_factory.mktemp)
    yield running
    running.close()


def test_shares_told_by_hand(stories: Stories) -> None:
    """Two shards divide the targets; both told the same shard is noticed by each assertion used here."""
    stories.end_of(by_hand)


def test_two_replicas_lie_half_an_interval_apart(stories: Stories) -> None:
    """With replicas both agents probe each target, half an interval apart by the clock on the wall."""
    stories.end_of(replicas)


def test_without_any_dns_each_agent_does_everything(stories: Stories) -> None:
    """No answer since the start: both probe everything and say so; the first answer ends that."""
    stories.end_of(never_any_dns)


def test_what_is_known_stays_when_dns_is_gone(stories: Stories) -> None:
    """A silent resolver moves nothing: the shares stay, and the page says why."""
    stories.end_of(dns_gone)


def test_agents_named_by_addresses_share_leave_and_come(stories: Stories) -> None:
    """A records: each target by one agent; after kill -9 the other has all within two refreshes; who comes takes its share."""
    stories.end_of(by_addresses)


def test_agents_named_by_a_service_share_leave_and_come(stories: Stories) -> None:
    """The same with the SRV records of dnsmasq."""
    stories.end_of(by_service)
