"""edge-kit: the deployment kit that brings PP-OCR to Android and edge devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_kit.api import create_pipeline

__version__ = "0.1.0"
__all__ = ["__version__", "create_pipeline"]


def __getattr__(name: str) -> Any:
    """Load the pipeline API on first use: importing the package alone stays cheap."""
    if name == "create_pipeline":
        from edge_kit.api import create_pipeline

        return create_pipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
