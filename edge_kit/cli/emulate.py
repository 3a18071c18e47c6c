"""``edge-kit emulate MODEL.nb --input x.npy --output y.npy``."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np

from edge_kit.cli.outputs import refuse_input
from edge_kit.engines.base import EngineOptions, Float32Array
from edge_kit.engines.nb import ExactNbEngine, NbEngine
from edge_kit.ocr.result import write_output
from model_opt.errors import KitError
from model_opt.nb import needs_emulation, precision_of, read_nb


def run_emulate(model: Path, source: Path, target: Path, precision: str) -> None:
    """Run a ``.nb`` file on the tensor in ``source`` and write its first output to ``target``.

    ``fast`` takes ONNX Runtime (fp32 and weight-only kernels), ``exact`` computes fp16 and int8 kernels value by
    value; NaN and infinite values are written as they are and counted. Raises ``KitError`` for a ``target`` that
    is one of the two files.
    """
    refuse_input("--output", target, (model, source))
    options = EngineOptions()
    x = read_tensor(source)
    if precision == "fast":
        y = NbEngine(model, options).run(x)
    elif precision == "exact":
        y = exact_engine(model, options).compute(x)
    else:
        raise KitError(f"unknown precision {precision!r}", hint="use one of: exact, fast")
    buffer = io.BytesIO()
    np.save(buffer, y)
    write_output(target, buffer.getvalue())
    bad = int(y.size - np.count_nonzero(np.isfinite(y)))
    shape = "x".join(map(str, y.shape))
    sys.stdout.write(f"{target}: float32 {shape}, {bad} of {y.size} values NaN or infinite\n")


def exact_engine(model: Path, options: EngineOptions) -> ExactNbEngine:
    """Return the engine that computes fp16 and int8 kernels value by value; raises ``KitError`` for other files."""
    loaded = read_nb(model)
    if not needs_emulation(loaded):
        raise KitError(
            f"the file's precision is {precision_of(loaded)}: no kernel of it computes in fp16 or int8 on an ARM core",
            path=model,
            hint="leave --precision out; 'exact' is for files of the recipes fp16 and static_int8",
        )
    return ExactNbEngine(model, options)


def read_tensor(source: Path) -> Float32Array:
    """Return the float32 array in a ``.npy`` file; raises ``KitError`` for anything else."""
    hint = "write one with numpy.save: float32, [1, 3, height, width]"
    try:
        x = np.load(source, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise KitError(f"not a .npy file that can be read: {error}", path=source, hint=hint) from error
    if not isinstance(x, np.ndarray) or x.dtype != np.float32:
        raise KitError("the input is not one float32 array", path=source, hint=hint)
    return np.asarray(x, dtype=np.float32)
