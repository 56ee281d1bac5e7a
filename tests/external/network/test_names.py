"""A real resolver whose answers change: the agent follows, and what it must not follow it says."""

from __future__ import annotations

from lab import RESOLVER, SPARE_ADDRESS, ZONES, Lab, hoot, payments, probe

API = "a1b2c3d4e5"


def test_answers_that_change_are_followed(lab: Lab) -> None:
    """Two addresses become another one, a public one, none, silence: followed within the watch's round, each with its reason."""
    lab.firewall()
    lab.names({API: ZONES})
    agent = lab.start_agent(lab.configuration([payments([hoot(probe("fresh", connection="fresh"), probe("kept"))])]))
    agent.becomes("ok/none", spoke="payments")
    agent.gauge_becomes("endpoint_addresses", lambda value: value == 2)

    # Both old addresses are dead, so only whoever asks again gets an answer.
    lab.firewall(f"ip daddr {{ {ZONES[0]}, {ZONES[1]} }} tcp dport 8443 drop")
    agent.becomes("unreachable/connect_timeout", probe="fresh")
    agent.is_not("ok/none", probe="fresh")
    lab.names({API: [SPARE_ADDRESS]})
    agent.becomes("ok/none", spoke="payments")
    agent.gauge_becomes("endpoint_addresses", lambda value: value == 1)
    lab.firewall()

    # One of two is public: it is left out. With only that, nothing is sent.
    lab.names({API: ["52.95.110.1", ZONES[1]]})
    agent.gauge_becomes("endpoint_addresses", lambda value: value != 1)
    agent.becomes("ok/none", probe="fresh")
    agent.is_not("unreachable/dns_public_address", probe="fresh")
    lab.names({API: ["52.95.110.1"]})
    agent.becomes("unreachable/dns_public_address", probe="fresh")

    agent.is_not("unreachable/dns", probe="fresh")
    lab.names({"otherapi00": ZONES})
    agent.becomes("unreachable/dns", probe="fresh")
    lab.names({API: ZONES})
    agent.becomes("ok/none", spoke="payments")

    # The resolver is silent.
    agent.is_not("unreachable/dns", probe="fresh")
    lab.firewall(f"ip daddr {RESOLVER} udp dport 53 drop")
    agent.becomes("unreachable/dns", probe="fresh")
    lab.firewall()
    agent.becomes("ok/none", spoke="payments")
    assert agent.program.terminate() == 0
