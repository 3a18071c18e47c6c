"""Options and result of a conversion, and the interface of converters."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from model_opt.errors import KitError
from model_opt.fs import sha256_bytes
from model_opt.nb import NbModel, place_of, precision_of
from model_opt.program import Model

Place = Literal["arm", "opencl,arm", "x86"]
Kernels = Literal["arm", "opencl", "x86"]

PLACE_IN_FILE: Mapping[Place, Kernels] = {"arm": "arm", "opencl,arm": "opencl", "x86": "x86"}
"""The result of ``place_of`` for a file of each place."""
PLACE_OF_KERNELS: Mapping[str, Place] = {kernels: place for place, kernels in PLACE_IN_FILE.items()}
NO_FP16 = "fp16 kernels on weights stored as integers return NaN everywhere on the ARM engine"


class ModelPaths(Protocol):
    """A model on disk; ``model_opt.zoo.ModelFiles`` is one."""

    @property
    def program_file(self) -> Path:
        """The program."""
        ...

    @property
    def params_file(self) -> Path | None:
        """The parameters; None where the program's file holds them."""
        ...


class FingerprintedModel(ModelPaths, Protocol):
    """A model whose content has a name; ``model_opt.zoo.ModelFiles`` is one."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the sums of the model's files."""
        ...


@dataclass(frozen=True)
class ModelPair:
    """The two files of a Paddle model, for callers without a row in the zoo."""

    program_file: Path
    params_file: Path


@dataclass(frozen=True)
class ConvertOptions:
    """What a converter is asked for.

    ``place`` names the kernels; ``fp16`` takes ARM's half-precision kernels where they exist (needs ARMv8.2);
    ``weight_bits`` stores the weights as integers that the runtime turns back into floats when it loads them. A model
    whose operators say that it holds integers already (``model_opt.quantize.stored``) keeps those, each layer its own.
    """

    place: Place = "arm"
    fp16: bool = False
    weight_bits: Literal[8, 16] | None = None

    def __post_init__(self) -> None:
        if self.place not in PLACE_IN_FILE:
            raise KitError(f"unknown place {self.place!r}", hint=f"use one of: {', '.join(PLACE_IN_FILE)}")
        if self.weight_bits not in (None, 8, 16):
            raise KitError(f"weights of {self.weight_bits} bits do not exist in Paddle Lite", hint="use 8 or 16")
        if self.fp16 and self.place == "x86":
            raise KitError("Paddle Lite has no fp16 kernels for x86", hint="leave fp16 off, or convert for arm")
        if self.fp16 and self.weight_bits is not None:
            raise KitError(NO_FP16, hint="choose one of the two")

    @property
    def label(self) -> str:
        """The options in a few characters, fit for file names: ``arm-fp32``, ``arm-weight_int8``, ``opencl-fp16``."""
        weights = f"weight_int{self.weight_bits}" if self.weight_bits else None
        return f"{PLACE_IN_FILE[self.place]}-{weights or ('fp16' if self.fp16 else 'fp32')}"


@dataclass(frozen=True)
class Conversion:
    """A converted file.

    ``opt_version`` is the release of Paddle Lite that the file is for, as its wheel spells it (``2.14rc0``); ``ops``
    counts the operators of the file, feed and fetch included; ``place`` and ``precision`` are read from the
    file; ``log`` holds the last lines of opt, none of the kit's own writer.
    """

    path: Path
    sha256: str
    nbytes: int
    opt_version: str
    place: str
    precision: str
    ops: int
    seconds: float
    log: tuple[str, ...]

    @classmethod
    def of(
        cls, out: Path, data: bytes, model: NbModel, opt_version: str, begin: float, log: tuple[str, ...] = ()
    ) -> Conversion:
        """Return the conversion that began at ``begin`` (``perf_counter``) and wrote ``data``, read as ``model``."""
        ops, seconds = sum(1 for _ in model.program.all_ops()), time.perf_counter() - begin
        place, precision = place_of(model), precision_of(model)
        return cls(out, sha256_bytes(data), len(data), opt_version, place, precision, ops, seconds, log)


class Converter(Protocol):
    """Makes ``.nb`` files of Paddle models: ``OwnWriter``, or opt in its environment (``opt_tool.ToolEnv``)."""

    @property
    def name(self) -> str:
        """``own`` or ``opt``."""
        ...

    @property
    def opt_version(self) -> str:
        """The release of Paddle Lite whose runtime reads the files (``2.14rc0``)."""
        ...

    @property
    def cache_key(self) -> str:
        """What the files depend on apart from imported code, for cache keys."""
        ...

    def convert(self, model: ModelPaths, options: ConvertOptions, out: Path) -> Conversion:
        """Convert ``model`` to ``out``; equal inputs give equal bytes.

        The file is canonical and stores equal parts once, was read back strictly and is what was asked for; only then
        it takes its place. Raises ``KitError`` for a model that cannot be converted so.
        """
        ...

    def convert_export(self, model: ModelPaths, options: ConvertOptions, out: Path) -> Conversion:
        """Convert an exported model; the own writer runs the passes first, opt does not."""
        ...

    def in_memory(self, model: Model, options: ConvertOptions) -> NbModel:
        """Return what the file of ``model`` would hold; nothing stays on disk. Raises as ``convert`` does."""
        ...
