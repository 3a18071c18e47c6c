"""``edge-kit legacy-report``: a study of ``scripts/labs``, which a checkout has and the installed package does not."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from model_opt.errors import KitError

_SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def run_legacy_report(paths: tuple[str, ...], engine: str, json_file: str | None) -> int:
    """Run ``labs.legacy.command`` of the checkout; ``KitError`` where there is none."""
    if not (_SCRIPTS / "labs" / "legacy" / "command.py").is_file():
        raise KitError(
            "this study is not part of the installed package",
            hint="run ./scripts/edge-kit legacy-report in a checkout of the project",
        )
    sys.path.insert(0, str(_SCRIPTS))
    return int(import_module("labs.legacy.command").run_legacy_report(paths, engine, json_file))
