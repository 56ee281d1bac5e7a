"""A real Prometheus and its promtool read the agent's metrics, and PromQL gives the answers an operator asks for."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from demonstration import Demonstration

LAW = (
    "sum(spokeprobe_due_attempts_total)"
    " - sum(spokeprobe_requests_total) - sum(spokeprobe_missed_attempts_total) - sum(spokeprobe_in_flight_requests)"
)


@pytest.fixture
def scraped(demonstration: Demonstration, tool: Callable[[str], Path]) -> Demonstration:
    """The demo, where a Prometheus scraped it."""
    print(subprocess.run([tool("prometheus"), "--version"], capture_output=True, text=True, timeout=20).stdout.split("\n")[0])
    assert demonstration.prometheus_url
    return demonstration


def promtool(tool: Callable[[str], Path], page: str) -> subprocess.CompletedProcess[str]:
    """What `promtool check metrics` says to a page."""
    return subprocess.run(
        [tool("promtool"), "check", "metrics"], input=page, capture_output=True, text=True, timeout=30, check=False
    )


def test_every_scrape_succeeds(scraped: Demonstration) -> None:
    """Prometheus's own `up` was 1 at every second of the run's end, and it took samples of hundreds of series."""
    assert set(scraped.query_range('up{job="spokeprobe"}', 8)) == {1}
    (series,) = scraped.query("scrape_samples_scraped")
    assert float(series["value"][1]) > 200
    (duration,) = scraped.query("scrape_duration_seconds")
    print(f"{series['value'][1]} samples in {float(duration['value'][1]) * 1000:.1f} ms")


def test_questions_of_an_operator(scraped: Demonstration) -> None:
    """Counts by outcome, the share that is up, quantiles of latency and the reason of each failure come out of PromQL."""
    outcomes = {row["metric"]["outcome"] for row in scraped.query("sum by (outcome) (spokeprobe_requests_total) > 0")}
    assert {"ok", "denied", "failed", "throttled", "unreachable", "unsent"} <= outcomes, outcomes
    (share,) = scraped.query("avg(spokeprobe_up)")
    assert 0 < float(share["value"][1]) < 1, "the demo shows both kinds"
    quantiles = scraped.query(
        "histogram_quantile(0.99, sum by (le, spoke) (rate(spokeprobe_request_duration_seconds_bucket[15s])))"
    )
    values = {row["metric"]["spoke"]: float(row["value"][1]) for row in quantiles}
    assert values.get("payments", 0) > 0, values
    rows = scraped.query('sum by (spoke, reason) (spokeprobe_last_outcome{outcome="denied",expected="false"})')
    assert len({row["metric"]["reason"] for row in rows}) >= 4, rows
    (joined,) = scraped.query(
        'sum(spokeprobe_up{spoke="payments"} * on (spoke) group_left (account) spokeprobe_spoke_info{account="012345678901"})'
    )
    assert float(joined["value"][1]) >= 1


def test_one_last_outcome_per_target(scraped: Demonstration) -> None:
    """Each target has exactly one `last_outcome`, and it agrees with `up`."""
    assert not scraped.query("count by (spoke, api, probe, zone) (spokeprobe_last_outcome) != 1")
    expected = 'count by (spoke, api, probe, zone) (spokeprobe_last_outcome{expected="true"})'
    contradictions = scraped.query(f"({expected}) unless on (spoke, api, probe, zone) (spokeprobe_up == 1)")
    # An attempt without a permit says nothing about the target.
    assert not contradictions, contradictions


def test_conservation_in_promql(scraped: Demonstration) -> None:
    """What was due is what ended, was missed or is in flight; a scrape reads its counters one after another, so give or take those in motion."""
    differences = scraped.query_range(LAW, 12)
    assert len(differences) >= 10
    assert 0 in differences, differences
    assert max(abs(difference) for difference in differences) <= 3, differences
    print(f"differences over 12 s: {differences}")


def test_conservation_notices_a_loss(scraped: Demonstration) -> None:
    """Seeded error: without the denied attempts the same law does not hold."""
    broken = LAW.replace("sum(spokeprobe_requests_total)", 'sum(spokeprobe_requests_total{outcome!="denied"})')
    assert 0 not in scraped.query_range(broken, 12)


def test_promtool_is_content(demonstration: Demonstration, tool: Callable[[str], Path]) -> None:
    """`promtool check metrics` has nothing to say about /metrics after traffic."""
    found = promtool(tool, demonstration.late.text)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", ""), found


def test_promtool_notices_errors(demonstration: Demonstration, tool: Callable[[str], Path]) -> None:
    """Seeded errors: a counter without `_total`, a metric without HELP and a broken line are reported."""
    page = demonstration.late.text
    linted = promtool(tool, page + "# HELP seeded_requests Seeded.\n# TYPE seeded_requests counter\nseeded_requests 1\n")
    assert linted.returncode == 3 and "counter metrics should have \"_total\" suffix" in linted.stderr, linted
    silent = promtool(tool, "\n".join(line for line in page.splitlines() if not line.startswith("# HELP spokeprobe_up ")) + "\n")
    assert silent.returncode == 3 and "spokeprobe_up no help text" in silent.stderr, silent
    broken = promtool(tool, page + "spokeprobe_up{spoke= 1\n")
    assert broken.returncode == 1 and "error while linting" in broken.stderr, broken
