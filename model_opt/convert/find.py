"""Find a converter by its name."""

from __future__ import annotations

from model_opt.convert.options import Converter
from model_opt.convert.own import OwnWriter
from model_opt.errors import KitError

CONVERTERS = ("own", "opt")


def find_converter(name: str = "own", *, offline: bool = False) -> Converter:
    """Return the kit's own writer, or opt in its environment, which is made at the first call.

    Raises ``KitError`` for an unknown name, and what ``opt_tool.find_tool`` raises where opt cannot be had.
    """
    if name == "own":
        return OwnWriter()
    if name == "opt":
        from model_opt.opt_tool import find_tool

        return find_tool(offline=offline)
    raise KitError(f"unknown converter {name!r}", hint=f"use one of: {', '.join(CONVERTERS)}")
