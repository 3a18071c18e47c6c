"""Engines by a plan."""

from __future__ import annotations

from dataclasses import replace

from edge_kit.engines.base import Engine, EngineOptions
from edge_kit.engines.factory import create_engine
from edge_kit.engines.onnx import export_onnx
from edge_kit.engines.openvino import OpenVinoEngine
from edge_kit.hpi.plan import Plan
from model_opt.zoo import ModelFiles


def open_planned(plan: Plan, model: ModelFiles, options: EngineOptions) -> Engine:
    """Return a model's engine by a plan. Raises ``EngineError`` where it cannot be made."""
    options = replace(options, precision=plan.precision, onednn=plan.onednn)
    if plan.backend == "paddle":
        return create_engine("server", model, options)
    if plan.program == "optimised":
        return create_engine("openvino" if plan.backend == "openvino" else "nb", model, options)
    if plan.backend == "openvino":
        published = model.program_file if model.format == "onnx" else export_onnx(model)
        return OpenVinoEngine(published, options, model.program_file)
    return create_engine("server" if model.format == "onnx" else "onnx", model, options)
