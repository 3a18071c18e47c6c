"""What mkdocs calls while it builds the site: pages made of the code, and links to files outside ``docs/``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files, InclusionLevel

from docs_pages.commands import command_pages, commands
from docs_pages.interface import interface_pages
from docs_pages.links import outside, rewritten, source_page, source_text
from docs_pages.tables import table_pages

COMMANDS = "commands"
"""What stands in the navigation of ``mkdocs.yml`` for the pages of the commands."""


def on_config(config: Any) -> Any:
    """Put the page of each command into the navigation."""
    pages: list[Any] = ["reference/cli/index.md"]
    pages += [{words: f"reference/cli/{words.replace(' ', '-')}.md"} for words in commands()]
    config.nav = _filled(config.nav, pages)
    return config


def _filled(part: Any, pages: list[Any]) -> Any:
    if isinstance(part, list):
        return [_filled(one, pages) for one in part]
    if isinstance(part, dict):
        return {name: _filled(one, pages) for name, one in part.items()}
    return pages if part == COMMANDS else part


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made of the code, and those of files that pages link to."""
    made = {**command_pages(), **interface_pages(), **table_pages()}
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    written = {file.src_uri: Path(str(file.abs_src_path)).read_text(encoding="utf-8") for file in _written(files)}
    linked = {path for page, text in written.items() for path in outside(page, text).values()}
    for path in sorted(linked):
        page = File.generated(config, source_page(path), content=source_text(path))
        page.inclusion = InclusionLevel.NOT_IN_NAV
        files.append(page)
    return files


def _written(files: Files) -> list[File]:
    return [file for file in files.documentation_pages() if file.generated_by is None]


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links to files of the checkout to the pages that show them."""
    path = page.file.src_uri
    return rewritten(path, markdown, outside(path, markdown))
