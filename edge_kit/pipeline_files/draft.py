"""Settings in the making: what a reader has understood of a pipeline file so far."""

from __future__ import annotations

from typing import Any

from edge_kit.pipeline_files.document import Document, Section
from edge_kit.pipeline_files.model import Ignored, Kind, PipelineFile, Place
from edge_kit.pipeline_files.names import engine_name, model_named
from model_opt.errors import KitError
from model_opt.resources import expanded
from model_opt.zoo import DOWNLOAD_FIRST, is_address, load_zoo

EXACT_MODES = ("paddle", "mkldnn", "trt_fp32")
"""Run modes of Paddle Inference that compute in float32; the others change results."""


class Draft:
    """Collects settings with their places, and what was ignored."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._settings: dict[str, Any] = {}
        self._places: dict[str, Place] = {}
        self._ignored: list[Ignored] = []

    def set(self, setting: str, value: Any, place: Place | None = None) -> None:
        """Give a setting its value; None leaves it out."""
        if value is None:
            return
        self._settings[setting] = value
        if place is not None:
            self._places[setting] = place

    def value(self, setting: str, part: Section, key: str, kind: str, default: Any = None) -> None:
        """Take a setting from a key of the same meaning."""
        self.set(setting, part.take(key, kind, default), part.place(key))

    def model(self, setting: str, part: Section, key: str) -> None:
        """Take a model from a key that holds a name or, in older files, a folder; it must be there."""
        name = part.take(key, "text")
        if name is None:
            raise part.missing(key, "is missing", "name the model, such as PP-OCRv4_mobile_det, or its folder")
        self.set(
            setting, self._folder(name, part, key) if self._is_folder(name) else model_named(name), part.place(key)
        )

    def module(self, setting: str, part: Section, default: str | None = None) -> None:
        """Take the model of a sub-module of PaddleX 3: the folder ``model_dir``, else ``model_name``."""
        folder, name = part.take("model_dir", "text"), part.take("model_name", "text", default)
        if folder is not None:
            self.set(setting, self._folder(folder, part, "model_dir"), part.place("model_dir"))
        elif name is not None:
            self.set(setting, model_named(name), part.place("model_name"))
        else:
            raise part.missing("model_name", "is missing, and model_dir too", "name the model or its folder")

    def engine(self, part: Section) -> None:
        """Take the engine by PaddleX's name."""
        name = part.take("engine", "text")
        if name is None:
            return
        try:
            self.set("engine", engine_name(name), part.place("engine"))
        except KitError as error:
            raise part.fault("engine", f"cannot be used: {error.what}", error.hint) from error

    def run_options(self, part: Section, key: str) -> None:
        """Take the threads out of an engine's options, refuse a run mode of lower precision, ignore the others."""
        options = part.section(key)
        for name in ("paddle_static", "onnxruntime"):
            if name in options:
                self.run_options(options, name)
        if options.take("run_mode", "text", EXACT_MODES[0]) not in EXACT_MODES:
            raise options.fault("run_mode", "computes in another precision than float32", f"use {EXACT_MODES[0]}")
        for name in ("cpu_threads", "intra_op_num_threads"):
            self.value("threads", options, name, "whole number")
        self.left(options, "an option of PaddleX's own runner")

    def pipeline_name(self, part: Section) -> None:
        """Check that the file describes the OCR pipeline, if it says so."""
        name = part.take("pipeline_name", "text", "OCR")
        if name.upper() != "OCR":
            raise part.fault("pipeline_name", f"is {name!r}, and the kit has the pipeline OCR only", "use OCR")

    def ignore(self, part: Section, key: str, why: str) -> None:
        """Note a key as ignored, if the file has it."""
        self._ignored.extend(part.ignore(key, why))

    def left(self, part: Section, why: str | None = None) -> None:
        """Note all keys of a section that nobody took."""
        self._ignored.extend(part.left(why))

    def made(self, kind: Kind) -> PipelineFile:
        """Return what was read; ignored keys in the order of the file."""
        ignored = tuple(sorted(self._ignored, key=lambda one: one.line or 0))
        return PipelineFile(kind, self._settings, ignored, self._places)

    def _is_folder(self, name: str) -> bool:
        """Return whether a name means a folder: it looks like a path, or one lies beside the file."""
        beside = self._document.path is not None and (self._document.path.parent / name).is_dir()
        return "/" in name or "\\" in name or (beside and name not in load_zoo().names)

    def _folder(self, name: str, part: Section, key: str) -> str:
        """Return an absolute path: beside the file if it is there, else from the present folder, as PaddleX does."""
        if is_address(name):
            raise part.fault(key, "is an address, and models are not read from addresses", DOWNLOAD_FIRST)
        path = expanded(name)
        beside = path if self._document.path is None else self._document.path.parent / path
        return str((beside if beside.exists() else path).absolute())
