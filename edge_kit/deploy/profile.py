"""Suggest a device profile from latencies measured on the device."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
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

    The power mode stays as it is where the engine knows none. Rounds that the device was too hot for do not count. The
    text is checked to be a valid profile. Raises ``DeployError`` without measurements, for a setting most of whose
    rounds were throttled, or when the report's ABI is not the profile's; ``DeviceError`` when the measured setting
    does not make a valid profile.
    """
    import yaml

    if not report.bench:
        reason = "; ".join(report.errors) or "no reason is given"
        raise DeployError(f"the app measured nothing: {reason}", hint="correct that, then run the command again")
    if report.abi != base.value("abi"):
        raise DeployError(
            f"the device runs {report.abi}, the profile {base.name!r} is for {base.value('abi')}",
            hint="build a bundle for the device's ABI",
        )
    _refuse_heat(report)
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


def big_cores(cores_mhz: Sequence[int]) -> int | None:
    """Return how many cores Paddle Lite takes for big ones; ``None`` where the clocks are not known.

    Those whose highest clock is at least the middle between the slowest core's and the fastest's; where all are the
    same, all (``sort_cpuid_by_max_freq`` in ``lite/core/device_info.cc``). It knows some older chips by name instead.
    """
    if not cores_mhz:
        return None
    middle = (min(cores_mhz) + max(cores_mhz)) / 2
    return sum(clock >= middle for clock in cores_mhz)


def _refuse_heat(report: SelfTestReport) -> None:
    hot = [row for row in report.bench if 2 * row.throttled > len(row.total_ms)]
    if hot:
        throttled = "; ".join(
            f"{row.name}: {row.throttled} of {len(row.total_ms)} rounds, thermal status up to "
            f"{max(status or 0 for status in row.thermal)}"
            for row in hot
        )
        raise DeployError(
            f"the device was too hot to measure it: {throttled}",
            hint="let it cool without its case and off the charger, give a longer --cool-down, and run again",
        )


def _document(report: SelfTestReport, base: DeviceProfile, best: BenchRow, fastest: BenchRow) -> dict[str, Any]:
    values: dict[str, Any] = {"threads": best.threads, "engine": report.engine}
    reasons = {
        "threads": f"{_measured(report, best)}, {_against(best, fastest)}.",
        "engine": f"The engine that was measured on {report.model}.",
    }
    if best.power_mode is not None:
        slowest = max(report.bench, key=lambda row: row.median_ms)
        values["power_mode"] = best.power_mode
        reasons["power_mode"] = (
            f"{_measured(report, best)}; the slowest setting tried, {slowest.name}, took {slowest.median_ms:.0f} ms. "
            f"{_cores(report)}"
        ).strip()
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


def _measured(report: SelfTestReport, best: BenchRow) -> str:
    text = (
        f"Measured on {report.model} (API {report.api}) with engine {report.engine}: the median of "
        f"{len(best.counted_ms)} rounds over all self-test images was {best.median_ms:.0f} ms"
    )
    throttled = sum(row.throttled for row in report.bench)
    if throttled:
        text += f" ({throttled} throttled rounds of all settings left out)"
    elif all(status is None for row in report.bench for status in row.thermal):
        text += " (this Android reports no thermal status, so some may have been throttled)"
    return text


def _against(best: BenchRow, fastest: BenchRow) -> str:
    if best is fastest:
        return "the fastest of what was tried"
    return f"within 5 % of the fastest, {fastest.median_ms:.0f} ms with {fastest.name}"


def _cores(report: SelfTestReport) -> str:
    """Say what Paddle Lite's power modes mean on the device's cores; nothing where their clocks are not known."""
    clocks, big = report.cores_mhz, big_cores(report.cores_mhz)
    if big is None:
        return ""
    kinds = " + ".join(f"{clocks.count(mhz)} of {mhz} MHz" for mhz in sorted(set(clocks)))
    text = f"Of this device's cores ({kinds}) Paddle Lite regards {big} as big: those at or above the middle of "
    text += f"the slowest and the fastest clock. LITE_POWER_HIGH and LITE_POWER_RAND_HIGH use these {big} alone, "
    return text + f"and cut a larger number of threads to {big}."


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
