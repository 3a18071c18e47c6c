"""The arithmetic of Paddle Lite's ARM kernels for static int8 and fp16, on any host.

In: a checked ``NbModel`` and its inputs. Out: the outputs as the phone computes them, NaN included; or the
"""

from __future__ import annotations

from model_opt.nb.exact.build import Build
from model_opt.nb.exact.overflow import FP16_MAX, Overflow, overflow_check
from model_opt.nb.exact.run import run_exact

__all__ = ["FP16_MAX", "Build", "Overflow", "overflow_check", "run_exact"]
