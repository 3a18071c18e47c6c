"""Convert one Paddle model to a canonical ``.nb`` file with opt, in a child process that may abort as it likes."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from model_opt.convert.checks import check_restored, differences
from model_opt.convert.errors import ConvertError
from model_opt.convert.options import NO_FP16, Conversion, ConvertOptions, ModelPair, ModelPaths
from model_opt.errors import KitError
from model_opt.fs import disk_faults, write_atomic
from model_opt.nb import NbError, NbModel, canonicalise, deduplicate_parts, read_nb
from model_opt.opt_tool.errors import OptError
from model_opt.opt_tool.process import child_command, child_fingerprint, how_it_ended, last_lines, run_limited
from model_opt.paddle_model import write_model
from model_opt.program import Model


@dataclass(frozen=True)
class ToolEnv:
    """An interpreter and the folder with paddlelite and numpy for it: the converter ``opt``.

    ``python_version`` is the interpreter's (``3.7.16``), ``opt_version`` that of paddlelite's wheel (``2.14rc0``).
    """

    python: Path
    python_version: str
    opt_version: str
    site: Path

    @property
    def name(self) -> str:
        """The name of this converter."""
        return "opt"

    @property
    def cache_key(self) -> str:
        """What decides the answers: the release, and the scripts that drive it; no path of this machine."""
        return f"opt {self.opt_version} {child_fingerprint()}"

    def convert(self, model: ModelPaths, options: ConvertOptions, out: Path, *, timeout_s: float = 300.0) -> Conversion:
        """Convert ``model`` to ``out`` with opt; equal inputs give equal bytes. See ``Converter.convert``.

        Raises ``OptError`` with opt's own last lines when opt aborts, exits, is ended by a signal, runs out of time or
        writes something else than asked for, and ``KitError`` for a damaged model.
        """
        begin = time.perf_counter()
        _check_files(model)
        with disk_faults("convert the model", out), tempfile.TemporaryDirectory(prefix="edge-kit-opt-") as name:
            folder = Path(name)
            held = _lay_out(model, folder)
            if held and options.fp16:
                raise OptError(NO_FP16, path=model.program_file, hint="choose one of the two")
            asked = replace(options, weight_bits=None) if held else options
            log = _run_opt(model, asked, folder, self, timeout_s)
            found, data = _read_back(model, (folder / "model.nb").read_bytes(), asked, held, self, log)
            write_atomic(out, data)
        return Conversion.of(out, data, found, self.opt_version, begin, log)

    def convert_export(self, model: ModelPaths, options: ConvertOptions, out: Path) -> Conversion:
        """Convert a model as it was exported, which is the same for opt; see ``Converter.convert_export``."""
        return self.convert(model, options, out)

    def in_memory(self, model: Model, options: ConvertOptions) -> NbModel:
        """Return what opt's file holds; see ``Converter.in_memory``."""
        with tempfile.TemporaryDirectory(prefix="edge-kit-quantize-") as name:
            folder = Path(name)
            pair = ModelPair(folder / "inference.pdmodel", folder / "inference.pdiparams")
            write_model(model, pair.program_file, pair.params_file)
            self.convert(pair, options, folder / "model.nb")
            return read_nb(folder / "model.nb")


def _check_files(model: ModelPaths) -> None:
    for path, what in ((model.program_file, "program"), (model.params_file, "parameters")):
        if path is None:
            continue
        if not path.is_file():
            raise OptError(
                f"the model's {what} file does not exist", path=path, hint="check the path, or fetch it again"
            )
        if path.stat().st_size == 0:
            raise OptError(f"the model's {what} file is empty", path=path, hint="fetch or export the model again")


def _lay_out(model: ModelPaths, folder: Path) -> frozenset[int]:
    """Put the model into ``folder`` under plain names, so that opt never meets a strange path.

    Returns the widths of the weights that the model holds as integers. The files are read and checked first: opt
    ignores that a program cannot be parsed to its end and converts the part it got. What it demands and Paddle may have
    left out is added.
    """
    from model_opt.formats import read_model
    from model_opt.opt_tool.conv_pairs import kept_apart
    from model_opt.paddle_model import complete, integer_weights, write_model

    try:
        checked = read_model(model.program_file, model.params_file)
    except KitError as error:
        raise OptError(f"opt was not started: {error.what}", path=error.path, hint=error.hint) from error
    write_model(kept_apart(complete(checked)[0]), folder / "model.pdmodel", folder / "model.pdiparams")
    return frozenset(integer_weights(checked.program).values())


def _run_opt(
    model: ModelPaths, options: ConvertOptions, folder: Path, env: ToolEnv, timeout_s: float
) -> tuple[str, ...]:
    """Run the child; return its last lines when it wrote a file, otherwise raise ``OptError`` with them."""
    quant = f"QUANT_INT{options.weight_bits}" if options.weight_bits else None
    job = json.dumps({"place": options.place, "fp16": options.fp16, "quant": quant})
    command = child_command(env.python, "convert.py", env.site, job)
    log_file = folder / "log.txt"
    try:
        returncode = run_limited(command, cwd=folder, log=log_file, timeout_s=timeout_s)
    except OSError as error:
        raise OptError(
            f"the interpreter for opt cannot be started: {error.strerror or error}",
            path=env.python,
            hint="see what 'edge-kit doctor' says",
        ) from error
    log = last_lines(log_file.read_text(encoding="utf-8", errors="replace"))
    if returncode == 0 and (folder / "model.nb").is_file():
        return log
    if returncode is None:
        ending = f"did not finish within {timeout_s:g} s and was stopped"
    else:
        ending = how_it_ended(returncode) if returncode else "ended without writing a file"
    words = "".join(f"\n    {line}" for line in log) or " nothing"
    raise OptError(
        f"opt {env.opt_version} {ending} while converting for {options.label}; its last output:{words}",
        path=model.program_file,
        hint=_advice(log, returncode, env),
        returncode=returncode,
        log=log,
    )


def _advice(log: tuple[str, ...], returncode: int | None, env: ToolEnv) -> str:
    text = "\n".join(log)
    if returncode is None:
        return "allow more time, or look for what else keeps this machine busy"
    if "ModuleNotFoundError" in text or "ImportError" in text:
        return f"remove {env.site.parent} and run again: it is made anew"
    if "No space left" in text:
        return "free some space in the temporary folder (TMPDIR)"
    if "not supported" in text or "no kernel" in text.lower():
        return "the model has an operator that this place lacks: convert for another place, or simplify the model"
    return "the two files may not belong together, or opt cannot convert this model for this place"


def _read_back(
    model: ModelPaths, data: bytes, options: ConvertOptions, held: frozenset[int], env: ToolEnv, log: tuple[str, ...]
) -> tuple[NbModel, bytes]:
    """Read what opt wrote; return it with the bytes to keep. Raise ``OptError`` unless it is what was asked for."""
    try:
        data = deduplicate_parts(canonicalise(data))
        found = read_nb(data)
    except NbError as error:
        raise OptError(
            f"opt {env.opt_version} wrote a file that cannot be read back: {error.what}",
            path=model.program_file,
            hint="run again; if it stays so, report the model",
            returncode=0,
            log=log,
        ) from error
    try:
        check_restored(found)
    except ConvertError as error:
        raise OptError(error.what, path=model.program_file, hint=error.hint, returncode=0, log=log) from error
    faults = list(differences(found, options, held, env.opt_version))
    if faults:
        raise OptError(
            f"opt {env.opt_version} wrote another file than {options.label}: {'; '.join(faults)}",
            path=model.program_file,
            hint="convert for another place or precision: this model has nothing that opt could convert so",
            returncode=0,
            log=log,
        )
    return found, data
