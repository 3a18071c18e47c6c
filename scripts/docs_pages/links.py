"""Files of the checkout that pages link to, such as ``../configs/gates.yaml``: the site shows them as pages."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(?<=\]\()(?P<target>[^()\s#]+)(?P<anchor>#[^()\s]*)?(?=\))")
"""The target of a Markdown link or picture: ``[text](target#anchor)``."""
LANGUAGES = {".py": "python", ".sh": "sh", ".kt": "kotlin", ".yaml": "yaml", ".json": "json", ".xml": "xml"}


def outside(page: str, text: str) -> dict[str, str]:
    """Return the targets in a page's text that lie in the checkout but not in ``docs/``, with their path from its root.

    ``page`` is the page's path below ``docs/``.
    """
    found = {}
    for match in LINK.finditer(text):
        target = match["target"]
        if "://" in target or target.startswith(("mailto:", "/")):
            continue
        path = os.path.normpath(PurePosixPath("docs", page).parent / target)
        if not path.startswith(("docs/", "..")) and (ROOT / path).exists():
            found[target] = path
    return found


def source_page(path: str) -> str:
    """Return the path of the page that shows a file or folder of the checkout."""
    return f"source/{path.replace('.', '-')}.md"


def source_text(path: str) -> str:
    """Return the Markdown of that page: the file, or each file of the folder."""
    place = ROOT / path
    if path.endswith(".md"):
        return place.read_text(encoding="utf-8")
    files = [place] if place.is_file() else sorted(one for one in place.rglob("*") if _shown(one))
    parts = [f"# {path}"]
    for file in files:
        if file != place:
            parts.append(f"## {file.relative_to(place).as_posix()}")
        parts.append(f"`````{LANGUAGES.get(file.suffix, 'text')}\n{file.read_text(encoding='utf-8').rstrip()}\n`````")
    return "\n\n".join(parts) + "\n"


def _shown(file: Path) -> bool:
    return file.is_file() and not {"target", "build", "__pycache__"} & {*file.relative_to(ROOT).parts}


def rewritten(page: str, text: str, targets: Mapping[str, str]) -> str:
    """Return the text with links to files of the checkout led to the pages that show them."""
    up = "../" * page.count("/")

    def lead(match: re.Match[str]) -> str:
        target = match["target"]
        return f"{up}{source_page(targets[target])}" if target in targets else match[0]

    return LINK.sub(lead, text)
