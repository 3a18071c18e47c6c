"""Make an engine by its name."""

from __future__ import annotations

from edge_kit.engines.base import Engine, EngineError, EngineOptions
from model_opt.zoo import ModelFiles

ENGINES = ("nb", "server", "lite_x86", "onnx")


def create_engine(name: str, model: ModelFiles, options: EngineOptions) -> Engine:
    """Return a loaded engine for ``model``.

    Raises ``EngineError`` for an unknown name (listing the known ones), a device the engine lacks, or a bad model.
    """
    if name == "nb":
        from edge_kit.engines.nb import NbEngine
        from model_opt.convert import ConvertOptions, converted, find_converter

        converter = find_converter(options.converter, offline=options.offline)
        return NbEngine(converted(model, ConvertOptions(), converter), options)
    if name == "server":
        from edge_kit.engines.server import open_server

        return open_server(model, options)
    if name == "lite_x86":
        from edge_kit.engines.lite_x86 import LiteX86Engine

        return LiteX86Engine(model, options)
    if name == "onnx":
        from edge_kit.engines.onnx import OnnxEngine, export_onnx

        return OnnxEngine(export_onnx(model), options)
    raise EngineError(f"unknown engine {name!r}", hint=f"use one of: {', '.join(ENGINES)}")
