"""edge-kit: the deployment kit that brings PP-OCR to Android and edge devices."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "create_pipeline"]


def __getattr__(name: str) -> Any:
    """Load the pipeline API on first use: importing the package alone stays cheap, and depends on nothing."""
    if name == "create_pipeline":
        return importlib.import_module("edge_kit.api").create_pipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
