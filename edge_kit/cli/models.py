"""``edge-kit models list|fetch|verify``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from edge_kit.cli.render import console, show, table
from edge_kit.settings import DEFAULT_CLS, looks_like_path
from model_opt import zoo


def run_list(*, as_json: bool) -> None:
    """Print the sets and the rows of the zoo."""
    known = zoo.load_zoo()
    rows = [known.row(name) for name in known.names]
    document = [{"name": r.name, "kind": r.kind, "sources": [s.label for s in r.sources]} for r in rows]
    cells = [(r.name, r.kind, ", ".join(s.label for s in r.sources)) for r in rows]
    show(document, table(("name", "kind", "sources, in order"), cells), as_json=as_json)
    if not as_json:
        chosen = [(s.name, s.det, s.rec, s.profile, s.about) for s in known.sets.values()]
        console().print(table(("set (--models)", "detector", "recogniser", "profile", "about"), chosen))


def run_fetch(names: tuple[str, ...], *, offline: bool) -> None:
    """Fetch models into the cache and print where their files are."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    with bar:
        for name in _rows(names):
            files = zoo.fetch(name, offline=offline, progress=_on(bar))
            sys.stdout.write(f"{name}\t{files.program_file.parent}\n")


def run_verify_models(names: tuple[str, ...]) -> int:
    """Check cached files against their sums, and models given by path for what the kit can build of them.

    Returns 1 when a cached file is missing or changed. Raises ``KitError`` for a model of the user's own that the kit
    cannot use, with the reason and the way out.
    """
    own, cached = [], []
    for name in _rows(names):
        if looks_like_path(name):
            own.append((name, zoo.check_model(Path(name)), "ok"))
        else:
            cached += [(name, v.file, v.state) for v in zoo.verify(name)]
    for headings, rows in ((("model", "file", "state"), cached), (("your model", "kind", "state"), own)):
        if rows:
            console().print(table(headings, rows))
    return 0 if all(state == "ok" for _, _, state in cached) else 1


def _rows(names: tuple[str, ...]) -> list[str]:
    """Return the models that are named, those of a set one by one; without names those of the default pipeline."""
    known = zoo.load_zoo()
    wanted = names or (known.default_set, DEFAULT_CLS)
    sets = {name: (known.sets[name].det, known.sets[name].rec) for name in wanted if name in known.sets}
    return [model for name in wanted for model in sets.get(name, (name,))]


def _on(bar: Progress) -> Callable[[str, int, int | None], None]:
    tasks = {}

    def report(label: str, done: int, total: int | None) -> None:
        if label not in tasks:
            tasks[label] = bar.add_task(label, total=total)
        bar.update(tasks[label], completed=done, total=total)

    return report
