"""``edge-kit overflow MODEL.nb PATH…``: which convolutions leave fp16's range on given images, and by how much."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge_kit.cli.emulate import read_tensor
from edge_kit.cli.render import console, table, write_json
from edge_kit.engines.base import Float32Array
from edge_kit.inputs import expand
from edge_kit.ocr.detection import detection_input
from edge_kit.spec import profile
from model_opt.emulator import FP16_MAX, Overflow, overflow_check
from model_opt.errors import KitError
from model_opt.nb import NbModel, inspect_nb, precision_of, read_nb


def run_overflow(model: Path, paths: Sequence[str], *, as_json: bool) -> int:
    """Print the convolutions of a fp16 ``.nb`` file that overflow on images or tensors; return 1 if there are any.

    Images become the detector's input by the specification, ``.npy`` files are tensors. Each convolution is listed with
    the input on which it goes furthest. Raises ``KitError`` for a file of other kernels and inputs that do not fit.
    """
    loaded = read_nb(model)
    if precision_of(loaded) != "fp16":
        raise KitError(
            f"the file computes in {precision_of(loaded)}, and only fp16 overflows",
            path=model,
            hint="convert the model for fp16 first: edge-kit build --target arm64-fp16 --recipe fp16",
        )
    name = inspect_nb(loaded).inputs[0].name
    worst: dict[int, tuple[Overflow, str]] = {}
    count = 0
    for source, tensor in _tensors(paths):
        count += 1
        for found in overflow_check(loaded, {name: tensor}):
            if found.position not in worst or _reach(found) > _reach(worst[found.position][0]):
                worst[found.position] = (found, source)
    rows = [worst[position] for position in sorted(worst)]
    if as_json:
        write_json([{**dataclasses.asdict(found), "source": source} for found, source in rows])
    else:
        _print(loaded, rows, count)
    return 1 if rows else 0


def _tensors(paths: Sequence[str]) -> Iterator[tuple[str, Float32Array]]:
    rules = profile(None)
    for path in paths:
        if path.endswith(".npy"):
            yield path, read_tensor(Path(path))
            continue
        for source in expand(path):
            yield source.input_path or path, detection_input(source.load(rules.image.alpha), rules.detection)


def _reach(found: Overflow) -> float:
    return max(found.max_transformed, found.max_output)


def _print(model: NbModel, rows: Sequence[tuple[Overflow, str]], count: int) -> None:
    if not rows:
        console().print(f"{model.path}: no convolution leaves fp16's range on {count} inputs", markup=False)
        return
    headings = ("operator", "weights", "algorithm", "input", "transformed", "output", "times the limit", "on")
    numbers = [
        (
            found.position,
            found.filter,
            found.algorithm,
            *(f"{value:,.0f}" for value in (found.max_input, found.max_transformed, found.max_output)),
            f"{_reach(found) / FP16_MAX:.2f}",
            Path(source).name,
        )
        for found, source in rows
    ]
    title = f"convolutions beyond fp16's limit of {FP16_MAX:,.0f}, the furthest of {count} inputs each"
    console().print(table(headings, numbers, title))
