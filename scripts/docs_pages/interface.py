"""The pages of the Python interface: what mkdocstrings shows of the docstrings."""

from __future__ import annotations

PAGES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "pipeline": (
        "Pipeline and results",
        "`from edge_kit import create_pipeline` reads text on this machine. The fields of a result: "
        "[Results](../../results.md).",
        (
            "edge_kit.api.create_pipeline",
            "edge_kit.api.Pipeline",
            "edge_kit.settings.PipelineSettings",
            "edge_kit.ocr.result.OcrResult",
            "edge_kit.api.IgnoredSettings",
            "edge_kit.api.DeviceChoice",
        ),
    ),
    "errors": (
        "Errors",
        "Every error that a user can act on derives from `KitError`: what happened, in which file, what to do next.",
        (
            "model_opt.errors.KitError",
            "model_opt.errors.FormatError",
            "model_opt.errors.DiskError",
            "model_opt.errors.SourceUnavailable",
            "model_opt.errors.ChecksumError",
        ),
    ),
    "models": (
        "Model files",
        "Readers, passes and the model zoo, without any OCR. The formats: [Architecture]"
        "(../../architecture.md#one-program-several-formats); the passes: [Passes](../../passes.md).",
        (
            "model_opt.zoo.fetch",
            "model_opt.zoo.open_model",
            "model_opt.formats.read_model",
            "model_opt.passes.optimise",
        ),
    ),
    "nb": (
        "Paddle Lite .nb files",
        "Read, inspect, write and emulate `.nb` files. The format: [nb-format](../../nb-format.md).",
        (
            "model_opt.nb.read_nb",
            "model_opt.nb.inspect_nb",
            "model_opt.nb.canonicalise",
            "model_opt.nb.write_nb",
            "model_opt.emulator.emulate",
            "model_opt.emulator.overflow_check",
        ),
    ),
}
"""For each page its title, an introduction, and the names whose docstrings it shows."""


def interface_pages() -> dict[str, str]:
    """Return the pages by their path."""
    pages = {}
    for name, (title, text, shown) in PAGES.items():
        blocks = "\n\n".join(f"::: {one}" for one in shown)
        pages[f"reference/python/{name}.md"] = f"# {title}\n\n{text}\n\n{blocks}\n"
    return pages
