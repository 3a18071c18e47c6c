"""The models of a set as shipped files: through the passes, without what a recipe's algorithm does (minutes)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_kit.android.app_onnx import app_onnx
from edge_kit.spec import SpecProfile, profile
from model_opt.convert import Converter, ConvertOptions
from model_opt.formats import read_model
from model_opt.nb import read_nb, write_nb
from model_opt.passes import optimise
from model_opt.zoo import fetch, load_zoo

Role = Literal["det", "rec"]
Bits = Literal[8] | None
"""Weights of 8 bits, or floats: the operators and precisions of the recipes weight_int8 and fp32."""

NEW_SETS = ("pp-ocrv5-mobile", "pp-ocrv6-tiny", "pp-ocrv6-small")


@dataclass(frozen=True)
class SetFile:
    """One shipped model, and the file that the app's OpenCV engine loads for it."""

    nb: Path
    onnx: Path


def rules_of(name: str) -> SpecProfile:
    """Return the profile that a set is read with."""
    return profile(load_zoo().model_set(name).profile)


def write_set(folder: Path, name: str, converter: Converter) -> Mapping[tuple[Role, Bits], SetFile]:
    """Write both models of a set, with weights of each kind, into ``folder``."""
    row, rules = load_zoo().model_set(name), rules_of(name)
    written: dict[tuple[Role, Bits], SetFile] = {}
    models: tuple[tuple[Role, str], ...] = (("det", row.det), ("rec", row.rec))
    for role, model_name in models:
        files = fetch(model_name)
        model, _ = optimise(read_model(files.program_file, files.params_file))
        widths: tuple[Bits, ...] = (None, 8)
        for bits in widths:
            made = SetFile(*(folder / f"{name}-{role}-{bits}.{ending}" for ending in ("nb", "onnx")))
            made.nb.write_bytes(write_nb(converter.in_memory(model, ConvertOptions(weight_bits=bits))))
            made.onnx.write_bytes(app_onnx(read_nb(made.nb), role, rules))
            written[role, bits] = made
    return written
