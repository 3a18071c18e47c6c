"""A Paddle inference model: program and parameters, read from and written to ``.pdmodel`` and ``.pdiparams``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_opt.fs import write_atomic
from model_opt.paddle_model.errors import PaddleModelError, fault
from model_opt.paddle_model.params import (
    check_fits,
    declared_params,
    decode_params,
    encode_params,
    integer_weights,
    loosely_declared,
)
from model_opt.paddle_model.program import KINDS, Program, Var, VarKind
from model_opt.paddle_model.proto import decode_program, encode_program

_MAX_PROGRAM = 1 << 31


@dataclass(frozen=True, slots=True, eq=False)
class PaddleModel:
    """A program and the tensors of its persistable variables by name. The arrays are read-only."""

    program: Program
    params: Mapping[str, NDArray[Any]]

    def with_program(self, program: Program) -> PaddleModel:
        """Return the model with another program and the parameters that it still declares."""
        declared = declared_params(program)
        return PaddleModel(program, {name: array for name, array in self.params.items() if name in declared})

    def with_param(self, name: str, array: NDArray[Any]) -> PaddleModel:
        """Return the model with a parameter set or added: its variable in the main block and its array.

        Raises ``ValueError`` for an array type that Paddle does not have.
        """
        kind = KINDS.get(array.dtype)
        if kind is None:
            raise ValueError(f"parameter {name!r} has the type {array.dtype}, which Paddle lacks")
        fresh = Var(name, persistable=True, need_check_feed=False, is_parameter=True, lod_level=0)
        var = self.program.main.var_map().get(name, fresh)
        var = dataclasses.replace(var, kind=VarKind.LOD_TENSOR, persistable=True, data_type=kind, dims=array.shape)
        program = self.program.with_main(self.program.main.with_vars(var))
        return PaddleModel(program, {**self.params, name: _read_only(array)})


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    if not array.flags.writeable:
        return array
    copy = np.array(array, order="C")
    copy.flags.writeable = False
    return copy


def read_model(pdmodel: Path, pdiparams: Path) -> PaddleModel:
    """Read a model. Raises ``PaddleModelError`` when a file is missing, damaged, or the two do not fit."""
    program = read_program(pdmodel)
    return PaddleModel(program, decode_params(_read(pdiparams), program, pdiparams))


def decode_model(program: bytes, params: bytes) -> PaddleModel:
    """Return the model that the bytes of its two files hold; raises as ``read_model`` does."""
    decoded = decode_program(program, None)
    return PaddleModel(decoded, decode_params(params, decoded, None))


def read_program(pdmodel: Path) -> Program:
    """Read the program alone. Raises ``PaddleModelError`` when the file is missing or damaged."""
    data = _read(pdmodel)
    if len(data) >= _MAX_PROGRAM:
        fault("program", f"less than {_MAX_PROGRAM} bytes", f"{len(data)}", path=pdmodel)
    if data[:1] == b"{":
        raise PaddleModelError(
            "this is a program of Paddle 3 in JSON, not a ProgramDesc",
            path=pdmodel,
            hint="export the model with FLAGS_enable_pir_api=0 to get inference.pdmodel",
            offset=0,
            expected="a ProgramDesc",
            found="JSON",
        )
    return decode_program(data, pdmodel)


def write_model(model: PaddleModel, pdmodel: Path, pdiparams: Path) -> None:
    """Write a model; each file is replaced as a whole.

    Raises ``PaddleModelError`` before anything is written when parameters and declared variables do not fit, or
    when a file cannot be written.
    """
    declared = declared_params(model.program)
    if declared.keys() != model.params.keys():
        odd = sorted(declared.keys() ^ model.params.keys())
        found = f"{len(odd)} that only one side has, such as {odd[0]!r}"
        fault("parameters", "the persistable tensors of the program", found, path=pdiparams, hint="mend the pass")
    bits, loose = integer_weights(model.program), loosely_declared(model.program)
    for name, var in declared.items():
        check_fits(var, model.params[name], pdiparams, bits=bits.get(name), loose=name in loose)
    program, params = encode_program(model.program), encode_params(model.params)
    for path, data in ((pdiparams, params), (pdmodel, program)):
        try:
            write_atomic(path, data)
        except OSError as error:
            raise PaddleModelError(
                f"cannot write the model: {error}", path=path, hint="check room and rights"
            ) from error


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            found = "a folder" if path.is_dir() else "no regular file" if path.exists() else "nothing"
            raise PaddleModelError(
                f"cannot read the model: expected a file, found {found}", path=path, hint="check the path"
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise PaddleModelError(
            f"cannot read the model: {error}", path=path, hint="check the path and its rights"
        ) from error


def output_classes(program: Program) -> int | None:
    """Return the last size of the first fetched tensor (the classes of a classifier), None when it is not fixed."""
    for op in program.main.ops:
        if op.type == "fetch" and op.attr("col", 0) == 0:
            var = program.main.var_map().get(op.input_names[0]) if op.input_names else None
            dims = var.dims if var is not None else None
            return dims[-1] if dims and dims[-1] > 0 else None
    return None
