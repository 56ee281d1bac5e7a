"""What scripts/bench-peers makes of the words of other programs, and when it calls a goal met.

The texts are what wrk 4.1, hey 0.1.4 and oha 1.16 printed; a run itself takes minutes and is for people to start.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benches" / "peers"))

import clients  # noqa: E402
import table  # noqa: E402
from machine import Ended  # noqa: E402

NOWHERE = Path("nowhere")


def ended(stdout: str) -> Ended:
    return Ended(status=0, stdout=stdout, stderr="", seconds=2.0, cpu_seconds=0.5)


WRK = """Running 1s test @ https://127.0.0.1:33931/api/
  1 threads and 64 connections
    Latency     5.85ms   10.27ms 142.01ms   97.74%
  12889 requests in 1.09s, 3.12MB read
{troubles}Requests/sec:  11843.17
"""

HEY = """
Summary:
  Total:\t1.0117 secs
  Requests/sec:\t3485.2154

Response time histogram:
  0.002 [1]\t|
  0.015 [1268]\t|■■■

Status code distribution:
  [200]\t3526 responses
{troubles}"""


def oha(codes: dict[str, int], errors: dict[str, int]) -> str:
    return json.dumps({"summary": {"total": 2.5}, "statusCodeDistribution": codes, "errorDistribution": errors})


@pytest.mark.parametrize(
    ("client", "text", "requests", "seconds", "wrong"),
    [
        (clients.wrk(NOWHERE, ""), WRK.format(troubles=""), 12889, 1.09, 0),
        (
            clients.wrk(NOWHERE, ""),
            WRK.format(
                troubles="  Socket errors: connect 0, read 2, write 1, timeout 4\n  Non-2xx or 3xx responses: 30\n"
            ),
            12889,
            1.09,
            37,
        ),
        (clients.hey(NOWHERE), HEY.format(troubles=""), 3526, 1.0117, 0),
        (
            clients.hey(NOWHERE),
            HEY.format(troubles="  [403]\t5 responses\n\nError distribution:\n  [7]\tGet: connection refused\n"),
            3526,
            1.0117,
            12,
        ),
        (clients.oha(NOWHERE, signed=True), oha({"200": 40}, {}), 40, 2.5, 0),
        (clients.oha(NOWHERE, signed=False), oha({"200": 40, "503": 2}, {"refused": 3}), 40, 2.5, 5),
    ],
)
def test_the_words_of_each_client(client: clients.Client, text: str, requests: int, seconds: float, wrong: int) -> None:
    """Requests, time and everything that was not a 200 are read from what each client prints."""
    told = client.read(ended(text))
    assert (told.requests, told.seconds, told.wrong) == (requests, seconds, wrong)


def test_what_is_not_as_expected_is_wrong() -> None:
    """Of a load run of ours, attempts that were sent and have no expected result count as wrong."""
    said = {
        "planned_seconds": 4.0,
        "sent": 100,
        "missed": 3,
        "results": [{"expected": True, "count": 90}, {"expected": False, "count": 8}],
    }
    told = clients.spokeprobe(NOWHERE).read(ended(json.dumps(said)))
    assert (told.requests, told.wrong) == (90, 10)


@pytest.mark.parametrize(
    ("per_second", "server_share", "wrong", "flaw"),
    [
        (9_950.0, 0.79, 0, None),
        (9_950.0, 0.81, 0, "nginx took 81% of its core"),
        (9_850.0, 0.10, 0, "9850/s instead of 10000/s"),
        (10_000.0, 0.10, 1, "1 requests were not answered with 200"),
    ],
)
def test_a_round_that_says_nothing_is_not_counted(
    per_second: float, server_share: float, wrong: int, flaw: str | None
) -> None:
    """A busy server, another rate than asked and wrong answers make a round invalid."""
    sample = clients.Sample(1, per_second, 20.0, 0.2, server_share, wrong, {})
    assert sample.flaw(10_000) == flaw


def test_full_speed_is_judged_only_on_a_quiet_machine() -> None:
    """At full speed client or server must have had its core for itself; then a busy server is no flaw."""

    def flaw(client_share: float, server_share: float) -> str | None:
        return clients.Sample(1, 30_000.0, 20.0, client_share, server_share, 0, {}).flaw(None)

    assert flaw(0.95, 0.3) is None
    assert flaw(0.5, 0.97) is None
    assert flaw(0.5, 0.3) == "others worked as well: it had 50% of its core, nginx 30%"


def test_a_row_tells_median_and_extremes() -> None:
    """The table shows what was measured, and a row that was not measured cannot look met."""
    row = table.Row("figure", "≤ 0.6 ×", table.spread([12.0, 10.0, 11.0], " µs"), met=True)
    assert row.markdown() == "| figure | ≤ 0.6 × | 11.0 µs (10.0–12.0) |  |  | met |"
    assert "**not measured**" in table.Row("figure", "≤ 0.6 ×").markdown()
    assert table.ratios([1.0, 3.0], [2.0, 4.0]) == [0.5, 0.75]
