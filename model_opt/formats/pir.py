"""Models of Paddle 3: ``inference.json`` (PIR) and ``inference.pdiparams`` into the one program in memory.

The program is what Paddle writes as ``.pdmodel`` for the same network, so that nothing behind this reader can tell
which of the two files a model came from. The parameters keep their format, ``paddle_model.params``.
"""

from __future__ import annotations

from pathlib import Path

from model_opt.formats.errors import FormatError
from model_opt.formats.pir_draft import Draft
from model_opt.formats.pir_json import DAMAGED, PirOp, PirProgram, parse_program
from model_opt.formats.pir_ops import RULES
from model_opt.paddle_model import complete
from model_opt.paddle_model.params import decode_params
from model_opt.program import Model, Program

_MOST_NAMED = 4


def read_pir(program: Path, params: Path) -> Model:
    """Read a model. Raises ``KitError`` for files that are missing, damaged or do not belong together, and for
    operators that have no counterpart.
    """
    return decode_pir(_read(program), _read(params), program, params)


def decode_pir(
    program: bytes, params: bytes, program_path: Path | None = None, params_path: Path | None = None
) -> Model:
    """Return the model that the bytes of its two files hold; raises as ``read_pir`` does. Paths are for messages."""
    decoded = decode_program(program, program_path)
    model = Model(decoded, decode_params(params, decoded, params_path))
    used = {name for op in decoded.ops for name in op.input_names}
    unread = [name for name in model.params if name not in used]
    return complete(model.with_program(decoded.with_main(decoded.main.without_vars(unread))))[0]


def decode_program(program: bytes, path: Path | None = None) -> Program:
    """Return the program in the bytes of an ``inference.json``; every parameter is declared, read or not."""
    try:
        return _mapped(_needed(parse_program(program)))
    except FormatError as error:
        raise error if path is None or error.path else FormatError(error.what, path=path, hint=error.hint) from error


def _needed(program: PirProgram) -> PirProgram:
    """Return the program without operators that no output depends on."""
    wanted: set[int] = set()
    kept = []
    for op in reversed(program.ops):
        if op.kind in ("fetch", "data", "feed") or wanted.intersection(value.number for value in op.outputs):
            wanted.update(op.inputs)
            kept.append(op)
    if not any(op.kind == "fetch" for op in kept):
        raise FormatError("the program has no output", hint=DAMAGED)
    return PirProgram(program.params, tuple(reversed(kept)))


def _mapped(program: PirProgram) -> Program:
    unknown = [op for op in program.ops if op.kind not in RULES]
    if unknown:
        _refuse(unknown)
    draft = Draft(program)
    for op in program.ops:
        RULES[op.kind](draft, op)
    return draft.finish()


def _refuse(unknown: list[PirOp]) -> None:
    named = ", ".join(f"operator {op.place} ({op.name})" for op in unknown[:_MOST_NAMED])
    more = f" and {len(unknown) - _MOST_NAMED:,} more" if len(unknown) > _MOST_NAMED else ""
    raise FormatError(
        f"the kit cannot read {named}{more}",
        hint="export a model without them, such as one of PaddleOCR's mobile architectures",
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise FormatError(f"cannot read the model: {error}", path=path, hint="check the path") from error
