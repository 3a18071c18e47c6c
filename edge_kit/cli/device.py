"""``edge-kit verify --device`` and ``edge-kit bench --device``: the app on a real device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console

from edge_kit.build.manifest import MANIFEST_NAME, check_bundle, read_manifest
from edge_kit.cli.outputs import refuse_input
from edge_kit.cli.render import console, table
from edge_kit.deploy.adb import connect
from edge_kit.deploy.app import bundle_apk
from edge_kit.deploy.bench import BenchRequest, BenchRun, run_bench
from edge_kit.deploy.profile import Suggestion, suggest_profile
from edge_kit.deploy.report import SelfTestReport
from edge_kit.deploy.selftest import OnMessage, SelfTestRequest, run_selftest
from edge_kit.deploy.verdict import DeviceVerdict, expected_runs, judge
from edge_kit.devices import DeviceError, DeviceProfile, default_profile, load_profile
from edge_kit.ocr.result import write_output
from model_opt.errors import KitError

MAX_THREADS = 16
POWER_MODES = (
    "LITE_POWER_HIGH", "LITE_POWER_LOW", "LITE_POWER_FULL", "LITE_POWER_NO_BIND", "LITE_POWER_RAND_HIGH",
    "LITE_POWER_RAND_LOW",
)  # fmt: skip
_SHOWN = 10


@dataclass(frozen=True)
class DeviceRequest:
    """Which bundle on which device, by which APK; where to keep the app's report; seconds that the app may take."""

    bundle: Path
    serial: str
    apk: Path | None
    report: Path | None
    seconds: float


def run_device_verify(request: DeviceRequest) -> int:
    """Run the self-test on the device and judge it; return 1 when a gate or anything else does not hold."""
    _keep_inputs("--report", request.report, request)
    manifest = read_manifest(request.bundle / MANIFEST_NAME)
    bad = [f"{v.path} ({v.status})" for v in check_bundle(request.bundle) if v.status not in ("ok", "extra")]
    if bad:
        raise KitError(
            f"the bundle is not what its manifest says: {', '.join(bad[:3])}",
            path=request.bundle,
            hint="build it again",
        )
    apk = bundle_apk(request.bundle, request.apk)
    expected = expected_runs(apk)
    report = _selftest(request, apk, SelfTestRequest(seconds=request.seconds))
    verdict = judge(report, expected, manifest.recipe)
    _print_verdict(report, verdict)
    return 0 if verdict.passed else 1


def run_device_bench(request: DeviceRequest, wanted: BenchRequest, save: Path | None) -> int:
    """Measure latencies on the device and print or save the device profile that they suggest."""
    _keep_inputs("--report", request.report, request)
    _keep_inputs("--save", save, request)
    manifest = read_manifest(request.bundle / MANIFEST_NAME)
    base = _base_profile(manifest.device_profile, manifest.target)
    apk, adb = bundle_apk(request.bundle, request.apk), connect(request.serial)
    with _status() as on_message:
        run = run_bench(adb, apk, wanted, on_message, request.report)
    suggestion = suggest_profile(run.report, base)
    _print_bench(run, suggestion)
    if save is None:
        console().print(suggestion.text, markup=False, highlight=False)
    else:
        write_output(save, suggestion.text.encode())
        console().print(f"suggested device profile: {save}", markup=False)
    return 1 if run.report.errors else 0


def _keep_inputs(option: str, target: Path | None, request: DeviceRequest) -> None:
    """Raise ``KitError`` where a file to write is the APK or one of the bundle."""
    if target is not None:
        refuse_input(option, target, (request.bundle, request.apk))


def _print_bench(run: BenchRun, suggestion: Suggestion) -> None:
    out, report = console(), run.report
    rows = [
        (row.threads, row.power_mode or "-", *map(_median, map(row.counted, (row.det_ms, row.rec_ms))),
         _median(row.counted_ms), len(row.counted_ms), row.throttled, "best" if row is suggestion.best else "")
        for row in report.bench
    ]  # fmt: skip
    headings = ("threads", "power mode", "det (ms)", "rec (ms)", "total (ms)", "rounds", "throttled", "")
    out.print(table(headings, rows, f"{_device(report)}: medians of a round over all self-test images"))
    if any(row.throttled for row in report.bench):
        out.print("throttled rounds do not count")
    fixed = "held its clocks (fixed performance mode)" if run.fixed_performance else "has no fixed performance mode"
    out.print(f"the device {fixed}", markup=False)
    for error in report.errors:
        out.print(f"the app says: {error}", markup=False, style="yellow")


def parse_threads(text: str) -> tuple[int, ...]:
    """Return numbers of threads given as ``1,2,4``; ``KitError`` for anything else than 1 to 16."""
    words = _words(text)
    if not words or not all(word.isdecimal() and 1 <= int(word) <= MAX_THREADS for word in words):
        raise KitError(f"--threads is {text!r}", hint=f"give numbers from 1 to {MAX_THREADS}, as in 1,2,4")
    return tuple(map(int, words))


def parse_modes(text: str) -> tuple[str, ...]:
    """Return power modes given with commas between them; ``KitError`` for one that Paddle Lite does not know."""
    words = _words(text)
    unknown = [word for word in words if word not in POWER_MODES]
    if not words or unknown:
        raise KitError(f"--power is {text!r}", hint=f"give some of: {', '.join(POWER_MODES)}")
    return words


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def _selftest(request: DeviceRequest, apk: Path, wanted: SelfTestRequest) -> SelfTestReport:
    adb = connect(request.serial)
    with _status() as on_message:
        return run_selftest(adb, apk, wanted, on_message, request.report)


@contextmanager
def _status() -> Iterator[OnMessage]:
    """Show what happens on a terminal; stay quiet in a pipe."""
    screen = Console(stderr=True)
    if not screen.is_terminal:
        yield lambda _: None
        return
    with screen.status("") as status:
        yield lambda text: status.update(text)


def _base_profile(name: str, target: str) -> DeviceProfile:
    """Return the bundle's profile, or that of its target where the user's own file is not here."""
    try:
        return load_profile(name)
    except DeviceError:
        return default_profile(target)


def _device(report: SelfTestReport) -> str:
    return f"{report.model} ({report.abi}, API {report.api}), engine {report.engine}"


def _print_verdict(report: SelfTestReport, verdict: DeviceVerdict) -> None:
    out = console()
    rows = [
        ("passed" if gate.passed else "FAILED", gate.name, gate.value_text, gate.limit_text) for gate in verdict.gates
    ]
    title = f"{_device(report)}, against the build's own answers on {len(verdict.comparison.images)} images"
    out.print(table(("gate", "metric", "value", "limit"), rows, title))
    if verdict.not_measured:
        out.print(f"not measured on a device: {', '.join(verdict.not_measured)}", markup=False)
    out.print(f"golden vectors: {verdict.golden - len(verdict.golden_failed)} of {verdict.golden} hold")
    for check in verdict.golden_failed[:_SHOWN]:
        out.print(f"FAILED golden vector {check.name}: {check.detail}", markup=False)
    moved = [image for image in verdict.comparison.worst_first if _differs(image.measures.metrics())]
    for image in moved[:_SHOWN]:
        texts, boxes = image.measures.texts, image.measures.boxes
        counts = f"{texts.equal} of {texts.lines} lines equal, {boxes.identical} of {boxes.slots} boxes identical"
        out.print(f"differs: {image.name}: {counts}", markup=False)
    for fault in verdict.faults:
        out.print(f"FAILED: {fault}", markup=False)
    out.print("the device reads what the build promises" if verdict.passed else "NOT PROVEN on this device")


def _differs(metrics: dict[str, float]) -> bool:
    # NaN, where an image has no line on either side, is no difference.
    return metrics["texts_equal"] < 1 or metrics["boxes_identical"] < 1


def _median(milliseconds: Sequence[float]) -> str:
    return f"{median(milliseconds):.1f}"
