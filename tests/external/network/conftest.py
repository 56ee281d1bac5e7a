"""The lab, one for each module of tests; skipped loudly where the machine has no namespaces to give."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab import Lab, why_not
from processes import Launcher


@pytest.fixture(scope="module")
def lab(binary: Path, tool: Callable[[str], Path], shared_launcher: Launcher) -> Iterator[Lab]:
    """The namespaces with a simulated hub. CI=true allows no skip, unless the kernel itself forbids namespaces."""
    reason = why_not()
    if reason:
        print(f"!! skipped: the network lab: {reason}", file=sys.stderr)
        if os.environ.get("CI") == "true" and not reason.startswith("the kernel forbids"):
            pytest.fail(f"{reason}, and CI=true allows no skips")
        pytest.skip(reason)
    for name in ("nft", "dnsmasq", "ip", "nsenter", "unshare", "curl"):
        tool(name)
    made = Lab(shared_launcher, binary, tool)
    yield made
    made.close()
