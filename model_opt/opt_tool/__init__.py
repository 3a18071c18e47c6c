"""Paddle Lite's opt, driven in its own interpreter.

In: a Paddle model and options. Out: a canonical ``.nb`` file that was read back, or an ``OptError`` with opt's last
words. ``find_tool`` finds or makes the environment; ``diagnose`` says what a machine has.
"""

from __future__ import annotations

from model_opt.opt_tool.convert import ToolEnv
from model_opt.opt_tool.environment import Diagnosis, diagnose, find_tool
from model_opt.opt_tool.errors import OptError, ToolError

__all__ = ["Diagnosis", "OptError", "ToolEnv", "ToolError", "diagnose", "find_tool"]
