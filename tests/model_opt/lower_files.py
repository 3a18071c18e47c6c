"""The files of the public models that pin the writer: each model, place and precision, with opt's sums of them.

``nb_sums.json`` holds for each file the sum of the program that it is made of, of opt's canonical bytes, and of those
with equal parts shared. ``scripts/bench_nb_writer.py --record`` writes it with opt beside it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_opt.convert import ConvertOptions
from model_opt.formats import read_model
from model_opt.lower import Target
from model_opt.paddle_model.params import encode_params
from model_opt.paddle_model.proto import encode_program
from model_opt.passes import optimise
from model_opt.program import Model
from model_opt.zoo import fetch
from tests.model_opt.lower_random import in_int8

SUMS = Path(__file__).resolve().parent / "nb_sums.json"
MODELS = {"det": "PP-OCRv4_mobile_det", "rec": "PP-OCRv4_mobile_rec", "cls": "ch_ppocr_mobile_v2.0_cls"}
LATER = {
    "v5-mobile-det": "PP-OCRv5_mobile_det",
    "v5-mobile-rec": "PP-OCRv5_mobile_rec",
    "v6-tiny-det": "PP-OCRv6_tiny_det",
    "v6-tiny-rec": "PP-OCRv6_tiny_rec",
    "v6-small-det": "PP-OCRv6_small_det",
    "v6-small-rec": "PP-OCRv6_small_rec",
}
"""The models of the sets after PP-OCRv4, read from PIR and ONNX."""
LATER_PLACES = ("arm-fp32", "opencl-fp32", "x86-fp32", "arm-weight_int8", "arm-fp16")
INT8_SHARES = (0.5, 0.6, 0.7, 1.0)
PLACES: Mapping[str, tuple[Target, ConvertOptions]] = {
    "arm-fp32": (Target(), ConvertOptions()),
    "arm-fp16": (Target(fp16=True), ConvertOptions(fp16=True)),
    "arm-weight_int8": (Target(weight_bits=8), ConvertOptions(weight_bits=8)),
    "arm-weight_int16": (Target(weight_bits=16), ConvertOptions(weight_bits=16)),
    "x86-fp32": (Target("x86"), ConvertOptions("x86")),
    "x86-weight_int8": (Target("x86", weight_bits=8), ConvertOptions("x86", weight_bits=8)),
    "x86-weight_int16": (Target("x86", weight_bits=16), ConvertOptions("x86", weight_bits=16)),
    "opencl-fp32": (Target("opencl"), ConvertOptions("opencl,arm")),
    "opencl-fp16": (Target("opencl", fp16=True), ConvertOptions("opencl,arm", fp16=True)),
    "opencl-weight_int8": (Target("opencl", weight_bits=8), ConvertOptions("opencl,arm", weight_bits=8)),
    "opencl-weight_int16": (Target("opencl", weight_bits=16), ConvertOptions("opencl,arm", weight_bits=16)),
}
OPT_ENDS = frozenset({("cls", "opencl-fp16")})
"""What opt aborts on, and the writer refuses."""


@dataclass(frozen=True)
class File:
    """One file: of which program, where it runs."""

    name: str
    program: str
    place: str

    @property
    def target(self) -> Target:
        return PLACES[self.place][0]

    @property
    def options(self) -> ConvertOptions:
        return PLACES[self.place][1]


def plain_files() -> Iterator[File]:
    """Yield the files that need no calibration.

    32 of the three models of PP-OCRv4, four of its detector in int8 by chance, 30 of the six models of v5 and v6.
    """
    for role in MODELS:
        yield from (File(f"{role} {place}", role, place) for place in PLACES if (role, place) not in OPT_ENDS)
    yield from (File(f"det int8 {share}", f"det int8 {share}", "arm-fp32") for share in INT8_SHARES)
    yield from (File(f"{name} {place}", name, place) for name in LATER for place in LATER_PLACES)


def recipe_files() -> Iterator[File]:
    """Yield the nine files of the recipes whose algorithms look at images."""
    for role in ("det", "rec"):
        for place in ("arm-fp32", "opencl-fp32", "x86-fp32"):
            yield File(f"{role} recipe weight_int8 {place}", f"{role} weight_int8", place)
        yield File(f"{role} recipe fp16", f"{role} fp16", "arm-fp16")
    yield File("det recipe static_int8", "det static_int8", "arm-fp32")


def plain_program(name: str) -> Model:
    """Return an optimised model by its name in ``MODELS`` or ``LATER``, or ``det`` with a share of it in int8."""
    role, *more = name.split()
    files = fetch((MODELS | LATER)[role])
    model = optimise(read_model(files.program_file, files.params_file))[0]
    if not more:
        return model
    share = float(more[-1])
    return in_int8(model, np.random.default_rng(int(10 * share)), share)


def sum_of_program(model: Model) -> str:
    """Return the sum of a program and its parameters."""
    return hashlib.sha256(encode_program(model.program) + encode_params(model.params)).hexdigest()


def recorded() -> dict[str, dict[str, str]]:
    """Return the recorded sums by the files' names."""
    return json.loads(SUMS.read_text(encoding="utf-8"))
