"""Paddle Lite's opt as the oracle of the writer: what it makes of a program, or that it gave up."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from model_opt.convert import ConvertOptions
from model_opt.nb import canonicalise
from model_opt.opt_tool import ToolEnv
from model_opt.opt_tool.process import child_environment, last_lines
from model_opt.paddle_model import write_model
from model_opt.program import Model

_CHILD = Path(__file__).resolve().parent / "opt_child.py"


class OptGaveUp(Exception):
    """opt ended without a file; the text holds its last lines."""


class Oracle:
    """One warm process of opt that converts many models. For use in a ``with`` block."""

    def __init__(self, env: ToolEnv) -> None:
        self.opt_version = env.opt_version
        self._folder = tempfile.TemporaryDirectory(prefix="edge-kit-oracle-")
        self._process = subprocess.Popen(
            [str(env.python), "-I", "-S", "-B", str(_CHILD), str(env.site)],
            env=dict(child_environment()),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Oracle:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()

    def convert(self, model: Model, options: ConvertOptions) -> bytes:
        """Return opt's file, canonical; raises ``OptGaveUp``."""
        folder = Path(self._folder.name)
        made = folder / "model.nb"
        made.unlink(missing_ok=True)
        write_model(model, folder / "model.pdmodel", folder / "model.pdiparams")
        quant = f"QUANT_INT{options.weight_bits}" if options.weight_bits else None
        job = {"folder": str(folder), "place": options.place, "fp16": options.fp16, "quant": quant}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        if code or not made.is_file():
            log = (folder / "log.txt").read_text(encoding="utf-8", errors="replace")
            raise OptGaveUp(f"code {code}: " + " | ".join(last_lines(log)))
        return canonicalise(made.read_bytes())
