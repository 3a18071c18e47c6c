"""Emulate the arithmetic of Paddle Lite's ARM kernels for static int8 and fp16, on any host.

In: a checked ``NbModel`` and its inputs. Out: the outputs as the phone computes them, NaN included; or the fp16
convolutions that overflow.
"""

from __future__ import annotations

from model_opt.emulator.engine_build import EngineBuild
from model_opt.emulator.overflow import FP16_MAX, Overflow, overflow_check
from model_opt.emulator.run import emulate

__all__ = ["FP16_MAX", "EngineBuild", "Overflow", "emulate", "overflow_check"]
