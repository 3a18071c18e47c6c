"""Links of the documentation lead somewhere."""

from __future__ import annotations

import pytest

from tests.docs.pages import LINK, ROOT, anchors, pages, prose


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_to_a_file_and_a_heading(page):
    lost = []
    for match in LINK.finditer(prose(page.read_text(encoding="utf-8"))):
        target, _, anchor = match["target"].partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        place = (page.parent / target).resolve() if target else page
        if not place.exists() or (anchor and anchor not in anchors(place.read_text(encoding="utf-8"))):
            lost.append(match["target"])
    assert lost == []


def test_every_picture_is_used():
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages())
    unused = [path.name for path in sorted((ROOT / "docs" / "images").iterdir()) if path.name not in text]
    assert unused == []


def test_a_heading_has_the_anchor_that_github_gives_it():
    assert anchors("# `static_int8`\n## The `.nb` format, in short\n```\n# no heading\n```\n") == {
        "static_int8", "the-nb-format-in-short",
    }  # fmt: skip
