"""Asking an agent to read its configuration again, and what it runs then."""

from __future__ import annotations

import urllib.error
import urllib.request

from agent import Agent


def reload(agent: Agent, seconds: float = 30.0) -> tuple[int, str]:
    """POST /-/reload: status and text."""
    request = urllib.request.Request(f"{agent.url}/-/reload", method="POST")
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def names_of(agent: Agent) -> set[str]:
    """The spokes that have targets."""
    return {target["spoke"] for target in agent.status()["targets"]}
