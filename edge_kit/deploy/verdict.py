"""Judge a device's self-test: its lines against those that the build recorded in the APK, by the recipe's gates."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_kit.build.files import parse_json
from edge_kit.deploy.adb import DeployError
from edge_kit.deploy.report import Check, SelfTestReport
from edge_kit.verify.compare import Comparison, ImageRun, compare_runs
from edge_kit.verify.gates import GateResult, apply_gates

EXPECTED = "assets/selftest/expected.json"
_MOST_BYTES = 16 << 20
_ON_DEVICE = frozenset(
    {"boxes_identical", "boxes_matched", "box_mean_iou", "texts_equal", "character_accuracy"}
)  # fmt: skip
"""Metrics that follow from boxes and texts; the others compare tensors, which the app does not send."""


@dataclass(frozen=True)
class DeviceVerdict:
    """What was found on a device."""

    gates: tuple[GateResult, ...]
    """The recipe's gates that boxes and texts can be judged by."""
    not_measured: tuple[str, ...]
    """The recipe's gates that need tensors: proven on the host only."""
    golden_failed: tuple[Check, ...]
    golden: int
    """How many golden vectors ran."""
    faults: tuple[str, ...]
    """What makes the report incomplete or not this bundle's: any fails the verification."""
    comparison: Comparison

    @property
    def passed(self) -> bool:
        """Whether everything ran and everything holds."""
        judged = bool(self.gates) and all(gate.passed for gate in self.gates)
        return judged and self.golden > 0 and not self.golden_failed and not self.faults


def expected_runs(apk: Path) -> tuple[ImageRun, ...]:
    """Return what the build's own engine read from the self-test's images, as the APK holds it.

    Raises ``DeployError`` for a file that is no APK of this kit.
    """
    hint = "give the APK that 'edge-kit build' wrote (--apk)"
    try:
        with zipfile.ZipFile(apk) as archive:
            if archive.getinfo(EXPECTED).file_size > _MOST_BYTES:
                raise ValueError(f"{EXPECTED} is larger than {_MOST_BYTES >> 20} MB")
            document: Any = parse_json(archive.read(EXPECTED))
        return tuple(_expected(row) for row in document["images"])
    except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise DeployError(f"cannot read the APK: {error}", path=apk, hint=hint) from error
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise DeployError(f"the APK holds no answers to compare with: {error!r}", path=apk, hint=hint) from error


def _expected(row: Mapping[str, Any]) -> ImageRun:
    lines = row["lines"]
    polygons = np.array([line["polygon"] for line in lines], dtype=np.int32).reshape(len(lines), 4, 2)
    box_scores, scores = ([float(line[key]) for line in lines] for key in ("box_score", "score"))
    return ImageRun(str(row["file"]), None, None, polygons, box_scores, [str(line["text"]) for line in lines], scores)


def judge(report: SelfTestReport, expected: Sequence[ImageRun], recipe: str) -> DeviceVerdict:
    """Compare the device's lines with ``expected`` and judge them by the gates of ``recipe``, the bundle's.

    An image that the device did not read counts as one on which it read nothing. Raises ``GateError`` for a recipe
    without gates.
    """
    found = {image.name: image for image in report.images}
    candidate = [found.get(image.name, _nothing(image.name)) for image in expected]
    comparison = compare_runs(expected, candidate, mask_threshold=math.nan)
    results = apply_gates(comparison.total.metrics(), recipe)
    return DeviceVerdict(
        gates=tuple(gate for gate in results if gate.name in _ON_DEVICE),
        not_measured=tuple(gate.name for gate in results if gate.name not in _ON_DEVICE),
        golden_failed=tuple(check for check in report.golden if not check.passed),
        golden=len(report.golden),
        faults=tuple(_faults(report, [image.name for image in expected], recipe)),
        comparison=comparison,
    )


def _nothing(name: str) -> ImageRun:
    return ImageRun(name, None, None, np.zeros((0, 4, 2), np.int32), [], [], [])


def _faults(report: SelfTestReport, expected: Sequence[str], recipe: str) -> list[str]:
    found = {image.name for image in report.images}
    faults = [f"the app says: {error}" for error in report.errors]
    faults += [f"the app did not read {name}" for name in expected if name not in found]
    faults += [f"the app read {name}, which the APK has no answer for" for name in sorted(found - set(expected))]
    if report.recipe != recipe:
        faults.append(f"the app holds recipe {report.recipe}, the bundle {recipe}: install the bundle's own app")
    if not report.golden:
        faults.append("the app ran no golden vectors")
    return faults
