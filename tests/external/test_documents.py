"""Every relative link of the project's Markdown leads somewhere: files, folders, images, headings. Pages outside are not fetched."""

from __future__ import annotations

import re
import subprocess
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ABSOLUTE = re.compile(r"^([a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)


def documents() -> list[Path]:
    """What git knows or would take in."""
    shown = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return [ROOT / name for name in sorted(set(shown.splitlines())) if (ROOT / name).exists()]


def prose(text: str) -> str:
    """Without what is shown as it is: fenced blocks, code within a line, comments. Lines stay where they are."""
    kept = []
    fence = ""
    for line in text.splitlines():
        mark = re.match(r"^\s*(?:>\s*)*(`{3,}|~{3,})", line)
        if fence:
            closes = mark and mark[1].startswith(fence) and not line.strip(" >`~")
            fence = "" if closes else fence
            kept.append("")
        elif mark:
            fence = mark[1]
            kept.append("")
        else:
            kept.append(line)
    blanked = re.sub(r"<!--.*?-->", lambda found: "\n" * found[0].count("\n"), "\n".join(kept), flags=re.DOTALL)
    return re.sub(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", lambda found: "`" * len(found[1]) + "\n" * found[2].count("\n"), blanked)


def anchors(text: str) -> set[str]:
    """The names of headings, as GitHub makes them, and those given by hand."""
    found: set[str] = set(re.findall(r"<a\s+(?:id|name)=\"([^\"]+)\"", text))
    seen: dict[str, int] = {}
    outside = []
    fence = ""
    for line in text.splitlines():
        mark = re.match(r"^\s*(`{3,}|~{3,})", line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        elif not fence:
            outside.append(line)
    for line in outside:
        heading = re.match(r"^ {0,3}#{1,6}\s+(.*?)\s*#*$", line)
        if not heading:
            continue
        shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
        slug = re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", shown).lower()).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        found.add(slug if count == 0 else f"{slug}-{count}")
    return found


def links(text: str) -> Iterator[tuple[int, str]]:
    """Line and target of every link and image: inline, by reference, in HTML."""
    shown = prose(text)
    patterns = (
        r"\]\(\s*<([^>\n]+)>[^)]*\)",
        r"\]\(\s*([^)\s<]+)(?:\s+[\"'(][^)]*)?\)",
        r"^ {0,3}\[[^\]\n]+\]:\s+<?([^\s>]+)>?",
        r"<(?:img|a|source)\b[^>]*?\b(?:src|href|srcset)=[\"']([^\"']+)[\"']",
    )
    for pattern in patterns:
        for found in re.finditer(pattern, shown, re.MULTILINE | re.DOTALL):
            yield shown.count("\n", 0, found.start(1)) + 1, found[1].split(" ")[0]
    defined = {name.lower() for name in re.findall(r"^ {0,3}\[([^\]\n]+)\]:\s", shown, re.MULTILINE)}
    for found in re.finditer(r"\[[^\]\n]+\]\[([^\]\n]+)\]", shown):
        if found[1].lower() not in defined:
            yield shown.count("\n", 0, found.start(1)) + 1, f"[{found[1]}]"


def problems(document: Path) -> Iterator[str]:
    """What leads nowhere, with its line."""
    for line, target in links(document.read_text()):
        where = f"{document.name}:{line}: {target}"
        if target.startswith("["):
            yield f"{where} is not defined"
            continue
        if ABSOLUTE.match(target):
            continue
        path, _, anchor = urllib.parse.unquote(target).partition("#")
        if path.startswith("/"):
            yield f"{where} begins at the root of whatever server shows it"
            continue
        place = (document.parent / path).resolve() if path else document
        if not place.exists():
            yield f"{where} is not there"
        elif ROOT not in place.parents and place != ROOT and ROOT in document.parents:
            yield f"{where} lies outside of the repository"
        elif anchor and place.suffix == ".md" and anchor not in anchors(place.read_text()):
            yield f"{where} has no such heading"


def test_links_lead_somewhere() -> None:
    """Files, folders, images and headings that the Markdown files link to are there."""
    found = {str(document.relative_to(ROOT)): list(problems(document)) for document in documents()}
    count = sum(1 for document in documents() for _ in links(document.read_text()))
    assert not any(found.values()), {name: what for name, what in found.items() if what}
    assert len(found) > 20 and count > 200
    print(f"{count} links in {len(found)} documents")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[a](other.md)\n\n[b](gone.md)", "seeded.md:3: gone.md is not there"),
        ("[a](other.md#two-words) and [b](other.md#three)", "seeded.md:1: other.md#three has no such heading"),
        ("![a](images/gone.png)", "seeded.md:1: images/gone.png is not there"),
        ('# Here\n[a](#here)\n<img alt="x"\n src="gone.svg">', "seeded.md:4: gone.svg is not there"),
        ("[a](other.md#again-1) [b](other.md#again-2)", "seeded.md:1: other.md#again-2 has no such heading"),
        ("[a][one] [b][two]\n\n[one]: other.md", "seeded.md:1: [two] is not defined"),
        ("```\n[a](gone.md)\n```\n`[b](gone.md)` [c](https://example.com/gone)\n[d](</gone.md>)", "seeded.md:5: /gone.md begins at the root"),
    ],
)
def test_a_link_to_nowhere_is_noticed(tmp_path: Path, text: str, what: str) -> None:
    """Seeded errors: a missing file, image and heading are found with their line; code and pages outside are left alone."""
    (tmp_path / "other.md").write_text("# Two *words*\n\n```\n# three\n```\n\n## Again\n\n## Again\n")
    seeded = tmp_path / "seeded.md"
    seeded.write_text(text)
    (found,) = problems(seeded)
    assert found.startswith(what), found
