"""What was measured, as Markdown: a row per goal, and what must be known to read it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Row:
    """One goal. `met` is `None` when it could not be measured; then `ours` says why."""

    figure: str
    goal: str
    ours: str = ""
    peers: str = ""
    ratio: str = ""
    met: bool | None = None
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        verdict = "**not measured**" if self.met is None else "met" if self.met else "**not met**"
        return f"| {self.figure} | {self.goal} | {self.ours} | {self.peers} | {self.ratio} | {verdict} |"


def table(rows: Sequence[Row]) -> str:
    head = "| figure | goal | ours | peers | ratio | |\n|---|---|---|---|---|---|"
    return "\n".join([head, *(row.markdown() for row in rows)])


def number(value: float) -> str:
    """Three significant digits, thousands apart."""
    if abs(value) < 10:
        return f"{value:.2f}"
    if abs(value) < 100:
        return f"{value:.1f}"
    return f"{value:,.0f}"


def spread(values: Sequence[float], unit: str = "", scale: float = 1.0) -> str:
    """Median and extremes."""
    scaled = [value * scale for value in values]
    text = number(statistics.median(scaled)) + unit
    return text if len(scaled) == 1 else f"{text} ({number(min(scaled))}–{number(max(scaled))})"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Round by round, so that what slowed the machine for a while slowed both."""
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]
