"""Take the picture of a build's report for the documentation: .venv/bin/python scripts/keep_report_picture.py BUNDLE

Needs Chromium. Writes docs/images/report.png, the top of the report, with a palette of 128 colours.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.serve.chromium import browser, find_chromium  # noqa: E402

WIDTH, HEIGHT = 1200, 1000


def main(bundle: Path) -> None:
    """Open the report of a bundle in a window and keep what is visible."""
    with browser(str(find_chromium())) as page:
        page.look(WIDTH, HEIGHT)
        page.open((bundle / "report.html").resolve().as_uri())
        with Image.open(io.BytesIO(page.screenshot())) as shot:
            shot.convert("RGB").quantize(128).save(ROOT / "docs" / "images" / "report.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
