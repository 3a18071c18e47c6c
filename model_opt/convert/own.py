"""The kit's own converter: the lowering and the writer of ``.nb`` files, in this process."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from model_opt.convert.checks import check_restored, differences
from model_opt.convert.errors import ConvertError
from model_opt.convert.options import NO_FP16, PLACE_IN_FILE, Conversion, ConvertOptions, ModelPaths
from model_opt.errors import KitError
from model_opt.formats import read_model
from model_opt.fs import disk_faults, write_atomic
from model_opt.lower import NEWEST, LowerError, Target, lower
from model_opt.nb import NbModel, read_nb, write_nb
from model_opt.nb.translate.weights import RESTORED
from model_opt.paddle_model import integer_weights
from model_opt.passes import optimise
from model_opt.program import Model

_FP16_ON_GPU = "beside OpenCL the runtime turns weights into fp16 that the GPU's kernels read as floats"


@dataclass(frozen=True)
class OwnWriter:
    """Writes files for one release of Paddle Lite; needs neither opt nor another interpreter.

    The bytes are those of opt, with equal parts stored once, but where opt is known to write what the runtime
    computes wrongly (``docs/nb-writer.md``). Weights that the runtime would not turn back into floats are not rounded.
    """

    opt_version: str = NEWEST
    name: Literal["own"] = "own"

    @property
    def cache_key(self) -> str:
        """The release that the files are for; see ``Converter.cache_key``."""
        return f"own {self.opt_version}"

    def convert(self, model: ModelPaths, options: ConvertOptions, out: Path) -> Conversion:
        """Convert a model whose program the passes have seen; see ``Converter.convert``.

        Raises ``ConvertError`` that names the operator which has no kernel there or a form that is not supported.
        """
        begin = time.perf_counter()
        return self._written(model, read_model(model.program_file, model.params_file), options, out, begin)

    def convert_export(self, model: ModelPaths, options: ConvertOptions, out: Path) -> Conversion:
        """Run the passes on an exported model and convert it; see ``Converter.convert_export``."""
        begin = time.perf_counter()
        optimised, _ = optimise(read_model(model.program_file, model.params_file))
        return self._written(model, optimised, options, out, begin)

    def in_memory(self, model: Model, options: ConvertOptions) -> NbModel:
        """Return what the file would hold; see ``Converter.in_memory``."""
        held = frozenset(integer_weights(model.program).values())
        if held and options.fp16:
            raise ConvertError(NO_FP16, hint="choose one of the two")
        if options.fp16 and options.place == "opencl,arm":
            raise ConvertError(_FP16_ON_GPU, hint="leave fp16 off: the GPU computes in fp16 where it is asked to")
        bits = None if held else options.weight_bits
        target = Target(PLACE_IN_FILE[options.place], options.fp16, bits, self.opt_version, RESTORED)
        try:
            found = lower(model, target)
        except LowerError as error:
            raise ConvertError(
                f"the model cannot be converted for {options.label}: {error.what}", hint=error.hint
            ) from error
        check_restored(found)
        faults = list(differences(found, replace(options, weight_bits=bits), held, self.opt_version))
        if faults:
            raise ConvertError(
                f"the model cannot be converted for {PLACE_IN_FILE[options.place]}: {'; '.join(faults)}",
                hint="convert for another place or precision: no operator of this model can be converted that way",
            )
        return found

    def _written(self, files: ModelPaths, model: Model, options: ConvertOptions, out: Path, begin: float) -> Conversion:
        try:
            found = self.in_memory(model, options)
        except ConvertError as error:
            error.path = str(files.program_file)
            raise
        data = write_nb(found)
        _check_written(data, found)
        with disk_faults("convert the model", out):
            write_atomic(out, data)
        return Conversion.of(out, data, found, self.opt_version, begin)


def _check_written(data: bytes, found: NbModel) -> None:
    """Read the bytes back, strictly; they must hold the very operators and variables."""
    again = read_nb(data)
    if again.vars != found.vars or len(again.ops) != len(found.ops) or again.params.keys() != found.params.keys():
        raise KitError(
            "reading the written file back gives another model", hint="report the model, and try --converter opt"
        )
