"""Make an engine by its name."""

from __future__ import annotations

from pathlib import Path

from edge_kit.engines.base import Engine, EngineError, EngineOptions
from edge_kit.engines.devices import check_device
from model_opt.zoo import ModelFiles

ENGINES = ("nb", "server", "lite_x86", "onnx", "openvino")


def create_engine(name: str, model: ModelFiles, options: EngineOptions) -> Engine:
    """Return a loaded engine for ``model``.

    Raises ``EngineError`` for an unknown name (listing the known ones), a device the engine lacks, or a bad model.
    """
    if name in ENGINES:
        check_device(options.device, "onnx" if name == "server" and model.format == "onnx" else name)
    if name == "nb":
        from edge_kit.engines.nb import NbEngine

        return NbEngine(_converted(model, options), options)
    if name == "openvino":
        from edge_kit.engines.openvino import OpenVinoEngine
        from model_opt.nb import read_nb
        from model_opt.nb.to_onnx import to_onnx

        path = _converted(model, options)
        program = to_onnx(read_nb(path), accurate_means=True, free_batch=True)
        return OpenVinoEngine(program, options, path)
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


def _converted(model: ModelFiles, options: EngineOptions) -> Path:
    """Return the ``.nb`` file of a model, made unless the cache has it."""
    from model_opt.convert import ConvertOptions, converted, find_converter

    return converted(model, ConvertOptions(), find_converter(options.converter, offline=options.offline))
