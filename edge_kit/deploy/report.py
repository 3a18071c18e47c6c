"""Read the report of the app's self-test, as ``configs/selftest_report.schema.json`` lays it down."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_kit.build.files import parse_json
from edge_kit.deploy.adb import DeployError
from edge_kit.verify.compare import ImageRun
from model_opt.config import check_schema
from model_opt.errors import KitError
from model_opt.resources import config_dir

_PER_ROUND = ("det_ms", "rec_ms", "total_ms", "thermal", "hidden")
"""What a row of the bench holds one value of for each round."""
_HINT = "the app and this kit must be of one version: build the bundle again and install its app"


@dataclass(frozen=True)
class Check:
    """A golden vector and whether the device computes the same."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class BenchRow:
    """Latencies of one setting in milliseconds, and the device's state, one value for each round over all images."""

    threads: int
    power_mode: str | None
    """``None`` with an engine that knows no power modes."""
    det_ms: tuple[float, ...]
    rec_ms: tuple[float, ...]
    total_ms: tuple[float, ...]
    thermal: tuple[int | None, ...]
    """Android's thermal status: 0 none, above it throttles; ``None`` where it is not known."""
    hidden: tuple[bool, ...]
    """Whether the screen was dark or locked, when an app gets the small cores."""

    @property
    def name(self) -> str:
        """The setting in words."""
        return f"{self.threads} threads" + (f" and {self.power_mode}" if self.power_mode else "")

    @property
    def throttled(self) -> int:
        """How many rounds the device was too hot for; they do not count."""
        return sum(bool(status) for status in self.thermal)

    @property
    def counted_ms(self) -> tuple[float, ...]:
        """``total_ms`` of the rounds that count."""
        return self.counted(self.total_ms)

    def counted(self, milliseconds: Sequence[float]) -> tuple[float, ...]:
        """Return those of ``milliseconds``, one for each round, whose rounds count."""
        return tuple(ms for ms, status in zip(milliseconds, self.thermal, strict=True) if not status)

    @property
    def median_ms(self) -> float:
        """The median of ``counted_ms``; not a number where every round was throttled."""
        return float(np.median(self.counted_ms)) if self.counted_ms else math.nan


@dataclass(frozen=True)
class SelfTestReport:
    """What the app found on its device."""

    app_version: str
    model: str
    abi: str
    api: int
    cores_mhz: tuple[int, ...]
    engine: str
    opt_version: str
    recipe: str
    golden: tuple[Check, ...]
    images: tuple[ImageRun, ...]
    bench: tuple[BenchRow, ...]
    errors: tuple[str, ...]


def read_report(data: bytes, path: Path) -> SelfTestReport:
    """Return the report in ``data``; ``path`` names it in errors.

    Raises ``DeployError`` for what is no JSON, breaks the schema, or holds an image twice or with lines that lack a
    box, a text or a score.
    """
    return report_of(read_document(data, path), path)


def read_document(data: bytes, path: Path) -> Mapping[str, Any]:
    """Return the report in ``data`` as JSON; ``DeployError`` for what is no JSON or breaks the schema."""
    try:
        document = parse_json(data)
        check_schema(document, config_dir() / "selftest_report.schema.json", path)
    except ValueError as error:
        raise DeployError(f"the app's report is not JSON: {error}", path=path, hint=_HINT) from error
    except KitError as error:
        raise DeployError(f"the app's report is not as agreed: {error.what}", path=path, hint=_HINT) from error
    return document  # type: ignore[return-value]  # the schema says that it is a mapping


def merge_benches(documents: Sequence[Mapping[str, Any]], path: Path) -> dict[str, Any]:
    """Return one report of several benches of one device: a row for each setting, with the rounds of all runs.

    Raises ``DeployError`` when the app's engine changed between two runs.
    """
    engines = list(dict.fromkeys(str(document["engine"]) for document in documents))
    if len(engines) > 1:
        raise DeployError(
            f"the app ran with {engines[0]} first and with {engines[1]} later",
            path=path,
            hint="check the app on the device: Paddle Lite may have crashed, and OpenCV then replaces it",
        )
    rows: dict[tuple[int, str | None], dict[str, Any]] = {}
    for row in (row for document in documents for row in document["bench"]):
        merged = rows.setdefault((row["threads"], row["power_mode"]), {**row, **{key: [] for key in _PER_ROUND}})
        for key in _PER_ROUND:
            merged[key] = [*merged[key], *row[key]]
    errors = list(dict.fromkeys(error for document in documents for error in document["errors"]))
    return {**documents[0], "bench": list(rows.values()), "errors": errors}


def report_of(document: Mapping[str, Any], path: Path) -> SelfTestReport:
    """Return a report that keeps the schema; ``DeployError`` as ``read_report``."""
    images = tuple(_image(row, path) for row in document["images"])
    names = [image.name for image in images]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise DeployError(f"the app's report holds the image {min(twice)!r} twice", path=path, hint=_HINT)
    return SelfTestReport(
        app_version=document["app_version"],
        **{**document["device"], "cores_mhz": tuple(document["device"]["cores_mhz"])},
        engine=document["engine"],
        opt_version=document["opt_version"],
        recipe=document["bundle_recipe"],
        golden=tuple(Check(**row) for row in document["golden"]),
        images=images,
        bench=tuple(_bench(row, path) for row in document["bench"]),
        errors=tuple(document["errors"]),
    )


def _image(row: Mapping[str, Any], path: Path) -> ImageRun:
    lines = len(row["boxes"])
    box_scores = row.get("box_scores", row["scores"])
    if not lines == len(row["texts"]) == len(row["scores"]) == len(box_scores):
        counts = f"{lines} boxes, {len(row['texts'])} texts, {len(row['scores'])} scores, {len(box_scores)} box scores"
        raise DeployError(f"the app's report on {row['name']!r} has {counts}", path=path, hint=_HINT)
    polygons = np.array(row["boxes"], dtype=np.int32).reshape(lines, 4, 2)
    return ImageRun(row["name"], None, None, polygons, box_scores, row["texts"], row["scores"])


def _bench(row: Mapping[str, Any], path: Path) -> BenchRow:
    if len({len(row[key]) for key in _PER_ROUND}) != 1:
        counts = ", ".join(f"{len(row[key])} of {key}" for key in _PER_ROUND)
        raise DeployError(f"the app's bench has no value for each round: {counts}", path=path, hint=_HINT)
    det, rec, total = (tuple(map(float, row[key])) for key in ("det_ms", "rec_ms", "total_ms"))
    return BenchRow(row["threads"], row["power_mode"], det, rec, total, tuple(row["thermal"]), tuple(row["hidden"]))
