"""ONNX Runtime: on a paddle2onnx export of the model (the onnx engine), or on a model that was published in ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_kit.engines.base import EngineError, EngineOptions, Float32Array, check_input, check_output
from edge_kit.engines.session import make_session
from model_opt.fs import write_atomic
from model_opt.resources import cache_dir
from model_opt.zoo import ModelFiles

OPSET = 14


class OnnxEngine:
    """ONNX Runtime on one ``.onnx`` file, under the name that the caller gives. Runs from several threads at once are
    allowed.
    """

    def __init__(self, path: Path, options: EngineOptions, name: str = "onnx") -> None:
        self.name = name
        self._path = path
        self._session = make_session(path, options, path)
        self._input = self._session.get_inputs()[0].name

    def run(self, x: Float32Array) -> Float32Array:
        """Run the model on float32 NCHW and return its first output; see ``Engine.run``."""
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

        x = check_input(x, engine=self.name)
        if self._session is None:
            raise EngineError("the engine was closed", path=self._path)
        try:
            y = self._session.run(None, {self._input: x})[0]
        except (Fail, InvalidArgument, RuntimeException) as error:
            raise EngineError(f"ONNX Runtime failed: {error}", path=self._path) from error
        return check_output(np.asarray(y, dtype=np.float32), engine=self.name, model=self._path)

    def close(self) -> None:
        """Free the session."""
        self._session = None


def export_onnx(model: ModelFiles) -> Path:
    """Return an ONNX export of the model, made once by paddle2onnx and kept in the cache.

    paddle2onnx reads ``.pdmodel`` only: it gets any other format as the kit reads it.


    Raises ``EngineError`` when paddle2onnx is missing or cannot translate the model.
    """
    from importlib.metadata import PackageNotFoundError, version

    try:
        release = version("paddle2onnx")
    except PackageNotFoundError as error:
        raise EngineError(
            "engine onnx needs paddle2onnx, which is not installed",
            hint="install paddle2onnx (edge-kit[onnx]; there is none for CPython 3.13), or use another --engine",
        ) from error
    path = cache_dir() / "onnx" / f"{model.fingerprint[:32]}-{release}-opset{OPSET}.onnx"
    if not path.is_file():
        write_atomic(path, _export_bytes(model))
    return path


def _export_bytes(model: ModelFiles) -> bytes:
    """Run paddle2onnx in a child process: it prints at will, imports paddle, and may abort on a bad model."""
    import subprocess
    import sys
    import tempfile

    code = (
        "import sys, cv2, paddle2onnx\n"
        f"paddle2onnx.export(sys.argv[1], sys.argv[2], sys.argv[3], opset_version={OPSET}, verbose=False)\n"
    )
    with tempfile.TemporaryDirectory(prefix="edge-kit-onnx-") as folder:
        target = Path(folder) / "model.onnx"
        command = [sys.executable, "-c", code, *map(str, _paddle_files(model, Path(folder))), str(target)]
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=600
        )
        if done.returncode != 0 or not target.is_file():
            last = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()][-3:]
            raise EngineError(
                "paddle2onnx cannot translate the model: " + " | ".join(last),
                path=model.program_file,
                hint="check the files with 'edge-kit models verify', or use --engine server",
            )
        return target.read_bytes()


def _paddle_files(model: ModelFiles, folder: Path) -> tuple[Path, Path]:
    """Return the model as ``.pdmodel`` and ``.pdiparams``: its own files, or what is written to ``folder``."""
    if model.format == "paddle" and model.params_file is not None:
        return model.program_file, model.params_file
    from model_opt.formats import read_model
    from model_opt.paddle_model import write_model

    files = folder / "inference.pdmodel", folder / "inference.pdiparams"
    write_model(read_model(model.program_file, model.params_file), *files)
    return files
