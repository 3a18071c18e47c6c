#!/usr/bin/env python3
"""Feed the reader of Paddle programs, its checks and the passes damaged models: typed errors only, and quickly.

    python scripts/bench_fuzz_program.py --count 300000 [FOLDER ...]

A run damages one of the models in the folders, or of the tests' small ones when none is given, in one of two ways.
Bytes: bits, numbers, pieces cut out, doubled or moved in ``.pdmodel`` or ``.pdiparams``. Structure (``--structure``,
the share of the runs): attributes, operators, arguments, sizes and parameters of a model that was read, which only the
checks and the passes can notice; what fails so is tried once more by way of its files before it counts. A model goes
through what ``build`` does before a converter is called: read, checked (kind, sizes, quantisation, operators),
completed, optimised, encoded again. What breaks the promise is written to ``--out`` and the exit code is 1. The same
seed and count repeat the same runs; SIGTERM ends them early, with the figures so far.
"""

from __future__ import annotations

import functools
import random
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from fuzzing import HANG_SECONDS, Outcome, fuzz, options, promised  # noqa: E402

from model_opt.errors import KitError  # noqa: E402
from model_opt.opt_tool.conv_pairs import kept_apart  # noqa: E402
from model_opt.paddle_model import complete, decode_model, read_model  # noqa: E402
from model_opt.passes import optimise  # noqa: E402
from model_opt.program import Model  # noqa: E402
from model_opt.zoo.inspect import interface_of  # noqa: E402
from model_opt.zoo.operators import check_known, check_not_quantised  # noqa: E402
from tests.model_opt.program_cases import CASES  # noqa: E402
from tests.model_opt.program_mutator import file_bytes, mutate_bytes, mutate_model  # noqa: E402

FILE_SHARE = 0.1
NOWHERE = Path("inference.pdmodel")


def try_files(program: bytes, params: bytes, deep: bool = True) -> str:
    """Read two files and go on as ``try_model`` does; return what came of it."""
    try:
        model = decode_model(program, params)
    except KitError:
        return "reader: refused"
    return try_model(model, deep)


def try_model(model: Model, deep: bool = True) -> str:
    """Check, complete, optimise (``deep``) and encode a model; return ``optimised``, or who refused it."""
    try:
        check_not_quantised(model.program, NOWHERE)
        interface_of(model.program, NOWHERE)
        check_known(model.program, NOWHERE)
    except KitError:
        return "checks: refused"
    if not deep:
        file_bytes(kept_apart(complete(model)[0]))
        return "checks: passed"
    try:
        made, _ = optimise(model)
    except KitError:
        return "passes: refused"
    file_bytes(kept_apart(complete(made)[0]))
    return "passes: optimised"


def one_run(rng: random.Random, models: list[Model], structure: float, passes: float = 1.0) -> Outcome:
    """Damage one model and try it; return the outcome and, for a broken promise, the files that break it."""
    model = rng.choice(models)
    if rng.random() >= structure:
        program, params = _files_of(model)
        if rng.random() < 0.75:
            program = mutate_bytes(rng, program)
        else:
            params = mutate_bytes(rng, params)
        return _promised(program, params, rng.random() < passes)
    try:
        damaged = mutate_model(rng, model, models)
        if rng.random() < FILE_SHARE:
            return _promised(*file_bytes(damaged))
    except (ValueError, TypeError, OverflowError):
        return "no such file", None  # the damage is none that a file can hold
    try:
        return try_model(damaged), None
    except Exception:  # noqa: BLE001  do files do the same?
        signal.alarm(HANG_SECONDS)
        return _promised(*file_bytes(damaged))


@functools.cache
def _files_of(model: Model) -> tuple[bytes, bytes]:
    return file_bytes(model)


def _promised(program: bytes, params: bytes, deep: bool = True) -> Outcome:
    files = {"inference.pdmodel": program, "inference.pdiparams": params}
    return promised(files, lambda: try_files(program, params, deep))


def main() -> int:
    """Parse, run, report."""
    parser = options(__doc__, "folders of models (default: the tests' small ones)")
    parser.add_argument("--structure", type=float, default=0.2, help="share of runs that damage a model that was read")
    parser.add_argument("--passes", type=float, default=1.0, help="share of readable damaged files that the passes get")
    args = parser.parse_args()
    models = [read_model(f / "inference.pdmodel", f / "inference.pdiparams") for f in args.folders]
    models = models or [make() for make in CASES.values()]
    rng = random.Random(args.seed)
    return fuzz(args.count, args.out, lambda _: ("", one_run(rng, models, args.structure, args.passes)))


if __name__ == "__main__":
    sys.exit(main())
