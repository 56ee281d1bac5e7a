"""The JSON report of a load against its published schema, checked by a validator that none of us wrote."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs/load-report.schema.json").read_text())
# Unit tests hold that the program writes exactly these.
REPORTS = ["load-report.json", "load-report-stopped.json"]


def report(name: str) -> dict:
    return json.loads((ROOT / "tests/golden" / name).read_text())


def problems(value: object) -> list[str]:
    validator = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def test_the_schema_is_one() -> None:
    """The published schema is itself valid."""
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", REPORTS)
def test_reports_fit(name: str) -> None:
    """What the program writes fits the published schema."""
    assert problems(report(name)) == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("sent",), None),
        (("missed",), -1),
        (("schema_version",), 2),
        (("signatures",), "sometimes"),
        (("end",), {"how": "exploded"}),
        (("stages",), []),
        (("latency", "response", "p99_seconds"), "18 ms"),
        (("latency", "response", "curve"), [[50]]),
        (("results",), [{"code": 200}]),
    ],
)
def test_a_wrong_value_is_caught(place: tuple[str, ...], value: object) -> None:
    """Seeded error: a report with one wrong value does not fit."""
    broken = copy.deepcopy(report("load-report.json"))
    at = broken
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    assert problems(broken)
