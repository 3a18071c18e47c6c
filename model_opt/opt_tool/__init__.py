"""Paddle Lite's opt, driven in its own interpreter.

In: a Paddle model and options. Out: a canonical ``.nb`` file that was read back, or an ``OptError`` with opt's last
words. ``find_tool`` finds or makes the environment; ``diagnose`` says what a machine has.
"""

from __future__ import annotations

from model_opt.convert.options import Conversion, ConvertOptions, ModelPair, ModelPaths, Place
from model_opt.opt_tool.convert import ToolEnv, convert
from model_opt.opt_tool.environment import Diagnosis, diagnose, find_tool
from model_opt.opt_tool.errors import OptError, ToolError
from model_opt.opt_tool.interpreters import Verdict
from model_opt.opt_tool.pins import FALLBACK, PINS, PREFERRED

__all__ = [
    "FALLBACK",
    "PINS",
    "PREFERRED",
    "Conversion",
    "ConvertOptions",
    "Diagnosis",
    "ModelPair",
    "ModelPaths",
    "OptError",
    "Place",
    "ToolEnv",
    "ToolError",
    "Verdict",
    "convert",
    "diagnose",
    "find_tool",
]
