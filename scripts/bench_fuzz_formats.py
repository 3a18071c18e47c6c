#!/usr/bin/env python3
"""Feed the readers of ``model_opt.formats`` damaged files: typed errors only, in bounded time and memory.

    python scripts/bench_fuzz_formats.py --count 300000 [--only pir] [FOLDER ...]

Each run takes one format in turn. ``pir``: bytes or JSON values of ``inference.json``, operators of the program, bytes
of ``inference.pdiparams``; a program that can be read goes through the checks and the passes and is written again.
``yml``: bytes, lines or values of ``inference.yml``. ``kind``: bytes of programs, to be recognised. ``onnx``: bytes
of an ONNX file, or nodes, attributes, weights and names in it; what can be read goes on as for ``pir``. The files are
the tests' small ones, and those of the folders (``inference.json``, ``.pdiparams`` and ``.yml``, ``*.onnx``). What
breaks the promise is written to ``--out`` and the exit code is 1. The same seed and count repeat the same runs; SIGTERM
ends them early, with the figures so far.
"""

from __future__ import annotations

import io
import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from bench_fuzz_program import try_model  # noqa: E402
from fuzzing import Outcome, fuzz, options, promised  # noqa: E402

from model_opt.config import load_yaml  # noqa: E402
from model_opt.errors import KitError  # noqa: E402
from model_opt.formats.inference_yml import parse_inference_yml  # noqa: E402
from model_opt.formats.kinds import describe, kind_in  # noqa: E402
from model_opt.formats.onnx_model import read_onnx  # noqa: E402
from model_opt.formats.pir import decode_pir  # noqa: E402
from model_opt.formats.pir_ops import RULES  # noqa: E402
from tests.model_opt.formats import onnx_cases, pir_cases, yml_cases  # noqa: E402
from tests.model_opt.formats.document_mutator import json_bytes, mutate_document, mutate_operators  # noqa: E402
from tests.model_opt.formats.onnx_mutator import mutate_onnx  # noqa: E402
from tests.model_opt.program_cases import CASES  # noqa: E402
from tests.model_opt.program_mutator import file_bytes, mutate_bytes  # noqa: E402

PIR_NAMES = tuple(name.replace("builtin.", "0.") if "." in name else f"1.{name}" for name in RULES)

Files = dict[str, bytes]


@dataclass(frozen=True)
class Format:
    """One format: complete files by name, how one is damaged, and what is done with it (the outcome comes back)."""

    seeds: Sequence[Files]
    damage: Callable[[random.Random, Files], Files]
    attempt: Callable[[Files], str]


# ---- PIR


def damage_pir(rng: random.Random, files: Files) -> Files:
    """Damage the program's text, values or operators, or the parameters."""
    program, kind = files["inference.json"], rng.random()
    if kind < 0.1:
        return files | {"inference.pdiparams": mutate_bytes(rng, files["inference.pdiparams"])}
    if kind < 0.3:
        return files | {"inference.json": mutate_bytes(rng, program)}
    document = json.loads(program)
    made = mutate_document(rng, document) if kind < 0.6 else mutate_operators(rng, document, PIR_NAMES)
    return files | {"inference.json": json_bytes(made)}


def try_pir(files: Files) -> str:
    """Read a model of Paddle 3 and go on as a build does."""
    try:
        model = decode_pir(files["inference.json"], files["inference.pdiparams"])
    except KitError:
        return "refused"
    return try_model(model)


# ---- inference.yml


def damage_yml(rng: random.Random, files: Files) -> Files:
    """Damage the text, its lines, or the values that it holds."""
    data, kind = files["inference.yml"], rng.random()
    if kind < 0.4:
        return {"inference.yml": mutate_bytes(rng, data)}
    if kind < 0.6:
        return {"inference.yml": _other_lines(rng, data)}
    made = mutate_document(rng, load_yaml(data))
    try:
        return {"inference.yml": _yaml_bytes(made)}
    except UnicodeEncodeError:
        return {"inference.yml": _other_lines(rng, data)}


def _other_lines(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    at, to = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(5)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines[at], lines[to] = lines[to], lines[at]
    elif kind == 2:
        lines.insert(to, lines[at])
    elif kind == 3:
        lines[at] = b" " * rng.randrange(5) + lines[at].lstrip()
    else:
        spoilt = (
            b"&a [*a]",
            b"<<: *id001",
            b"!!python/object:os.system x",
            b"? [a]",
            b"- ~",
            b"...",
            b"\t- x",
            b"%TAG",
        )
        lines[at] = rng.choice(spoilt)
    return b"\n".join(lines)


def _yaml_bytes(document: Any) -> bytes:
    import yaml

    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False).encode()


def try_yml(files: Files) -> str:
    """Read the settings of a model."""
    try:
        found = parse_inference_yml(files["inference.yml"])
    except KitError:
        return "refused"
    if found.dictionary is not None and any(not entry for entry in found.dictionary.characters):
        raise AssertionError("an empty character")
    return f"read as {found.kind}"


# ---- the kind of a file


def try_kind(files: Files) -> str:
    """Tell which format a file has, or what it is instead."""
    (data,) = files.values()
    kind = kind_in(io.BytesIO(data))
    if kind is None:
        found, hint = describe(data[:4096])
        assert found
        assert hint
    return f"{kind}"


def damage_any(rng: random.Random, files: Files) -> Files:
    """Damage the bytes of the one file."""
    return {name: mutate_bytes(rng, data) for name, data in files.items()}


# ---- ONNX


def damage_onnx(rng: random.Random, files: Files) -> Files:
    """Damage the bytes, or what the message holds."""
    data = files["inference.onnx"]
    return {"inference.onnx": mutate_bytes(rng, data) if rng.random() < 0.3 else mutate_onnx(rng, data)}


def try_onnx(files: Files) -> str:
    """Read an ONNX file and go on as a build does."""
    try:
        model = read_onnx(files["inference.onnx"], None)
    except KitError:
        return "refused"
    return try_model(model)


# ---- runs


def formats(folders: Sequence[Path] = ()) -> dict[str, Format]:
    """Return the formats by name, with the tests' small files and those of ``folders``."""
    pir, yml = [], [{"inference.yml": text.encode()} for text in yml_cases.CASES.values()]
    for make in pir_cases.CASES.values():
        program, params = make().files
        pir.append({"inference.json": program, "inference.pdiparams": params})
    for folder in folders:
        held = {path.name: path.read_bytes() for path in folder.glob("inference.*")}
        pir += [held] if {"inference.json", "inference.pdiparams"} <= held.keys() else []
        yml += [{"inference.yml": held["inference.yml"]}] if "inference.yml" in held else []
    onnx = [{"inference.onnx": case.file} for case in onnx_cases.CASES.values()]
    onnx += [{"inference.onnx": path.read_bytes()} for folder in folders for path in sorted(folder.glob("*.onnx"))]
    programs = [{"inference.pdmodel": file_bytes(make())[0]} for make in CASES.values()]
    programs += [{"inference.json": files["inference.json"]} for files in pir] + onnx
    return {
        "pir": Format(pir, damage_pir, try_pir),
        "yml": Format(yml, damage_yml, try_yml),
        "kind": Format(programs, damage_any, try_kind),
        "onnx": Format(onnx, damage_onnx, try_onnx),
    }


def one_run(rng: random.Random, tried: Format) -> Outcome:
    """Damage one file and read it; return the outcome and, for a broken promise, the files that break it."""
    files = tried.damage(rng, rng.choice(tried.seeds))
    outcome, broken = promised(files, lambda: tried.attempt(files))
    return outcome[:300], broken


def main() -> int:
    """Parse, run, report."""
    parser = options(__doc__, "folders of models, beside the tests' small ones")
    parser.add_argument("--only", help="one format instead of all in turn")
    args = parser.parse_args()
    known, rng = formats(args.folders), random.Random(args.seed)
    names = [args.only] if args.only else list(known)

    def one(number: int) -> tuple[str, Outcome]:
        name = names[number % len(names)]
        return f"{name}: ", one_run(rng, known[name])

    return fuzz(args.count, args.out, one)


if __name__ == "__main__":
    sys.exit(main())
