"""Devices by PaddleX's names, and what each engine needs to run on them: one table.

Grammar: ``auto``, or ``cpu | gpu | npu | xpu | mlu | dcu | gcu | iluvatar_gpu | metax_gpu`` with ``:0`` or ``:0,1``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edge_kit.engines.base import EngineError

KINDS = ("cpu", "gpu", "npu", "xpu", "mlu", "dcu", "gcu", "iluvatar_gpu", "metax_gpu")

MOST_IDS = 64


@dataclass(frozen=True)
class Device:
    """A device as a user names it: its kind, and which ones of that kind (none: the first)."""

    kind: str
    ids: tuple[int, ...] = ()

    @property
    def each(self) -> tuple[str, ...]:
        """Return the devices one by one, as engines take them: ``gpu:0``, ``gpu:1``."""
        return tuple(f"{self.kind}:{one}" for one in self.ids) or (self.kind,)


@dataclass(frozen=True)
class Way:
    """How one engine runs on one kind of device."""

    engine: str
    """``onnx`` is ONNX Runtime (engine ``onnx``, and ``server`` for ONNX files), ``server`` Paddle Inference."""
    kind: str
    needs: str
    """ONNX Runtime's execution provider, or Paddle's name of the device."""
    package: str
    """What to install."""
    hardware: str
    options: tuple[tuple[str, str], ...] = ()
    """Settings of the provider, beside the number of the device."""
    number: str | None = "device_id"
    """The provider's word for the number of the device; None: it takes none."""
    ran: bool = False
    """Whether anybody ran it for this project."""


def _onnx(kind: str, provider: str, package: str, hardware: str, **more: Any) -> Way:
    return Way("onnx", kind, f"{provider}ExecutionProvider", package, hardware, **more)


def _paddle(kind: str, name: str, package: str, hardware: str) -> Way:
    return Way("server", kind, name, package, hardware)


TABLE: tuple[Way, ...] = (
    Way("nb", "cpu", "CPUExecutionProvider", "onnxruntime", "any processor", number=None, ran=True),
    Way("lite_x86", "cpu", "Paddle Lite", "paddlelite", "x86-64 processors", number=None, ran=True),
    Way("openvino", "cpu", "CPU", "edge-kit[openvino]", "x86-64 and ARM processors", number=None, ran=True),
    Way("onnx", "cpu", "CPUExecutionProvider", "onnxruntime", "any processor", number=None, ran=True),
    _onnx("gpu", "CUDA", "onnxruntime-gpu", "NVIDIA GPUs"),
    _onnx("gpu", "MIGraphX", "onnxruntime-migraphx", "AMD GPUs"),
    _onnx("gpu", "ROCM", "onnxruntime-rocm", "AMD GPUs, older releases"),
    _onnx("gpu", "Dml", "onnxruntime-directml", "GPUs on Windows"),
    _onnx("gpu", "CoreML", "onnxruntime", "Apple's GPU and neural engine", number=None),
    _onnx(
        "gpu",
        "OpenVINO",
        "onnxruntime-openvino",
        "Intel GPUs",
        options=(("device_type", "GPU"), ("precision", "FP32")),
        number=None,
    ),
    _onnx("npu", "CANN", "onnxruntime-cann", "Huawei Ascend NPUs"),
    Way("server", "cpu", "cpu", "paddlepaddle", "x86-64 processors", number=None, ran=True),
    _paddle("gpu", "gpu", "paddlepaddle-gpu", "NVIDIA GPUs"),
    _paddle("npu", "npu", "paddle-custom-npu", "Huawei Ascend NPUs"),
    _paddle("xpu", "xpu", "paddlepaddle-xpu", "Kunlunxin XPUs"),
    _paddle("mlu", "mlu", "paddle-custom-mlu", "Cambricon MLUs"),
    _paddle("dcu", "gpu", "paddlepaddle-dcu", "Hygon DCUs"),
    _paddle("gcu", "gcu", "paddle-custom-gcu", "Enflame GCUs"),
    _paddle("iluvatar_gpu", "iluvatar_gpu", "paddle-iluvatar-gpu", "Iluvatar GPUs"),
    _paddle("metax_gpu", "metax_gpu", "paddle-metax-gpu", "MetaX GPUs"),
)

REFUSED = {
    "nb": "it emulates the kernels of a phone's CPU",
    "lite_x86": "Paddle Lite's x86 kernels run on the CPU only",
    "openvino": "the kit runs OpenVINO on the CPU only",
    "onnx": "ONNX Runtime has no execution provider for it",
    "server": "Paddle Inference has no support for it",
}
"""Why an engine has no row for a kind."""


def parse_device(text: str) -> Device:
    """Return the device that ``text`` names. Raises ``EngineError`` for another word, and for numbers that are none."""
    kind, colon, numbers = text.partition(":")
    hint = f"use --device cpu, or one of {', '.join(KINDS[1:])} with numbers where there are several: gpu:0,1"
    if kind not in KINDS:
        raise EngineError(f"unknown device {text!r}", hint=hint)
    if not colon:
        return Device(kind)
    parts = [part.strip() for part in numbers.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 5 for part in parts) or len(parts) > MOST_IDS:
        raise EngineError(f"device {text!r} has numbers that are none", hint=hint)
    if kind == "cpu":
        raise EngineError(
            f"device {text!r}: a CPU has no number", hint="use --device cpu; --threads sets how many threads"
        )
    ids = tuple(map(int, parts))
    if len(set(ids)) != len(ids):
        raise EngineError(f"device {text!r} names one number twice", hint="leave it out")
    return Device(kind, ids)


def one_device(text: str) -> tuple[str, int]:
    """Return kind and number of a device that is one. Raises ``EngineError`` for several, as ``parse_device`` else."""
    device = parse_device(text)
    if len(device.ids) > 1:
        raise EngineError(
            f"device {text!r} is several, and an engine runs on one", hint="create_pipeline and 'ocr' take several"
        )
    return device.kind, device.ids[0] if device.ids else 0


def ways(engine: str, device: str) -> tuple[Way, ...]:
    """Return how an engine can run on a device (``gpu``, ``gpu:0``), the first choice first.

    Raises ``EngineError`` where it cannot, saying why and which engine can.
    """
    kind = device.partition(":")[0]
    found = tuple(way for way in TABLE if way.engine == engine and way.kind == kind)
    if found:
        return found
    others = [way for way in TABLE if way.kind == kind]
    hint = "; ".join(f"--engine {way.engine} with {way.package}" for way in others)
    raise EngineError(
        f"engine {engine} cannot run on device {device!r}: {REFUSED.get(engine, 'it has no such device')}",
        hint=f"use --device cpu, or {hint}",
    )


def check_device(device: str, engine: str) -> None:
    """Raise ``EngineError`` unless ``device`` is the name of one device that ``engine`` can run on."""
    one_device(device)
    ways(engine, device)


def pick(engine: str, device: str, available: Sequence[str]) -> Way:
    """Return the first way whose provider or device name is ``available`` here.

    Raises ``EngineError`` naming what to install when none is.
    """
    possible = ways(engine, device)
    for way in possible:
        if way.needs in available:
            return way
    packages = "; ".join(f"{way.package} for {way.hardware}" for way in possible)
    raise EngineError(
        f"engine {engine} cannot run on device {device!r}: what is installed offers only {', '.join(available)}",
        hint=f"use --device cpu, or install {packages}",
    )


def provider(way: Way, number: int) -> str | tuple[str, dict[str, str]]:
    """Return what ONNX Runtime takes as an execution provider."""
    options = dict(way.options)
    if way.number is not None:
        options[way.number] = str(number)
    return (way.needs, options) if options else way.needs


def auto_device(engine: str, available: Callable[[], Sequence[str]]) -> tuple[str, str]:
    """Return the device that ``auto`` means for an engine, and a sentence that says so.

    A kind of the table whose provider is there, else the CPU. Only ``auto`` falls back; a device by name never does.
    """
    here = available()
    for way in TABLE:
        if way.engine == engine and way.kind != "cpu" and way.needs in here:
            return way.kind, f"device auto: {way.kind} by {way.needs}"
    return "cpu", f"device auto: cpu, since engine {engine} finds nothing else (offered: {', '.join(here)})"
