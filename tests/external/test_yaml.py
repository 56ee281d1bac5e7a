"""Every YAML file by yamllint, and the workflows by a linter that knows what they mean."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"


def run(*command: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def test_yamllint(tool: Callable[[str], Path], tmp_path: Path) -> None:
    """yamllint finds nothing in any YAML file but those that tests feed to the program; a key written twice is found."""
    shown = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.yml", "*.yaml").stdout.splitlines()
    files = [name for name in shown if (ROOT / name).exists()]
    assert {"config.yaml", ".github/workflows/ci.yml", "deploy/compose/compose.yaml"} <= set(files)
    found = run(tool("yamllint"), "--strict", "--format", "parsable", *files)
    assert (found.returncode, found.stdout) == (0, ""), found.stdout + found.stderr
    (tmp_path / "seeded.yaml").write_text("web:\n  listen: 127.0.0.1:10403\n  listen: 0.0.0.0:10403\n")
    found = run(tool("yamllint"), "--strict", "--config-file", ROOT / ".yamllint.yaml", tmp_path / "seeded.yaml")
    assert found.returncode != 0 and "duplication of key" in found.stdout, found.stdout
    print(f"{len(files)} files")


def test_workflows(tool: Callable[[str], Path], tmp_path: Path) -> None:
    """The workflows name things that exist, have few rights, and pin what they use; a title run as a script and an action by its tag are found."""
    linter = tool("jactionlint")
    found = run(linter, "--no-online", "--strict-exit", f"--shellcheck={tool('shellcheck')}", f"--config-file={ROOT}/.github/jactionlint.yaml")
    assert (found.returncode, found.stdout) == (0, ""), found.stdout + found.stderr
    seeded = tmp_path / ".github" / "workflows"
    seeded.mkdir(parents=True)
    run("git", "init", "--quiet", tmp_path)
    text = (WORKFLOWS / "ci.yml").read_text()
    for old, new, rule in [
        ("08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0", "v5", "unpinned-uses"),
        ("run: |\n", "run: |\n          echo ${{ github.event.pull_request.title }}\n", "template-injection"),
        ("${{ github.workflow }}", "${{ github.workflo }}", "undefined-property"),
    ]:
        assert old in text
        (seeded / "ci.yml").write_text(text.replace(old, new))
        found = run(linter, "--no-online", "--no-hints", cwd=tmp_path)
        assert found.returncode != 0 and rule in found.stdout, f"{rule}: {found.stdout}"


def test_workflows_run_what_is_there() -> None:
    """CI runs .ci/run and the release scripts/package, which are there and may be run; both with the oldest compiler that Cargo.toml promises."""
    for workflow, script in (("ci.yml", ".ci/run"), ("release.yml", "scripts/package")):
        assert f"{script}'" in (WORKFLOWS / workflow).read_text()
        assert (ROOT / script).stat().st_mode & 0o111
        oldest = re.search(r'^rust-version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]  # type: ignore[index]
        assert f"rust:{oldest}-bookworm" in (WORKFLOWS / workflow).read_text(), "another compiler than the one that is promised"
