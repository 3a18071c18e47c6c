"""A bulk run: manifest, shards that are still to do, answers of the workers, one commit for each complete shard."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_kit.batch.compare import Verdict, judge, sums_of
from edge_kit.batch.inputs import Entry, check_inputs
from edge_kit.batch.manifest import prepare_manifest, read_manifest
from edge_kit.batch.rows import Answer
from edge_kit.batch.shards import Committed, Shards, check_format
from edge_kit.batch.tables import COMPARE
from edge_kit.batch.work import settle
from edge_kit.ocr.result import make_folder
from model_opt.errors import KitError
from model_opt.fs import disk_faults, file_lock, folder_lock

Execute = Callable[[Iterator[Entry]], Iterator[Answer]]
"""Reads entries: yields one answer for each, in any order."""


@dataclass(frozen=True)
class Progress:
    """How far a run is. Inputs of complete shards of earlier runs count as ``skipped``, not as ``done``."""

    phase: str
    """``manifest`` while inputs are listed and summed, then ``read``."""
    done: int
    total: int | None = None
    skipped: int = 0
    failed: int = 0
    """Inputs with an error, of this run."""


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Comparison:
    """Which engines are compared, and whose gates judge."""

    reference: str
    candidate: str
    recipe: str


@dataclass(frozen=True)
class BatchRun:
    """What to read, where to, and what the rows have in common (``work.describe``)."""

    inputs: tuple[str, ...]
    out: Path
    form: str
    shard_size: int
    description: Mapping[str, Any]
    schema: str = "kit"
    comparison: Comparison | None = None


@dataclass(frozen=True)
class Summary:
    """What a folder holds when a run has ended."""

    inputs: int
    rows: int
    failed: int
    """Inputs with an error."""
    read: int
    """Inputs that this run read; the others were there."""
    verdict: Verdict | None = None

    @property
    def passed(self) -> bool:
        """Whether every input was read and, in a comparison, every gate passed."""
        return self.failed == 0 and (self.verdict is None or self.verdict.passed)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON types."""
        counts = {"inputs": self.inputs, "rows": self.rows, "failed": self.failed, "read": self.read}
        return counts | ({} if self.verdict is None else {"comparison": self.verdict.to_dict()})


def check_run(inputs: Sequence[str], out: Path, form: str) -> None:
    """Raise ``KitError`` for inputs, a format or an output folder that cannot be; nothing is made."""
    check_format(form)
    check_inputs(inputs)
    if out.exists() and not out.is_dir():
        raise KitError("--out names a file, and a folder is needed", path=out, hint="name a new or an empty folder")


def run_batch(run: BatchRun, execute: Execute, on_progress: OnProgress) -> Summary:
    """Read what is not yet read and return what the folder holds.

    Raises ``KitError`` for a folder of another run, changed inputs, a folder that another process writes to, a full
    disk. Whatever ends it, complete shards stay, and the next run goes on behind them.
    """
    shards = Shards(run.out, run.form, run.shard_size, COMPARE if run.comparison else run.schema)
    with _alone(make_folder(run.out)):
        settle(run.out, run.description)
        total = prepare_manifest(run.out, run.inputs, lambda count: on_progress(Progress("manifest", count)))
        done = shards.committed()
        before = sum(one.inputs for one in done.values())
        counted = _Counted(total, before, on_progress)
        for one in _read(run, shards, total, set(done), execute, counted):
            done[one.shard] = one
    return _summary(run, [done[number] for number in sorted(done)], counted.done)


class _Counted:
    """Counts answers and says how far the run is."""

    def __init__(self, total: int, skipped: int, on_progress: OnProgress) -> None:
        self.done = self.failed = 0
        self._total, self._skipped, self._say = total, skipped, on_progress
        self._tell()

    def add(self, answer: Answer) -> None:
        """Count an answer."""
        self.done += 1
        self.failed += answer.failed
        self._tell()

    def _tell(self) -> None:
        self._say(Progress("read", self.done, self._total, self._skipped, self.failed))


def _read(
    run: BatchRun, shards: Shards, total: int, done: set[int], execute: Execute, counted: _Counted
) -> Iterator[Committed]:
    """Have the entries of missing shards read, and commit each shard when all its answers are there."""
    if len(done) * run.shard_size >= total:
        return
    entries = (entry for entry in read_manifest(run.out) if entry.index // run.shard_size not in done)
    waiting: dict[int, list[Answer]] = {}
    with closing(execute(entries)) as answered:  # type: ignore[type-var]
        for answer in answered:
            counted.add(answer)
            number = answer.index // run.shard_size
            answers = waiting.setdefault(number, [])
            answers.append(answer)
            if len(answers) == len(shards.range(number, total)):
                yield shards.commit(number, answers, sums_of(answers) if run.comparison else None)
                del waiting[number]
    if waiting:
        raise KitError("the workers ended before every input was read", path=run.out, hint="run the command again")


def _summary(run: BatchRun, done: Sequence[Committed], read: int) -> Summary:
    inputs, rows, failed = (sum(getattr(one, name) for one in done) for name in ("inputs", "rows", "failed"))
    verdict = None
    if run.comparison is not None:
        asked = run.comparison
        sums = [one.sums for one in done if one.sums is not None]
        verdict = judge(asked.reference, asked.candidate, asked.recipe, sums)
    return Summary(inputs, rows, failed, read, verdict)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the output folder against other runs: the folder itself, or a file in it where folders have no locks."""
    busy = KitError("another run writes to this folder", path=out, hint="wait for it, or choose another --out")

    def refuse() -> None:
        raise busy

    with ExitStack() as held:
        with disk_faults("lock the output folder", out):
            if not held.enter_context(folder_lock(out, refuse)):
                held.enter_context(file_lock(out / ".lock", refuse))
        yield
