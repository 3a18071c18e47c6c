"""Takes the pictures of the service's page for the documentation: python -m tests.serve.screenshots PICTURE."""

import io
import sys
from pathlib import Path

from PIL import Image as Pillow

from edge_kit.fonts import chinese_font
from edge_kit.serve.settings import ServeSettings
from tests.serve.chromium import browser, find_chromium
from tests.serve.running import running

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images"


def main(picture: Path) -> None:
    settings = ServeSettings(port=0, options={"models": "pp-ocrv6-small"})
    with running(settings, 300) as client, browser(str(find_chromium()), chinese_font().parent) as page:
        page.look(1200, 820)
        page.open(str(client.base_url))
        page.drop("#drop", picture)
        page.wait("!document.getElementById('result').hidden")
        page.run("document.getElementById('picture').decode()")
        page.move("#lines li:nth-child(2) button")
        for dark in (False, True):
            page.look(1200, 820, dark=dark)
            shot = Pillow.open(io.BytesIO(page.screenshot())).convert("RGB")
            name = FOLDER / f"serve_{'dark' if dark else 'light'}.png"
            shot.quantize(256, dither=Pillow.Dither.NONE).save(name, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
