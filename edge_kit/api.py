"""The Python interface: ``create_pipeline(...).predict(x)``, in the shape that PaddleX users know."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from edge_kit.engines.base import Engine, EngineOptions
from edge_kit.engines.factory import create_engine
from edge_kit.inputs import ImageInput, expand
from edge_kit.model_facts import detector_facts, recogniser_facts
from edge_kit.ocr.image import Image
from edge_kit.ocr.pipeline import OcrPipeline, Runs
from edge_kit.ocr.recognition import load_characters
from edge_kit.ocr.result import Names, OcrResult, stem_of
from edge_kit.settings import PipelineSettings, from_mapping, load_settings, looks_like_path
from edge_kit.spec import load_spec, profile
from edge_kit.spec.model import DetectorFacts, RecogniserFacts, Spec, SpecProfile
from model_opt.errors import KitError
from model_opt.zoo import ModelFiles, check_operators, fetch, open_model, with_dictionary


class Pipeline:
    """A ready pipeline: models loaded, engines warm. Close it, or use it in a ``with`` block."""

    def __init__(self, settings: PipelineSettings) -> None:
        self.settings = settings
        self._engines: list[Engine] = []
        try:
            self.ocr = self._assemble()
        except BaseException:
            self.close()
            raise

    def predict(self, x: Any) -> Iterator[OcrResult]:
        """Yield one ``OcrResult`` for each image in ``x``.

        ``x`` is an ndarray (BGR uint8), a path, an http(s) URL, a folder, ``{"img": …}`` or a list of these. The next
        image is decoded while one is read. Raises ``KitError`` at the first image that cannot be read.
        """
        for source, outcome in self.predict_each(x):
            if isinstance(outcome, KitError):
                raise outcome
            del source
            yield outcome

    def predict_each(self, x: Any) -> Iterator[tuple[ImageInput, OcrResult | KitError]]:
        """Yield each source with its result, or with the error that kept it from being read, and go on.

        Each result of one call is saved under its own name in a folder: the input's, numbered from the second on.
        """
        with ThreadPoolExecutor(1, "edge-kit-decode") as decoder:
            sources = expand(x)
            upcoming = next(sources, None)
            pending = None if upcoming is None else decoder.submit(_load, upcoming)
            names = Names()
            while upcoming is not None and pending is not None:
                source, loaded = upcoming, pending.result()
                name = names.unused(stem_of(source.input_path))
                upcoming = next(sources, None)
                pending = None if upcoming is None else decoder.submit(_load, upcoming)
                if isinstance(loaded, KitError):
                    yield source, loaded
                    continue
                image, seconds = loaded
                try:
                    result = self.ocr.read(image, source.input_path)
                except KitError as error:
                    yield source, error
                    continue
                yield source, replace(result, name=name, timings={"decode": seconds, **result.timings})

    def close(self) -> None:
        """Free the engines; calling it twice is harmless."""
        for engine in self._engines:
            engine.close()
        self._engines.clear()
        if hasattr(self, "ocr"):
            self.ocr.close()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _assemble(self) -> OcrPipeline:
        settings = self.settings
        parts = _parts(settings)
        rules = _rules(settings, parts.spec).for_detector(parts.det_facts).for_recogniser(parts.rec_facts)
        classify = None
        if rules.classifier.enabled:
            classifier = _model_files(settings.cls_model, "cls", None, settings)
            classify = self._keep(_maker(settings, classifier)(self._options(settings.device, 1))).run
        det_device = settings.det_device or settings.device
        rec_device = settings.rec_device or settings.device
        lines = _line_workers(settings, rec_device)
        one_line = self._options(rec_device, settings.cores // lines)
        runs = Runs(
            detect=self._keep(parts.det(self._options(det_device, settings.cores))).run,
            recognise=tuple(self._keep(parts.rec(one_line)).run for _ in range(lines)),
            classify=classify,
        )
        return OcrPipeline(rules, runs, load_characters(parts.dictionary, rules.ctc))

    def _options(self, device: str, threads: int) -> EngineOptions:
        return EngineOptions(device, max(threads, 1), self.settings.offline, converter=self.settings.converter)

    def _keep(self, engine: Engine) -> Engine:
        self._engines.append(engine)
        return engine


def create_pipeline(
    pipeline: str | Path = "ocr", *, engine: str | None = None, device: str | None = None, **settings: Any
) -> Pipeline:
    """Return a pipeline: ``"ocr"`` for the default one, or the path of a pipeline file (YAML).

    ``engine`` is ``nb``, ``server``, ``lite_x86`` or ``onnx``; ``device`` is ``cpu`` or ``gpu:0``; further settings
    are the fields of ``edge_kit.settings.PipelineSettings`` and override the file's. Raises ``KitError`` on a bad
    setting, a model that is not available, or an engine that cannot be created.
    """
    given = {**settings, "engine": engine, "device": device}
    given = {key: value for key, value in given.items() if value is not None}
    chosen = from_mapping(given) if str(pipeline).lower() == "ocr" else load_settings(Path(pipeline), **given)
    return Pipeline(chosen if chosen.bundle is None else _with_bundle(chosen, given))


def _with_bundle(settings: PipelineSettings, given: Mapping[str, Any]) -> PipelineSettings:
    """Return the settings with those of the bundle where the user gave none."""
    from edge_kit.bundle import bundle_settings

    stated = bundle_settings(Path(str(settings.bundle)), settings.engine)
    return replace(settings, **{key: value for key, value in stated.items() if key not in given})


_NOTHING_SAID = DetectorFacts(), RecogniserFacts()
"""A bundle's models: its specification says it all."""


@dataclass(frozen=True)
class _Parts:
    """How to make the engines of a pipeline, and what its recogniser's classes mean."""

    det: Callable[[EngineOptions], Engine]
    rec: Callable[[EngineOptions], Engine]
    dictionary: Path
    det_facts: DetectorFacts = _NOTHING_SAID[0]
    rec_facts: RecogniserFacts = _NOTHING_SAID[1]
    spec: Spec | None = None
    """The bundle's own specification, None for the kit's."""


def _parts(settings: PipelineSettings) -> _Parts:
    """Return the parts: a bundle's own files for engine ``nb``, else models by name or path."""
    if settings.bundle is not None and settings.engine == "nb":
        from edge_kit.bundle import bundle_files
        from edge_kit.engines.nb import open_nb

        files = bundle_files(Path(settings.bundle))
        return _Parts(
            partial(open_nb, files.det), partial(open_nb, files.rec), files.labels, spec=load_spec(files.spec)
        )
    det, rec = det_files(settings), rec_files(settings)
    if rec.dictionary is None:
        raise KitError("the recogniser has no dictionary", path=rec.program_file, hint="name it with --rec-dict")
    return _Parts(
        _maker(settings, det), _maker(settings, rec), rec.dictionary, detector_facts(det), recogniser_facts(rec)
    )


def _maker(settings: PipelineSettings, model: ModelFiles) -> Callable[[EngineOptions], Engine]:
    if settings.engine == "nb":
        check_operators(model.program_file, model.params_file)
    return partial(create_engine, settings.engine, model)


def det_files(settings: PipelineSettings) -> ModelFiles:
    """Return the detector's files: fetched by name, or the user's own by path."""
    return _model_files(settings.chosen.det, "det", None, settings)


def rec_files(settings: PipelineSettings) -> ModelFiles:
    """Return the recogniser's files and dictionary: fetched by name, or the user's own by path."""
    return _model_files(settings.chosen.rec, "rec", settings.rec_dict, settings)


def _model_files(name: str, kind: Any, dictionary: str | None, settings: PipelineSettings) -> ModelFiles:
    own = Path(dictionary) if dictionary else None
    if looks_like_path(name):
        return open_model(Path(name), kind, dictionary=own)
    files = fetch(name, offline=settings.offline)
    if files.kind != kind:
        raise KitError(f"model {name!r} is of kind {files.kind}, and a {kind} model is needed here")
    return files if own is None else with_dictionary(files, own)


def _line_workers(settings: PipelineSettings, device: str) -> int:
    """Return how many recogniser sessions share the lines: one for each core, one alone on another device.

    Paddle Lite's worker keeps a predictor for every width, so a second worker would double its memory; Paddle
    Inference runs one predictor at a time in a process.
    """
    single = device != "cpu" or settings.engine in ("lite_x86", "server")
    return 1 if single else min(settings.cores, 8)


def _rules(settings: PipelineSettings, spec: Spec | None) -> SpecProfile:
    rules = profile(settings.spec if spec else settings.chosen.profile, spec)
    if settings.rec_batch_size is not None:
        rules = rules.in_batches_of(settings.rec_batch_size)
    if settings.use_angle_classifier is None:
        return rules
    return replace(rules, classifier=replace(rules.classifier, enabled=settings.use_angle_classifier))


def _load(source: ImageInput) -> tuple[Image, float] | KitError:
    begin = time.perf_counter()
    try:
        image = source.load()
    except KitError as error:
        return error
    return image, time.perf_counter() - begin
