"""Quantisation of Paddle models for Paddle Lite. In: a ``Model`` and inputs it will see. Out: one whose ``.nb``
file is smaller or runs in fewer bits, and a report of what was done to each layer.
"""

from __future__ import annotations

from model_opt.quantize.algorithms import ALGORITHMS, Algorithm
from model_opt.quantize.observe import Observer
from model_opt.quantize.report import QuantReport
from model_opt.quantize.static import StaticOptions, quantise_static

__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "Observer",
    "QuantReport",
    "StaticOptions",
    "quantise_static",
]
