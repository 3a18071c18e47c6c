"""The stage ``calibrate``: where the lines are on the calibration images, found once for both models."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edge_kit.build.stage import StageContext
from edge_kit.calibration import Calibration, find_lines
from edge_kit.engines.base import EngineOptions
from edge_kit.engines.nb import NbEngine
from edge_kit.spec import SpecProfile
from edge_kit.stages.results import Model
from model_opt.convert import Converter, ConvertOptions


def calibrate(
    context: StageContext, detector: Model, images: tuple[Path, ...], rules: SpecProfile, converter: Converter
) -> Calibration:
    """Run the unquantised detector, converted in fp32, over the images; ``KitError`` when it finds no line at all."""
    with tempfile.TemporaryDirectory(prefix="edge-kit-calibrate-") as name:
        path = Path(name) / "det.nb"
        converter.convert(detector, ConvertOptions(), path)
        engine = NbEngine(path, EngineOptions(threads=1))
    try:
        return find_lines(images, engine.run, rules, context.progress)
    finally:
        engine.close()
