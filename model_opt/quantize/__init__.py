"""Quantisation of Paddle models for Paddle Lite. In: a ``PaddleModel`` and inputs it will see. Out: one whose ``.nb``
file is smaller or runs in fewer bits, and a report of what was done to each layer.
"""

from __future__ import annotations

from model_opt.quantize.observe import LayerView, Observation, Observer, convert_in_memory
from model_opt.quantize.report import LayerNote, QuantReport

__all__ = ["LayerNote", "LayerView", "Observation", "Observer", "QuantReport", "convert_in_memory"]
