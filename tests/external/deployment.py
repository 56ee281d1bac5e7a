"""What the tests of deploy/ share: its linters, and a copy of the folder that Terraform may work in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
TOOLS = ROOT / "target" / "test-tools" / "bin"
MODULES = ("hub", "spoke", "testbed")
EXAMPLES = ("hub-and-spokes", "new-hub")


def without(what: str, insisting: tuple[str, ...] = ("required",)) -> None:
    """Skips loudly: these tools are large or need a network. SPOKEPROBE_DEPLOY_CHECKS=linters insists on what package registries
    have, as where CI=true; =required on Terraform and its provider too."""
    asked = os.environ.get("SPOKEPROBE_DEPLOY_CHECKS", "")
    if asked in insisting:
        pytest.fail(f"{what}, and SPOKEPROBE_DEPLOY_CHECKS={asked} allows no skips")
    pytest.skip(what)


def linter(name: str) -> Path:
    """A linter of scripts/install-deploy-tools. Its own version, not whatever else is on the PATH."""
    path = TOOLS / name
    if not path.exists():
        without(f"{name} is missing: run scripts/install-deploy-tools", ("required", "linters"))
    return path


def run(*command: object, cwd: Path | None = None, seconds: float = 300, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command's output and status; nothing of the terminal reaches it."""
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


@dataclass
class Terraform:
    """Terraform in a copy of deploy/, so that nothing is written beside the modules."""

    program: str
    deploy: Path
    environment: dict[str, str]

    def folder(self, module: str) -> Path:
        base = self.deploy / "terraform"
        return base / "examples" / module if module in EXAMPLES else base / module

    def __call__(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run(self.program, *arguments, cwd=self.folder(module), **self.environment)

    def init(self, module: str) -> None:
        """Gets the provider; where it cannot be had, the test is skipped."""
        # A module that uses others has the folder above after a vain attempt as well.
        if (self.folder(module) / ".terraform" / "providers").exists():
            return
        found = self(module, "init", "-input=false", "-no-color", "-backend=false")
        if found.returncode != 0:
            why = " ".join(found.stderr.split())[:300]
            without(f"the AWS provider cannot be had: {why}")


def prepared(folder: Path) -> Terraform:
    """A copy of deploy/ in `folder`. The provider comes from the registry, or from the file system mirror that
    SPOKEPROBE_TERRAFORM_PROVIDER_MIRROR names."""
    program = shutil.which("terraform")
    if not program:
        without("terraform is missing")
    assert program
    shutil.copytree(DEPLOY, folder / "deploy", ignore=shutil.ignore_patterns(".terraform", ".terraform.lock.hcl"))
    cache = ROOT / "target" / "test-tools" / "terraform-plugins"
    cache.mkdir(parents=True, exist_ok=True)
    settings = "disable_checkpoint = true\n"
    if mirror := os.environ.get("SPOKEPROBE_TERRAFORM_PROVIDER_MIRROR"):
        settings += f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n'
    else:
        settings += f'plugin_cache_dir = "{cache}"\n'
    (folder / "terraform.rc").write_text(settings)
    # No account is asked for anything: the provider is mocked in every test.
    credentials = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_EC2_METADATA_DISABLED": "true"}
    return Terraform(program, folder / "deploy", {"TF_CLI_CONFIG_FILE": str(folder / "terraform.rc"), "TF_IN_AUTOMATION": "1", **credentials})


def values(shown: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """From `terraform test -json -verbose`: run, address and values of every resource that would be made."""
    for line in shown.splitlines():
        event = json.loads(line)
        if plan := event.get("test_plan"):
            for change in plan.get("resource_changes", []):
                yield event["@testrun"], change["address"], change["change"]["after"] or {}
        if state := event.get("test_state"):
            modules = [state["root_module"]]
            while modules:
                module = modules.pop()
                modules += module.get("child_modules", [])
                for resource in module.get("resources", []):
                    if resource["mode"] == "managed":
                        yield event["@testrun"], resource["address"], resource["values"]
