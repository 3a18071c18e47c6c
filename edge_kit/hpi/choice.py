"""The plan for a pipeline's settings: kept in the cache, measured where it is not."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edge_kit.engines.session import processor
from edge_kit.hpi.measure import CHECK_SET, MARGIN, Reader, Row, measure, winner
from edge_kit.hpi.plan import HpiError, Plan, Wish, candidates, default_plan, read_config
from edge_kit.model_files import det_files, rec_files
from edge_kit.settings import PipelineSettings
from model_opt.fs import sha256_bytes, write_atomic
from model_opt.resources import cache_dir, config_dir

Make = Callable[[PipelineSettings, Plan], Reader]

_FORM = 1
"""Counts up when what is measured or how it is kept changes."""


@dataclass(frozen=True)
class Choice:
    """What runs, and the table that says why."""

    plan: Plan
    rows: tuple[Row, ...]
    """The first is the default."""
    path: Path
    """Where it is kept."""
    threads: int | None = None
    """Threads of the pipeline, None for all cores."""

    @property
    def sentence(self) -> str:
        """Return the choice in words."""
        if self.plan == self.rows[0].plan:
            return f"nothing is quicker than the default by {MARGIN:.0%}: the default runs"
        part = next(row for row in self.rows if row.plan == self.plan).cost / self.rows[0].cost
        return f"{self.plan.label} runs: {part:.2f} of the default's time"


def choose(
    settings: PipelineSettings,
    make: Make,
    *,
    progress: Callable[[str], None] | None = None,
    again: bool = False,
) -> Choice:
    """Return the choice for settings, from the cache or (``again``: always) measured, which takes about a minute.

    ``make`` loads a pipeline by settings and plan.
    Raises ``HpiError`` for settings that leave nothing to choose, and for a backend by name that reads other texts.
    """
    wish = read_config(settings.hpi_config)
    _refuse_fixed(settings)
    settings = dataclasses.replace(settings, enable_hpi=False, threads=wish.threads or settings.threads)
    facts = _facts(settings, wish)
    path = cache_dir() / "hpi" / f"{sha256_bytes(json.dumps(facts, sort_keys=True).encode())[:32]}.json"
    kept = None if again else read_rows(path)
    if kept is None:
        kept = _measured(settings, wish, make, progress or (lambda text: None))
        _keep(path, facts, kept)
    return Choice(_chosen(kept, wish), kept, path, settings.threads)


def _refuse_fixed(settings: PipelineSettings) -> None:
    if settings.engine != "nb" or settings.bundle is not None:
        what = f"engine {settings.engine!r}" if settings.bundle is None else "a bundle"
        raise HpiError(f"{what} leaves high-performance inference nothing to choose", hint="leave one of them out")
    for device in (settings.device, settings.det_device, settings.rec_device):
        if device not in (None, "cpu", "auto"):
            what = f"high-performance inference is measured on the CPU only, not on {device!r}"
            raise HpiError(what, hint="use device cpu, or leave enable_hpi out")


def _facts(settings: PipelineSettings, wish: Wish) -> dict[str, Any]:
    """Return all that the choice depends on."""
    packages = {}
    for name in ("onnxruntime", "openvino", "paddlepaddle", "edge-kit"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = ""
    return {
        "form": _FORM,
        "processor": processor(),
        "cores": settings.cores,
        "packages": packages,
        "models": [det_files(settings).fingerprint, rec_files(settings).fingerprint],
        "profile": settings.chosen.profile,
        "batch": settings.rec_batch_size,
        "wish": dataclasses.asdict(wish),
    }


def _measured(settings: PipelineSettings, wish: Wish, make: Make, progress: Callable[[str], None]) -> tuple[Row, ...]:
    formats = [det_files(settings).format, rec_files(settings).format]
    plans = (default_plan(settings.cores), *candidates(wish, settings.cores, formats))
    images = [config_dir() / "regression" / name for name in CHECK_SET]
    return measure(plans, lambda plan: make(settings, plan), images, progress=progress)


def _chosen(rows: tuple[Row, ...], wish: Wish) -> Plan:
    """Return the quickest plan; of a backend that was named, in any case one of its own."""
    if wish.backend is None or (wish.backend == rows[0].plan.backend and wish.precision == "f32"):
        best = winner(rows)
        return rows[0].plan if best is None else best.plan
    own = [row for row in rows[1:] if row.admitted]
    if not own:
        reasons = "; ".join(f"{row.plan.label}: {row.reason}" for row in rows[1:]) or "it does not run these models"
        raise HpiError(f"backend {wish.backend!r} is not admitted: {reasons}", hint="leave the backend out")
    return min(own, key=lambda row: row.cost).plan


def _keep(path: Path, facts: dict[str, Any], rows: tuple[Row, ...]) -> None:
    body = {"facts": facts, "rows": [dataclasses.asdict(row) for row in rows]}
    try:
        write_atomic(path, json.dumps({**body, "sha256": _sum(body)}, indent=1).encode())
    except OSError:
        return  # measured again the next time


def read_rows(path: Path) -> tuple[Row, ...] | None:
    """Return the rows kept at ``path``; None when there are none or the file is damaged."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        stated = document.pop("sha256")
        rows = tuple(Row(**{**row, "plan": Plan(**row["plan"])}) for row in document["rows"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return rows if rows and stated == _sum(document) else None


def _sum(body: dict[str, Any]) -> str:
    return sha256_bytes(json.dumps(body, sort_keys=True).encode())
