"""Plans: backend, program and images side by side; PaddleX's ``hpi_config``, read into what may be tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from model_opt.errors import KitError


class HpiError(KitError):
    """A high-performance setting that is not possible, or that reads other texts."""


@dataclass(frozen=True)
class Plan:
    """One way to run a set of models; the fields are what is written to the cache."""

    backend: str = "onnxruntime"
    program: str = "optimised"
    """``optimised``: the kit's, with fewer operators; ``original``: the file as it was published."""
    images: int = 2
    """Images that are read side by side."""
    precision: str = "f32"
    onednn: bool = False
    """Paddle's kernels of oneDNN."""

    @property
    def label(self) -> str:
        """Return the plan in words, as tables show it."""
        kernels = " with oneDNN" if self.onednn else ""
        precision = "" if self.precision == "f32" else f", {self.precision}"
        images = "one image at a time" if self.images == 1 else f"{self.images} images side by side"
        return f"{self.backend}{kernels}, {self.program} program{precision}, {images}"


@dataclass(frozen=True)
class Wish:
    """What ``hpi_config`` asks for; without a backend all that are installed are tried."""

    backend: str | None = None
    threads: int | None = None
    precision: str = "f32"


_PACKAGES = {"onnxruntime": "onnxruntime", "openvino": "openvino", "paddle": "paddlepaddle"}
"""Backends and what to install; the first is always there."""
_MODULES = {"onnxruntime": "onnxruntime", "openvino": "openvino", "paddle": "paddle"}
_NOT_HERE = {
    "tensorrt": "it needs an NVIDIA GPU and its own engine files, which the kit does not make",
    "om": "it needs an Ascend NPU and its own model files, which the kit does not make",
}
_PRECISIONS = {"f32": "f32", "fp32": "f32", "bf16": "bf16"}


def read_config(config: Mapping[str, Any] | None) -> Wish:
    """Return what PaddleX's ``hpi_config`` asks for.

    Keys: ``auto_config``, ``backend`` (``paddle``, ``openvino``, ``onnxruntime``), ``backend_config`` with
    ``cpu_num_threads`` and ``precision`` (``f32``, ``bf16``), ``auto_paddle2onnx``. Raises ``HpiError`` for another
    key or value, and for a backend that is not installed.
    """
    config = dict(config or {})
    known = ("auto_config", "backend", "backend_config", "auto_paddle2onnx")
    _refuse_unknown(config, known, "hpi_config")
    backend = config.get("backend")
    if backend is not None:
        _check_backend(backend)
    elif config.get("auto_config") is False:
        raise HpiError("hpi_config has auto_config off and names no backend", hint=f"backend: {_known_backends()}")
    details = config.get("backend_config") or {}
    if not isinstance(details, Mapping):
        raise HpiError("backend_config of hpi_config must be a mapping", hint="such as {cpu_num_threads: 4}")
    _refuse_unknown(details, ("cpu_num_threads", "precision"), "backend_config of hpi_config")
    return Wish(backend, _threads(details.get("cpu_num_threads")), _precision(details.get("precision", "f32"), backend))


def _refuse_unknown(given: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    for key in given:
        if key not in known:
            raise HpiError(f"{what} has the unknown key {key!r}", hint=f"known: {', '.join(known)}")


def _known_backends() -> str:
    return ", ".join(_PACKAGES)


def _check_backend(backend: object) -> None:
    if backend in _NOT_HERE:
        raise HpiError(
            f"backend {backend!r} is not supported: {_NOT_HERE[str(backend)]}", hint=f"use {_known_backends()}"
        )
    if backend not in _PACKAGES:
        raise HpiError(f"hpi_config names the unknown backend {backend!r}", hint=f"use {_known_backends()}")
    if not installed(str(backend)):
        package = "edge-kit[openvino]" if backend == "openvino" else _PACKAGES[str(backend)]
        raise HpiError(f"backend {backend!r} is not installed", hint=f"pip install '{package}'")


def _threads(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 256:
        raise HpiError(
            f"cpu_num_threads must be a number from 1 to 256, not {value!r}", hint="leave it out for all cores"
        )
    return value


def _precision(value: object, backend: object) -> str:
    if value == "int8":
        raise HpiError("int8 is a property of a model's files", hint="make them with 'edge-kit quantize'")
    if value not in _PRECISIONS:
        raise HpiError(f"unknown precision {value!r}", hint=f"use {' or '.join(_PRECISIONS)}")
    chosen = _PRECISIONS[str(value)]
    if chosen != "f32" and backend != "openvino":
        raise HpiError(f"precision {value} needs backend openvino by name", hint="backend: openvino")
    return chosen


def installed(backend: str) -> bool:
    """Return whether a backend's package is there, without importing it."""
    return find_spec(_MODULES[backend]) is not None


def default_plan(cores: int) -> Plan:
    """Return what runs without high-performance inference."""
    return Plan(images=images_at_once(cores))


def images_at_once(cores: int) -> int:
    """Return how many images of one pipeline are read side by side: each holds its pixels and a detector's memory."""
    return max(2, min(cores, 4))


def candidates(wish: Wish, cores: int, formats: Sequence[str]) -> tuple[Plan, ...]:
    """Return the plans to try, without the default one; ``formats`` are those of detector and recogniser."""
    many = images_at_once(cores)
    found = [
        Plan("onnxruntime", "optimised", 1),
        Plan("onnxruntime", "original", many),
        Plan("openvino", "optimised", many, wish.precision),
        Plan("openvino", "original", many, wish.precision),
    ]
    if "onnx" not in formats:
        found.append(Plan("paddle", "original", 1))
        if all(one == "paddle" for one in formats):  # oneDNN ends on programs of Paddle 3
            found.append(Plan("paddle", "original", 1, onednn=True))
    return tuple(one for one in found if installed(one.backend) and wish.backend in (None, one.backend))
