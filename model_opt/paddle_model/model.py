"""Paddle inference models, read from and written to ``.pdmodel`` and ``.pdiparams``."""

from __future__ import annotations

from pathlib import Path

from model_opt.fs import write_atomic
from model_opt.paddle_model.errors import PaddleModelError, fault
from model_opt.paddle_model.params import (
    check_fits,
    decode_params,
    encode_params,
    integer_weights,
    loosely_declared,
)
from model_opt.paddle_model.proto import decode_program, encode_program
from model_opt.program import Model, Program

_MAX_PROGRAM = 1 << 31


def read_model(pdmodel: Path, pdiparams: Path) -> Model:
    """Read a model. Raises ``PaddleModelError`` when a file is missing, damaged, or the two do not fit."""
    program = read_program(pdmodel)
    return Model(program, decode_params(_read(pdiparams), program, pdiparams))


def decode_model(program: bytes, params: bytes) -> Model:
    """Return the model that the bytes of its two files hold; raises as ``read_model`` does."""
    decoded = decode_program(program, None)
    return Model(decoded, decode_params(params, decoded, None))


def read_program(pdmodel: Path) -> Program:
    """Read the program alone. Raises ``PaddleModelError`` when the file is missing or damaged."""
    data = _read(pdmodel)
    if len(data) >= _MAX_PROGRAM:
        fault("program", f"less than {_MAX_PROGRAM} bytes", f"{len(data)}", path=pdmodel)
    if data[:1] == b"{":
        raise PaddleModelError(
            "this is a program of Paddle 3 in JSON, not a ProgramDesc",
            path=pdmodel,
            hint="name the file inference.json, or read it with model_opt.formats",
            offset=0,
            expected="a ProgramDesc",
            found="JSON",
        )
    return decode_program(data, pdmodel)


def write_model(model: Model, pdmodel: Path, pdiparams: Path) -> None:
    """Write a model; each file is replaced atomically.

    Raises ``PaddleModelError`` before anything is written when parameters and declared variables do not fit, or
    when a file cannot be written.
    """
    declared = model.program.declared_params()
    if declared.keys() != model.params.keys():
        odd = sorted(declared.keys() ^ model.params.keys())
        found = f"{len(odd)} that only one side has, such as {odd[0]!r}"
        fault("parameters", "the persistable tensors of the program", found, path=pdiparams, hint="fix the pass")
    bits, loose = integer_weights(model.program), loosely_declared(model.program)
    for name, var in declared.items():
        check_fits(var, model.params[name], pdiparams, bits=bits.get(name), loose=name in loose)
    program, params = encode_program(model.program), encode_params(model.params)
    for path, data in ((pdiparams, params), (pdmodel, program)):
        try:
            write_atomic(path, data)
        except OSError as error:
            raise PaddleModelError(
                f"cannot write the model: {error}", path=path, hint="check free space and permissions"
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
            f"cannot read the model: {error}", path=path, hint="check the path and its permissions"
        ) from error


def output_classes(program: Program) -> int | None:
    """Return the last size of the first fetched tensor (the classes of a classifier), None when it is not fixed."""
    for op in program.main.ops:
        if op.type == "fetch" and op.attr("col", 0) == 0:
            var = program.main.var_map().get(op.input_names[0]) if op.input_names else None
            dims = var.dims if var is not None else None
            return dims[-1] if dims and dims[-1] > 0 else None
    return None
