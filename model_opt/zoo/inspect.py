"""What a model's program says of itself, and whether that fits its kind and its row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model_opt.zoo.files import KINDS, Kind, ZooError
from model_opt.zoo.rows import Row

if TYPE_CHECKING:
    from model_opt.program import Program

OUTPUT_RANK: dict[Kind, int] = {"det": 4, "rec": 3, "cls": 2}
"""Sizes of the first output: a map [N, 1, H, W], steps [N, T, classes], classes [N, classes]."""


@dataclass(frozen=True)
class Interface:
    """Input and first output of a program; -1 is a free size, ``output_shape`` is empty when it is not stated."""

    input_name: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]

    @property
    def classes(self) -> int | None:
        """The last size of the output, None where it is free."""
        return self.output_shape[-1] if self.output_shape and self.output_shape[-1] > 0 else None


def read_interface(program_file: Path, params_file: Path | None) -> Interface:
    """Read the files completely and return the interface; ``params_file`` is None where the program holds all.

    Raises ``ZooError`` for an empty file, for a program without exactly one input and for one that is quantised
    already, ``PaddleModelError`` and ``FormatError`` for files that are damaged or don't belong together.
    """
    from model_opt.formats import read_model
    from model_opt.zoo.operators import check_not_quantised

    for path in (program_file, params_file):
        if path is not None and path.is_file() and path.stat().st_size == 0:
            raise ZooError("the file is empty (0 bytes)", path=path, hint="export or download the model again")
    program = read_model(program_file, params_file).program
    check_not_quantised(program, program_file)
    return interface_of(program, program_file)


def interface_of(program: Program, program_file: Path) -> Interface:
    """Return the interface of a program that was read from ``pdmodel``; ``ZooError`` without exactly one input."""
    main = program.main
    variables = main.var_map()
    inputs = [op.output_names[0] for op in main.ops if op.type == "feed" and op.output_names]
    fetches = [op for op in main.ops if op.type == "fetch" and op.input_names]
    if len(inputs) != 1 or not fetches:
        raise ZooError(
            f"the program has {len(inputs)} inputs and {len(fetches)} outputs; one image goes in, one tensor comes out",
            path=program_file,
            hint="give an exported inference model of a detector, recogniser or classifier",
        )
    first = min(fetches, key=lambda op: _number(op.attr("col", 0)))
    given, made = variables.get(inputs[0]), variables.get(first.input_names[0])
    return Interface(
        inputs[0],
        tuple(given.dims) if given is not None and given.dims else (),
        tuple(made.dims) if made is not None and made.dims else (),
    )


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def check_kind(interface: Interface, kind: Kind, program_file: Path) -> None:
    """Raise ``ZooError`` when the program cannot be a model of ``kind``."""
    shape, output = interface.input_shape, interface.output_shape
    if len(shape) != 4 or shape[1] not in (-1, 3):
        raise ZooError(
            f"the input {interface.input_name!r} is {list(shape)}, and a {kind} model takes [N, 3, H, W]",
            path=program_file,
        )
    fits = len(output) in (0, OUTPUT_RANK[kind]) and not (kind == "det" and output and output[1] not in (-1, 1))
    if not fits:
        like = [other for other in KINDS if OUTPUT_RANK[other] == len(output) and other != kind]
        raise ZooError(
            f"the output is {list(output)}, which is not that of a {kind} model"
            + (f" but of {like[0]}" if like else ""),
            path=program_file,
            hint="check which model was given for what",
        )


def check_sizes(interface: Interface, kind: Kind, program_file: Path) -> None:
    """Raise ``ZooError`` when the program fixes sizes that differ from image to image.

    A batch of one is what the kit runs; a recogniser's height, and its width too, may be fixed: lines are brought to
    that size.
    """
    batch, _, *sides = interface.input_shape
    fixed = [f"{side} {size}" for side, size in zip(("height", "width"), sides, strict=True) if size > 0]
    if batch not in (-1, 1):
        raise ZooError(
            f"the program is made for batches of {batch}, and images are run one at a time",
            path=program_file,
            hint=f"export it again with a free batch: {_free(kind, sides)}",
        )
    if kind == "det" and fixed:
        raise ZooError(
            f"the program is made for images of one size ({', '.join(fixed)}), and a detector takes pages of any",
            path=program_file,
            hint=f"export it again with free sizes: {_free(kind, sides)}",
        )


def _free(kind: Kind, sides: Sequence[int]) -> str:
    """Return how to export a model of ``kind`` so that every image fits."""
    height = str(sides[0]) if kind == "rec" and sides[0] > 0 else "-1"
    return (
        f"InputSpec([None, 3, {height}, -1]) for paddle.jit.to_static, as PaddleOCR's tools/export_model.py does "
        "without Global.infer_shape and d2s_train_image_shape"
    )


def check_row(interface: Interface, row: Row, program_file: Path) -> None:
    """Raise ``ZooError`` when the program is not what the zoo says of it."""
    check_kind(interface, row.kind, program_file)
    said = (row.input_name, list(row.input_shape))
    found = (interface.input_name, list(interface.input_shape))
    clash = any(a > 0 and b > 0 and a != b for a, b in zip(said[1], found[1], strict=True))
    if said[0] != found[0] or clash:
        raise ZooError(
            f"{row.name}: the program's input is {found[0]} {found[1]}, the list of models says {said[0]} {said[1]}",
            path=program_file,
            hint=f"this {program_file.name} is of another model: check the source",
        )
    if row.classes is not None and interface.classes not in (None, row.classes):
        raise ZooError(
            f"{row.name}: the program has {interface.classes} classes, the list of models says {row.classes}",
            path=program_file,
            hint=f"this {program_file.name} is of another model: check the source",
        )
    check_sizes(interface, row.kind, program_file)
