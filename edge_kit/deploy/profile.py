"""Suggest a device profile from latencies measured on the device."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_kit.deploy.adb import DeployError
from edge_kit.deploy.report import BenchRow, SelfTestReport
from edge_kit.devices import DeviceProfile, load_profile

NEAR = 1.05
"""Settings within five per cent of the fastest count as equally fast: then fewer threads leave more to others."""


@dataclass(frozen=True)
class Suggestion:
    """The setting to use, and the profile as YAML."""

    best: BenchRow
    fastest: BenchRow
    text: str


def suggest_profile(report: SelfTestReport, base: DeviceProfile) -> Suggestion:
    """Return ``base`` with the threads, power mode and engine that were measured best, each with its figures.

    The text is checked to be a valid profile. Raises ``DeployError`` without measurements, or when the report's ABI is
    not the profile's; ``DeviceError`` when the measured setting does not make a valid profile.
    """
    import yaml

    if not report.bench:
        told = "; ".join(report.errors) or "no reason is given"
        raise DeployError(f"the app measured nothing: {told}", hint="mend that, then run the command again")
    if report.abi != base.value("abi"):
        raise DeployError(
            f"the device runs {report.abi}, the profile {base.name!r} is for {base.value('abi')}",
            hint="build a bundle for the device's ABI",
        )
    fastest = min(report.bench, key=lambda row: row.median_ms)
    near = [row for row in report.bench if row.median_ms <= NEAR * fastest.median_ms]
    best = min(near, key=lambda row: (row.threads, row.median_ms))
    text: str = yaml.safe_dump(
        _document(report, base, best, fastest), sort_keys=False, allow_unicode=True, width=110, default_flow_style=None
    )
    with tempfile.TemporaryDirectory(prefix="edge-kit-") as scratch:
        path = Path(scratch) / "suggested.yaml"
        path.write_text(text, encoding="utf-8")
        load_profile(str(path))
    return Suggestion(best, fastest, text)


def _document(report: SelfTestReport, base: DeviceProfile, best: BenchRow, fastest: BenchRow) -> dict[str, Any]:
    measured = (
        f"Measured on {report.model} (API {report.api}) with engine {report.engine}: the median of "
        f"{len(best.total_ms)} rounds over all self-test images was {best.median_ms:.0f} ms"
    )
    against = "the fastest of what was tried" if best is fastest else (
        f"within 5 % of the fastest, {fastest.median_ms:.0f} ms with {fastest.threads} threads and {fastest.power_mode}"
    )  # fmt: skip
    slowest = max(report.bench, key=lambda row: row.median_ms)
    reasons = {
        "threads": f"{measured}, {against}.",
        "power_mode": f"{measured}; the slowest setting tried, {slowest.threads} threads and {slowest.power_mode}, "
        f"took {slowest.median_ms:.0f} ms.",
        "engine": f"The engine that was measured on {report.model}.",
    }
    values: dict[str, Any] = {"threads": best.threads, "power_mode": best.power_mode, "engine": report.engine}
    settings = {
        setting.key: {
            "value": values.get(setting.key, _plain(setting.value)),
            "reason": reasons.get(setting.key, setting.reason),
        }
        for setting in base.settings
    }
    return {
        "description": f"{report.model}, measured by 'edge-kit bench'",
        "target": base.target,
        "settings": settings,
    }


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
