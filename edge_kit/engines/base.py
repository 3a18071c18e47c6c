"""The interface that every engine has, its options, its errors and the guards they share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model_opt.errors import KitError

Float32Array = NDArray[np.float32]

ABSURD = 1e30
"""Outputs beyond this are garbage of a wrong place, not values of any OCR model (probabilities, logits)."""


class EngineError(KitError):
    """An engine could not be made, died, or answered nonsense."""


class Engine(Protocol):
    """A loaded model that maps one input tensor to one output tensor."""

    @property
    def name(self) -> str:
        """Name of the engine as the command line spells it."""
        ...

    def run(self, x: Float32Array) -> Float32Array:
        """Run the model on ``x`` (float32, NCHW) and return its first output (float32).

        Raises ``EngineError`` when the engine fails or the output is not finite.
        """
        ...

    def close(self) -> None:
        """Free the model; calling it twice is harmless."""
        ...


@dataclass(frozen=True)
class EngineOptions:
    """What a caller may ask of an engine: the device (``cpu``, ``gpu:0``), the threads of one run, no downloads.

    ``frugal`` gives memory back after each run where the engine can, at about a sixth of its speed. ``converter`` names
    what makes the files of engine ``nb``: ``own`` or ``opt``. ``streams`` runs may go on at once without waiting for
    each other (engine ``openvino``; the others have no such bound). ``precision`` is that of engine ``openvino``,
    ``onednn`` takes Paddle's kernels of oneDNN.
    """

    device: str = "cpu"
    threads: int = 1
    offline: bool = False
    frugal: bool = False
    converter: str = "own"
    streams: int = 1
    precision: str = "f32"
    onednn: bool = False


def check_input(x: Float32Array, *, engine: str) -> Float32Array:
    """Return ``x`` as a C-contiguous array; refuse anything but float32 of four dimensions, none of them zero."""
    if x.dtype != np.float32 or x.ndim != 4 or 0 in x.shape:
        raise EngineError(
            f"engine {engine} takes float32 tensors of shape [n, c, h, w]; got {x.dtype} {list(x.shape)}",
            hint="prepare the input with edge_kit.ocr, or cast and reshape it",
        )
    return np.ascontiguousarray(x)


def check_output(y: Float32Array, *, engine: str, model: Path) -> Float32Array:
    """Return ``y`` if every value is finite and sane; otherwise raise with the count of bad values.

    Non-finite values are counted explicitly: ``max(0, nan)`` hides them.
    """
    if y.size == 0 or (y.min() >= -ABSURD and y.max() <= ABSURD):  # both are NaN where a value is
        return y
    bad = int(y.size - np.count_nonzero(np.isfinite(y)))
    absurd = int(np.count_nonzero(np.abs(y) > ABSURD)) if bad == 0 else 0
    what = "NaN or infinite" if bad else f"beyond {ABSURD:g}"
    raise EngineError(
        f"engine {engine} answered {bad or absurd} of {y.size} values {what}",
        path=model,
        hint="the file may be made for another place or precision: inspect it with 'edge-kit inspect'",
    )
