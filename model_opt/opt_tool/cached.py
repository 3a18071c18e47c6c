"""A model's conversion from the cache, made anew when it is missing, damaged or by another opt."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from model_opt.nb import NbError, guard_place, guard_version, read_nb
from model_opt.opt_tool.convert import ConvertOptions, ModelPaths, convert
from model_opt.opt_tool.environment import ToolEnv
from model_opt.resources import cache_dir

_REVISION = 3
"""Counts the changes of ``convert`` after which the same model and opt give other bytes."""


class FingerprintedModel(ModelPaths, Protocol):
    """A model whose content has a name; ``model_opt.zoo.ModelFiles`` is one."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the sums of the model's files."""
        ...


def converted(model: FingerprintedModel, options: ConvertOptions, env: ToolEnv) -> Path:
    """Return the ``.nb`` file of ``model`` made with ``options`` by ``env``'s opt, from the cache if it is whole there.

    Raises what ``convert`` raises.
    """
    name = f"{model.fingerprint[:32]}-{env.opt_version}-{options.label}-{_REVISION}.nb"
    path = cache_dir() / "converted" / name
    try:
        found = read_nb(path)
        guard_place(found, {"opencl,arm": "opencl"}.get(options.place, options.place))
        guard_version(found, env.opt_version)
    except NbError:
        convert(model, options, path, env=env)
    return path
