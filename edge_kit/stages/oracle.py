"""Paddle Lite's own x86 engine, which checks a conversion by code that shares nothing with the kit's: where it runs."""

from __future__ import annotations

from dataclasses import dataclass

from model_opt.errors import KitError
from model_opt.opt_tool import ToolEnv, ToolError, find_tool

NO_INTERPRETER = "it needs CPython 3.7 to 3.10 on Linux x86-64 beside the kit, and none was found"
NO_WHEEL = "its wheel is not in the cache and could not be fetched"


@dataclass(frozen=True)
class Oracle:
    """The engine's environment, or why there is none; ``reason`` names no path, since the bundle holds it."""

    env: ToolEnv | None
    reason: str = ""

    @property
    def cache_key(self) -> str:
        """What a stage's key says of it."""
        return self.env.cache_key if self.env else f"none: {self.reason}"


def find_oracle(*, offline: bool) -> Oracle:
    """Return the engine's environment, made at the first call, or why it is not available here.

    No interpreter is installed for it. Where the engine cannot run, a build says what was not checked.
    """
    try:
        return Oracle(find_tool(offline=offline, install=False))
    except ToolError:
        return Oracle(None, NO_INTERPRETER)
    except KitError:
        return Oracle(None, NO_WHEEL)
