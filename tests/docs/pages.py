"""Reads the documentation: its pages, their fenced blocks, links and headings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^(?P<fence>`{3,})(?P<language>\w*)\n(?P<body>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?P<target>[^()\s]+)\)")
SHELL = {"", "sh", "bash", "shell", "console"}
KIT = ("edge-kit", "./scripts/edge-kit")
PROGRAMS = (*KIT, "./scripts/test", "./scripts/docs", "adb", "apt-get", "curl", "docker", "git", "mvn", "pip", "python")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    body: str


def pages() -> list[Path]:
    """Return every Markdown page that a user reads."""
    top = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
    return [*top, *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        yield Block(page, text.count("\n", 0, match.start()) + 1, match["language"], match["body"])


def shell_commands(page: Path) -> list[str]:
    """Return the command lines of a page's shell blocks: continued lines joined, comments and blanks taken off.

    A line counts when its first word is one of ``PROGRAMS``, so that listings and diagrams do not.
    """
    found = []
    for block in blocks(page):
        if block.language in SHELL:
            lines = block.body.replace("\\\n", " ").splitlines()
            found += [" ".join(shlex.split(line, comments=True, posix=False)) for line in lines if _is_command(line)]
    return found


def _is_command(line: str) -> bool:
    return line.split(" ", 1)[0] in PROGRAMS


def prose(text: str) -> str:
    """Return a page's text without its fenced blocks, each line kept in place."""
    return FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings as GitHub and mkdocs make them."""
    found = set()
    for heading in re.findall(r"^#+ +(.+?)\s*#*$", prose(text), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        found.add(re.sub(r"[\s]", "-", re.sub(r"[^\w\- ]", "", plain.lower())))
    return found
