"""What a real kernel does to connections, and what the agent says of it: packets dropped, refused, unreachable, cut off; a
zone lost. Every case asserts first that its reason is not there before its rule is."""

from __future__ import annotations

from lab import ZONES, Books, Lab, hoot, payments, probe

FRESH = {"connection": "fresh"}
TO_HUB = "tcp dport 8443"


def test_every_way_to_lose_a_connection_has_its_reason(lab: Lab) -> None:
    """nftables drops, resets, rejects as unreachable, cuts off and goes silent: each has its reason, and ends with its rule."""
    lab.firewall()
    lab.names({"a1b2c3d4e5": [ZONES[0]]})
    spokes = [payments([hoot(probe("fresh", **FRESH), probe("kept"))])]
    agent = lab.start_agent(lab.configuration(spokes))
    agent.becomes("ok/none", spoke="payments")
    refused = "unreachable/connect_refused"
    for rule, wanted in (
        (f"{TO_HUB} drop", "unreachable/connect_timeout"),
        (f"{TO_HUB} reject with tcp reset", refused),
        (f"{TO_HUB} reject with icmp host-unreachable", refused),
        (f"{TO_HUB} reject with icmp admin-prohibited", refused),
        # Cut off once it is made: at the first bytes of the handshake, or at the request, which is the longest packet.
        (f"{TO_HUB} ct state established meta length > 100 reject with tcp reset", "unreachable/tls"),
        (f"{TO_HUB} ct state established meta length > 900 reject with tcp reset", "unreachable/reset"),
    ):
        agent.is_not(wanted, probe="fresh")
        lab.firewall(rule)
        agent.becomes(wanted, probe="fresh")
        assert agent.metrics().sum("up", probe="fresh") == 0
        lab.firewall()
        agent.becomes("ok/none", spoke="payments")
    # Of the probe that keeps its connection the first rule met one that was there: written, and then silence.
    assert agent.metrics().reasons(probe="kept").get("failed/response_timeout", 0) >= 1
    books = Books(agent.metrics(), spoke="payments")
    print(books.line())
    assert 0 <= books.in_flight() <= 2, books.line()
    assert agent.program.terminate() == 0


def test_half_of_the_zones_is_lost_and_comes_back(lab: Lab) -> None:
    """One of two zones is dropped: its own targets time out, the other's never notice, and every attempt is accounted for."""
    lab.firewall()
    lab.names({"a1b2c3d4e5": ZONES})
    zones = dict(zip(("euw1-az1", "euw1-az2"), ZONES, strict=True))
    # By name there is time enough to try the other address: a connection to the first is given up after some seconds.
    by_name = probe("any", every="4s", timeout="8s", **FRESH)
    spokes = [payments([hoot(probe("each", per_zone=True, **FRESH), by_name)])]
    agent = lab.start_agent(lab.configuration(spokes, zones=zones))
    agent.becomes("ok/none", spoke="payments")
    for zone in zones:
        agent.gauge_becomes("endpoint_up", lambda value: value == 1, zone=zone)
    lab.pause(5)
    metrics = agent.metrics()
    before = {zone: Books(metrics, zone=zone) for zone in zones} | {"by name": Books(metrics, probe="any")}
    lost = "unreachable/connect_timeout"
    agent.is_not(lost, zone="euw1-az2")

    lab.firewall(f"ip daddr {ZONES[1]} drop")
    agent.becomes(lost, zone="euw1-az2")
    agent.gauge_becomes("endpoint_up", lambda value: value == 0, zone="euw1-az2")
    lab.pause(12)
    metrics = agent.metrics()
    assert metrics.sum("endpoint_up", zone="euw1-az1") == 1
    average = metrics.sum("request_duration_seconds_sum", probe="any") / metrics.sum("request_duration_seconds_count", probe="any")
    print(f"by name, on average {average:.2f} s")
    during = {zone: Books(metrics, zone=zone) for zone in zones} | {"by name": Books(metrics, probe="any")}
    for zone in before:
        print(f"{zone} before: {before[zone].line()}; with one zone lost: {during[zone].line()}")
    for unhurt in ("euw1-az1", "by name"):
        assert set(during[unhurt].reasons) == {"ok/none"}, "the other zone never noticed, and a name leads to it"
    assert during["euw1-az1"].missed == before["euw1-az1"].missed
    assert set(during["euw1-az2"].reasons) == {"ok/none", lost}

    lab.firewall()
    agent.becomes("ok/none", spoke="payments")
    agent.gauge_becomes("endpoint_up", lambda value: value == 1, zone="euw1-az2")
    for zone in zones:
        books = Books(agent.metrics(), zone=zone)
        assert 0 <= books.in_flight() <= 1, books.line()
    assert agent.program.terminate() == 0
