"""What the operators of a program say before anything is run: quantised already, or nothing that the kit converts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from model_opt.zoo.files import ZooError

if TYPE_CHECKING:
    from model_opt.program import Op, Program

_QUANTISERS = frozenset(
    {"quantize_linear", "dequantize_linear", "quantize", "dequantize", "requantize", "moving_average_abs_max_scale"}
)
_FAKE = ("fake_quantize_", "fake_dequantize_", "fake_channel_wise_")
"""Operators of PaddleSlim's training-aware quantisation and of Paddle's post-training quantisation."""

_FOLDED = frozenset({"assign_value", "feed", "fetch"})
"""Operators that no converted file holds: the passes compute or drop them, or they only name inputs and outputs."""

_MOST_NAMED = 4

_FLOAT = (
    "give the float model that it was made from, exported without quantisation; the kit quantises itself: "
    "--recipe weight_int8, static_int8 or auto"
)


def check_not_quantised(program: Program, program_file: Path) -> None:
    """Raise ``ZooError`` for a program whose values or weights are integers already."""
    from model_opt.paddle_model import integer_weights

    marked = [(at, op) for at, op in enumerate(program.main.ops) if _quantises(op)]
    if marked:
        at, op = marked[0]
        raise ZooError(
            f"the model is quantised already: {len(marked):,} of its {len(program.main.ops):,} operators quantise, "
            f"the first is operator {at} ({op.type})",
            path=program_file,
            hint=_FLOAT,
        )
    held = integer_weights(program)
    if held:
        name, bits = next(iter(sorted(held.items())))
        raise ZooError(
            f"the model is quantised already: {len(held):,} weights are held as integers, such as {name!r} with "
            f"{bits} bits",
            path=program_file,
            hint=_FLOAT,
        )


def _quantises(op: Op) -> bool:
    return op.type in _QUANTISERS or op.type.startswith(_FAKE) or bool(op.attr("enable_int8", False))


def check_operators(program_file: Path, params_file: Path | None) -> None:
    """Raise ``ZooError`` naming the operators of a program that no ``.nb`` file of the kit can hold, with their places.

    What nothing reads and what training left behind is passed over. Raises ``KitError`` for a damaged model.
    """
    from model_opt.formats import read_program

    check_known(read_program(program_file, params_file), program_file)


def check_known(program: Program, program_file: Path) -> None:
    """Do what ``check_operators`` does for a program that was read from ``pdmodel``."""
    from model_opt.nb.translate import TRANSLATORS

    known = TRANSLATORS.keys() | _FOLDED
    unknown = [(at, op.type) for at, op in _needed(program) if op.type not in known]
    if not unknown:
        return
    kinds = list(dict.fromkeys(kind for _, kind in unknown))
    named = ", ".join(f"operator {at} ({kind})" for at, kind in unknown[:_MOST_NAMED])
    more = f" and {len(unknown) - _MOST_NAMED:,} more" if len(unknown) > _MOST_NAMED else ""
    raise ZooError(
        f"the kit cannot convert {named}{more}: {', '.join(kinds[:_MOST_NAMED])} "
        f"{'is' if len(kinds) == 1 else 'are'} not among the operators it knows (docs/nb-ops.md)",
        path=program_file,
        hint="export a model without them, such as one of PaddleOCR's mobile or server architectures; on this machine "
        "--engine server runs it as it is",
    )


def _needed(program: Program) -> Iterator[tuple[int, Op]]:
    """Yield the operators that an output depends on, with their places, first to last."""
    wanted: set[str] = set()
    found = []
    for at, op in reversed(list(enumerate(program.main.ops))):
        if op.type == "fetch" or wanted.intersection(op.output_names):
            wanted.update(op.input_names)
            found.append((at, op))
    yield from reversed(found)
