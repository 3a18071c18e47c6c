#!/usr/bin/env python3
"""The own .nb writer against Paddle Lite's opt: the files of the public models, and programs by chance.

    python scripts/bench_nb_writer.py [--files] [--recipes] [--random N] [--first SEED] [--record]

--files compares the 66 files that need no calibration, before and after equal parts are shared; --recipes the nine of
the recipes with an algorithm, which takes minutes where the build cache does not hold their programs. --random N
compares N random programs in all, spread over families and places. --record writes the files' sums for the tests.
What is not equal is printed, and the exit code is 1 unless it is the order of independent operators alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from edge_kit.build.cache import default_cache  # noqa: E402
from edge_kit.build.runner import running  # noqa: E402
from edge_kit.jobs.models import make_models  # noqa: E402
from edge_kit.jobs.request import BuildRequest  # noqa: E402
from edge_kit.recipes import load_recipes  # noqa: E402
from edge_kit.spec import profile  # noqa: E402
from model_opt.convert import ConvertOptions, OwnWriter  # noqa: E402
from model_opt.lower import LowerError, Target, lower  # noqa: E402
from model_opt.nb import deduplicate_parts  # noqa: E402
from model_opt.nb.write import write_as_opt, write_nb  # noqa: E402
from model_opt.opt_tool import find_tool  # noqa: E402
from model_opt.paddle_model import read_model  # noqa: E402
from model_opt.program import Model  # noqa: E402
from tests.model_opt.lower_compare import verdict  # noqa: E402
from tests.model_opt.lower_files import SUMS, File, plain_files, plain_program, recipe_files, sum_of_program  # noqa: E402
from tests.model_opt.lower_random import random_program  # noqa: E402
from tests.model_opt.opt_oracle import OptGaveUp, Oracle  # noqa: E402

RANDOM = (
    ("image", Target(), ConvertOptions()),
    ("image", Target(fp16=True), ConvertOptions(fp16=True)),
    ("image", Target("x86"), ConvertOptions("x86")),
    ("image", Target("opencl"), ConvertOptions("opencl,arm")),
    ("image", Target(weight_bits=8), ConvertOptions(weight_bits=8)),
    ("rows", Target(), ConvertOptions()),
    ("rows", Target(fp16=True), ConvertOptions(fp16=True)),
    ("rows", Target("x86"), ConvertOptions("x86")),
    ("rows", Target("opencl"), ConvertOptions("opencl,arm")),
    ("rows", Target(weight_bits=16), ConvertOptions(weight_bits=16)),
    ("int8", Target(), ConvertOptions()),
)
TARGETS = {"weight_int8": "arm64", "fp16": "arm64-fp16", "static_int8": "armv7"}


def main() -> int:
    """Compare what is asked for; return 1 when something differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", action="store_true")
    parser.add_argument("--recipes", action="store_true")
    parser.add_argument("--random", type=int, default=0, metavar="N")
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    parser.add_argument("--record", action="store_true")
    asked = parser.parse_args()
    fine = True
    with Oracle(find_tool()) as oracle:
        files = [*(plain_files() if asked.files else ()), *(recipe_files() if asked.recipes else ())]
        if files:
            fine &= compare_files(files, oracle, record=asked.record)
        if asked.random:
            fine &= compare_random(asked.random, asked.first, oracle)
    return 0 if fine else 1


def compare_files(files: list[File], oracle: Oracle, *, record: bool) -> bool:
    """Compare files with opt's, print a line for each, and note their sums when ``record``."""
    programs: dict[str, Model] = {}
    sums = json.loads(SUMS.read_text(encoding="utf-8")) if SUMS.is_file() else {}
    same = 0
    print("| file | equal | shared | bytes | own (s) | opt (s) |\n|---|---|---|---|---|---|")
    for file in files:
        if file.program not in programs:
            programs[file.program] = program_of(file.program)
        model = programs[file.program]
        begin = time.perf_counter()
        opt = oracle.convert(model, file.options)
        between = time.perf_counter()
        found = lower(model, file.target)
        shared = write_nb(found)
        end = time.perf_counter()
        equal = write_as_opt(found) == opt, shared == deduplicate_parts(opt)
        same += all(equal)
        words = ["yes" if one else "NO" for one in equal]
        print(f"| {file.name} | {' | '.join(words)} | {len(shared)} | {end - between:.2f} | {between - begin:.2f} |")
        sums[file.name] = {
            "program": sum_of_program(model),
            "opt": hashlib.sha256(opt).hexdigest(),
            "shared": hashlib.sha256(deduplicate_parts(opt)).hexdigest(),
        }
    print(f"\n{same} of {len(files)} files equal opt's, before and after sharing")
    if record:
        SUMS.write_text(json.dumps(sums, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return same == len(files)


def program_of(name: str) -> Model:
    """Return a program by the name that ``lower_files`` gives it; recipes by the stages of a build."""
    role, *more = name.split()
    if not more or more[0] == "int8":
        return plain_program(name)
    request = BuildRequest(TARGETS[more[0]], more[0], Path("nowhere"), jobs=1)
    with running(default_cache(), jobs=1, on_event=lambda event: None) as run:
        made = make_models(run, request, load_recipes().row(more[0]), profile(), OwnWriter())
        found = run.result(made["det" if role == "det" else "rec"].quantised)
        assert found is not None, f"recipe {more[0]} does nothing to {role}"
        return read_model(found.program_file, found.params_file)


def compare_random(count: int, first: int, oracle: Oracle) -> bool:
    """Compare random programs with opt's files; print the tally of verdicts by family and place."""
    tally: Counter[tuple[str, str, str]] = Counter()
    begin = time.perf_counter()
    for at, (seed, family, target, options) in enumerate(_programs(first)):
        if at == count:
            break
        found = _verdict(random_program(family, seed, fp16=target.fp16), target, options, oracle)
        tally[family, options.label, found.split(":")[0]] += 1
        if found not in ("equal", "reordered"):
            print(f"{family} {seed} {options.label}: {found}", flush=True)
    verdicts = sorted({verdict for _, _, verdict in tally})
    print(f"| family | place | {' | '.join(verdicts)} |\n|---|---|{'---|' * len(verdicts)}")
    for family, label in dict.fromkeys((family, label) for family, label, _ in tally):
        print(f"| {family} | {label} | {' | '.join(str(tally[family, label, one]) for one in verdicts)} |")
    sums = {one: sum(n for key, n in tally.items() if key[2] == one) for one in verdicts}
    print(f"\n{sums} of {count} programs in {time.perf_counter() - begin:.0f} s")
    return set(sums) <= {"equal", "reordered"}


def _programs(first: int) -> Iterator[tuple[int, str, Target, ConvertOptions]]:
    seed = first
    while True:
        for family, target, options in RANDOM:
            yield seed, family, target, options
        seed += 1


def _verdict(model: Model, target: Target, options: ConvertOptions, oracle: Oracle) -> str:
    try:
        opt = oracle.convert(model, options)
    except OptGaveUp as error:
        return f"opt gave up: {str(error)[-160:]}"
    try:
        return verdict(write_as_opt(lower(model, target)), opt)
    except LowerError as error:
        return f"refused: {error.what}"


if __name__ == "__main__":
    sys.exit(main())
