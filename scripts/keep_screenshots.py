"""Copy the app's screenshots, which its tests leave in android_app/app/target, to docs/images at half size.

Run after the tests of the app: .venv/bin/python scripts/keep_screenshots.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
TAKEN = ROOT / "android_app" / "app" / "target" / "screenshots"
KEPT = (
    "app_main_light",
    "app_result_light",
    "app_result_dark",
    "app_result_chinese",
    "app_result_large",
    "app_result_landscape",
    "app_settings_light",
    "app_selftest_light",
    "app_reading_light",
    "app_pictures_light",
    "app_pictures_chinese_dark",
    "app_notice_dark",
    "app_settings_lite_chinese",
    "app_licences_light",
)


def main() -> None:
    """Write each picture with a palette: the screens have few colours, and the files stay small."""
    for name in KEPT:
        with Image.open(TAKEN / f"{name}.png") as shot:
            half = shot.convert("RGB").resize((shot.width // 2, shot.height // 2), Image.Resampling.LANCZOS)
        half.quantize(128).save(ROOT / "docs" / "images" / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
