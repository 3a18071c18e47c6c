"""Readers of the formats that models come in. In: a program file, by its content. Out: the one program in memory.

``read_model`` reads Paddle's ``.pdmodel``, the JSON of Paddle 3 (PIR) and ONNX into the same operators, so that passes,
quantisation and lowering see no difference. ``inference_yml.read_inference_yml`` reads the settings beside a model.
"""

from __future__ import annotations

from pathlib import Path

from model_opt.formats.errors import FormatError
from model_opt.formats.kinds import Kind, kind_of, refusal
from model_opt.program import Model, Program

__all__ = ["FormatError", "Kind", "kind_of", "read_model", "read_program"]


def read_model(program: Path, params: Path | None) -> Model:
    """Read a model from its program and, for Paddle's formats, its ``.pdiparams``; ``params`` is None for ONNX.

    Raises ``KitError`` for files that are missing, damaged, of another kind, or do not belong together, and for
    operators that cannot be mapped.
    """
    kind = kind_of(program)
    if kind is None:
        raise refusal(program)
    if kind == "onnx":
        if params is not None:
            raise FormatError("an ONNX file holds its parameters itself", path=params, hint="give the ONNX file alone")
        from model_opt.formats.onnx_model import read_onnx

        return read_onnx(program.read_bytes(), program)
    if params is None:
        raise FormatError("the parameters (.pdiparams) are missing", path=program, hint="give both files of one export")
    if kind == "pir":
        from model_opt.formats.pir import read_pir

        return read_pir(program, params)
    from model_opt.paddle_model import read_model as read_paddle

    return read_paddle(program, params)


def read_program(program: Path, params: Path | None) -> Program:
    """Read what ``read_model`` reads, without Paddle's parameters, which its program does not need.

    Raises what ``read_model`` raises for the files that it opens.
    """
    if kind_of(program) != "paddle":
        return read_model(program, params).program
    from model_opt.paddle_model import read_program as read_paddle_program

    return read_paddle_program(program)
