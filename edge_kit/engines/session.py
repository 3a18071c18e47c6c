"""Sessions of ONNX Runtime: their settings, and the program as it is best for this processor.

A program is optimised by ONNX Runtime once for a processor, rewritten by ``head`` and ``blocked`` where that leaves
every bit of probe outputs as it was, and kept in the cache: later sessions load it as it is, quicker than optimising it
again.
"""

from __future__ import annotations

import functools
import platform
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from edge_kit.engines.base import EngineError, EngineOptions, Float32Array
from edge_kit.engines.blocked import keep_blocked
from edge_kit.engines.devices import one_device, pick, provider
from edge_kit.engines.head import fold_head
from model_opt.errors import KitError
from model_opt.fs import sha256_bytes, write_atomic
from model_opt.resources import cache_dir

_FORM = 2
"""Counts up when ``blocked`` or ``head`` change what they make."""

_PROBES = ((1, 48, 104), (2, 48, 160), (1, 64, 96), (2, 96, 160))
"""Number, height and width of the images of a probe, where a program leaves them open."""


def make_session(model: Path | bytes, options: EngineOptions, origin: Path) -> Any:
    """Create an ONNX Runtime session for a file or its bytes; ``origin`` names the model in errors.

    Raises ``EngineError`` for a device that the installed ONNX Runtime lacks and for a file it cannot load.
    """
    import onnxruntime as ort

    kind, number = one_device(options.device)
    wanted = provider(pick("onnx", options.device, ort.get_available_providers()), number)
    if kind != "cpu":
        session = _open(model, _settings(options), origin, [wanted])
        return _on_its_device(session, wanted if isinstance(wanted, str) else wanted[0], origin)
    program = local_program(model, origin)
    if program is None:
        return _open(model, _settings(options), origin, [wanted])
    return _open(program, _as_it_is(options), origin, [wanted])


def _on_its_device(session: Any, name: str, origin: Path) -> Any:
    """Return the session if its provider is in use: ONNX Runtime takes the CPU silently where another fails."""
    if name in session.get_providers():
        return session
    raise EngineError(
        f"ONNX Runtime could not set up {name} and would run on {', '.join(session.get_providers())}",
        path=origin,
        hint="check the device's driver and libraries, or use --device cpu",
    )


def _settings(options: EngineOptions) -> Any:
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    settings.enable_cpu_mem_arena = not options.frugal
    # Its threads would otherwise go on spinning for a moment after each run, on cores that the next step needs.
    settings.add_session_config_entry("session.force_spinning_stop", "1")
    return settings


def _as_it_is(options: EngineOptions) -> Any:
    """Return settings for a program that is optimised already."""
    import onnxruntime as ort

    settings = _settings(options)
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return settings


def _open(model: Path | bytes, settings: Any, origin: Path, providers: list[Any]) -> Any:
    import onnxruntime as ort
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf, NoSuchFile

    try:
        return ort.InferenceSession(str(model) if isinstance(model, Path) else model, settings, providers=providers)
    except (Fail, InvalidGraph, InvalidProtobuf, NoSuchFile) as error:
        raise EngineError(f"ONNX Runtime cannot load the model: {error}", path=origin) from error


def local_program(model: Path | bytes, origin: Path) -> bytes | None:
    """Return the program as this processor runs it best, with the same bits as ONNX Runtime's own form.

    None where there is nothing to gain, or where the other form differs on a probe. Raises ``EngineError`` for a file
    that ONNX Runtime cannot load.
    """
    try:
        data = model.read_bytes() if isinstance(model, Path) else model
    except OSError as error:
        raise EngineError(f"cannot read the model: {error.strerror}", path=origin) from error
    folder = cache_dir() / "ort"
    key = sha256_bytes(f"{sha256_bytes(data)} {processor()} {_ort_version()} {_FORM}".encode())[:32]
    kept = _kept(folder, key)
    if kept is not None:
        return kept or None
    made = _made(data, origin) or b""
    try:
        write_atomic(folder / f"{key}-{sha256_bytes(made)[:32]}.onnx", made)
    except OSError:
        return made or None  # a cache that cannot be written to costs time, nothing else
    return made or None


def _kept(folder: Path, key: str) -> bytes | None:
    """Return the program kept under a key, empty where none is better; None when it is not there or is damaged."""
    for path in folder.glob(f"{key}-*.onnx"):
        try:
            data = path.read_bytes()
        except OSError:
            continue
        if path.stem == f"{key}-{sha256_bytes(data)[:32]}":
            return data
    return None


def _made(data: bytes, origin: Path) -> bytes | None:
    """Return the rewritten program if it answers the probes with the same bits, else ONNX Runtime's own form."""
    plain, program = _optimised(data, origin)
    folded = fold_head(data)
    if folded is not None:
        folded = _optimised(folded, origin)[1]
    rewritten = keep_blocked(folded or program or b"") or folded
    if rewritten is None:
        return program
    try:
        session = _open(rewritten, _as_it_is(EngineOptions()), origin, ["CPUExecutionProvider"])
    except KitError:
        return program
    return rewritten if _same_answers(plain, session) else program


def _optimised(data: bytes, origin: Path) -> tuple[Any, bytes | None]:
    """Return a session and the program as ONNX Runtime optimised it for this processor, None if it writes none."""
    with tempfile.TemporaryDirectory(prefix="edge-kit-ort-") as scratch:
        target = Path(scratch) / "optimised.onnx"
        settings = _settings(EngineOptions())
        settings.optimized_model_filepath = str(target)
        session = _open(data, settings, origin, ["CPUExecutionProvider"])
        return session, target.read_bytes() if target.is_file() else None


def _same_answers(one: Any, other: Any) -> bool:
    """Return whether two sessions answer every probe with the same bits, and at least one at all."""
    source = one.get_inputs()[0]
    answered = False
    for probe in _probes(source.shape):
        answers = [_answer(session, source.name, probe) for session in (one, other)]
        if answers[0] is None:
            continue
        if answers[1] is None or answers[0].tobytes() != answers[1].tobytes():
            return False
        answered = True
    return answered


def _answer(session: Any, name: str, probe: Float32Array) -> Any:
    import onnxruntime as ort
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

    quiet = ort.RunOptions()
    quiet.log_severity_level = 4
    try:
        return session.run(None, {name: probe}, quiet)[0]
    except (Fail, InvalidArgument, RuntimeException):
        return None  # a size that the program does not take


def _probes(shape: list[Any]) -> list[Float32Array]:
    """Return inputs of the shape, open sides filled in."""
    random = np.random.default_rng(0)
    if len(shape) != 4:
        return []
    probes = []
    for count, height, width in _PROBES:
        open_sides = (count, 3, height, width)
        sides = [side if isinstance(side, int) else free for side, free in zip(shape, open_sides, strict=True)]
        probes.append(random.standard_normal(sides, np.float32))
    return probes


@functools.cache
def processor() -> str:
    """Return a name of this machine's processor that tells apart those for which ONNX Runtime picks other kernels."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    facts = [line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))]
    return " ".join((platform.machine(), platform.processor(), *dict.fromkeys(facts)))


def _ort_version() -> str:
    import onnxruntime

    return str(onnxruntime.__version__)
