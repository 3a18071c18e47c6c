"""Read the report of the app's self-test, as ``configs/selftest_report.schema.json`` lays it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_kit.build.files import parse_json
from edge_kit.deploy.adb import DeployError
from edge_kit.spec.load import SpecError, check_schema
from edge_kit.verify.compare import ImageRun
from model_opt.resources import config_dir

_HINT = "the app and this kit must be of one version: build the bundle again and install its app"


@dataclass(frozen=True)
class Check:
    """A golden vector and whether the device computes the same."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class BenchRow:
    """Latencies of one setting in milliseconds, one number for each round over all images."""

    threads: int
    power_mode: str
    det_ms: tuple[float, ...]
    rec_ms: tuple[float, ...]
    total_ms: tuple[float, ...]

    @property
    def median_ms(self) -> float:
        """The median of ``total_ms``."""
        return float(np.median(self.total_ms))


@dataclass(frozen=True)
class SelfTestReport:
    """What the app found on its device."""

    app_version: str
    model: str
    abi: str
    api: int
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
    try:
        document = parse_json(data)
        check_schema(document, config_dir() / "selftest_report.schema.json", path)
    except ValueError as error:
        raise DeployError(f"the app's report is no JSON: {error}", path=path, hint=_HINT) from error
    except SpecError as error:
        raise DeployError(f"the app's report is not as agreed: {error.what}", path=path, hint=_HINT) from error
    return _report(document, path)  # type: ignore[arg-type]  # the schema says that it is a mapping


def _report(document: Mapping[str, Any], path: Path) -> SelfTestReport:
    images = tuple(_image(row, path) for row in document["images"])
    names = [image.name for image in images]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise DeployError(f"the app's report holds the image {min(twice)!r} twice", path=path, hint=_HINT)
    return SelfTestReport(
        app_version=document["app_version"],
        **document["device"],
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
    lists = [tuple(map(float, row[key])) for key in ("det_ms", "rec_ms", "total_ms")]
    if len({len(numbers) for numbers in lists}) != 1:
        counts = ", ".join(str(len(numbers)) for numbers in lists)
        raise DeployError(f"the app's bench has rounds of {counts} numbers", path=path, hint=_HINT)
    return BenchRow(row["threads"], row["power_mode"], *lists)
