"""The Python interface: ``create_pipeline(...).predict(x)``, in the shape that PaddleX users know."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
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
from edge_kit.ocr.tensor import Run
from edge_kit.pipeline_files import Document, Ignored, read_document
from edge_kit.pipeline_files.words import WORDS, understand
from edge_kit.rules import with_settings
from edge_kit.settings import (
    DEFAULT_PAGE,
    DEFAULT_TEXTLINE,
    PipelineSettings,
    ReadSettings,
    checked,
    from_mapping,
    looks_like_path,
    read_settings,
    refuse_unsupported,
)
from edge_kit.spec import load_spec, profile
from edge_kit.spec.model import DetectorFacts, RecogniserFacts, Spec, SpecProfile
from model_opt.errors import KitError, SourceUnavailable
from model_opt.zoo import ModelFiles, check_operators, fetch, open_model, with_dictionary


class Pipeline:
    """A ready pipeline: models loaded, engines warm. Close it, or use it in a ``with`` block."""

    def __init__(self, settings: PipelineSettings, ignored: tuple[Ignored, ...] = ()) -> None:
        self.settings = settings
        self.ignored = ignored
        """What was asked for and has no effect: keys of a pipeline file, and PaddleX's options."""
        self._engines: list[Engine] = []
        try:
            self.ocr = self._assemble()
        except BaseException:
            self.close()
            raise

    def predict(self, x: Any, **overrides: Any) -> Iterator[Any]:
        """Yield one ``OcrResult`` for each image in ``x``; with ``result_schema`` ``seed`` ``[{"result": OcrResult}]``.

        ``x`` is an ndarray (BGR uint8), a path, an http(s) URL, a folder, ``{"img": …}`` or a list of these. The next
        image is decoded while one is read. ``overrides`` hold for this call and have PaddleX 3's names (``OVERRIDES``);
        None leaves the pipeline's value. Raises ``KitError`` at once for a name, a value or a model that this pipeline
        does not have, and at the first image that cannot be read.
        """
        return self._results(self.predict_each(x, **overrides))

    def _results(self, outcomes: Iterator[tuple[ImageInput, OcrResult | KitError]]) -> Iterator[Any]:
        nested = self.settings.result_schema == "seed"
        for _, outcome in outcomes:
            if isinstance(outcome, KitError):
                raise outcome
            yield [{"result": outcome}] if nested else outcome

    def predict_each(self, x: Any, **overrides: Any) -> Iterator[tuple[ImageInput, OcrResult | KitError]]:
        """Yield each source with its result, or with the error that kept it from being read, and go on.

        Each result of one call is saved under its own name in a folder: the input's, numbered from the second on.
        ``overrides`` as in ``predict``.
        """
        words = overrides.get("return_word_box")
        marked = replace(self.settings, return_word_box=self.settings.return_word_box if words is None else words)
        return self._read_each(x, self.ocr if not overrides else self.overridden(overrides), marked)

    def overridden(self, overrides: Mapping[str, Any]) -> OcrPipeline:
        """Return the pipeline with other rules on the same models; ``overrides`` and errors as in ``predict``."""
        unknown = sorted(set(overrides) - set(OVERRIDES))
        if unknown:
            raise KitError(f"predict knows no option {unknown[0]!r}", hint=f"known: {', '.join(OVERRIDES)}")
        given = checked({key: value for key, value in overrides.items() if value is not None})
        changed = replace(self.settings, **given)
        refuse_unsupported(ReadSettings(changed))
        for key in given:
            if key in _MODELS_OF and given[key] and not getattr(self.settings, key):
                raise KitError(
                    f"{key} needs a model that this pipeline has not loaded",
                    hint=f"make the pipeline with create_pipeline(…, {key}=True)",
                )
        return self.ocr.under(_rules(changed, self._base))

    def _read_each(
        self, x: Any, ocr: OcrPipeline, settings: PipelineSettings
    ) -> Iterator[tuple[ImageInput, OcrResult | KitError]]:
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
                    result = ocr.read(image, source.input_path)
                except KitError as error:
                    yield source, error
                    continue
                named = replace(result, name=name, timings={"decode": seconds, **result.timings})
                yield source, in_form(named, settings)

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
        named = profile(settings.spec if parts.spec else settings.chosen.profile, parts.spec)
        if parts.spec is not None:
            named = _with_host_rules(named)
        self._base = named.for_detector(parts.det_facts).for_recogniser(parts.rec_facts)
        rules = _rules(settings, self._base)
        det_device = settings.det_device or settings.device
        rec_device = settings.rec_device or settings.device
        lines = _line_workers(settings, rec_device)
        one_line = self._options(rec_device, settings.cores // lines)
        runs = Runs(
            detect=self._keep(parts.det(self._options(det_device, settings.cores))).run,
            recognise=tuple(self._keep(parts.rec(one_line)).run for _ in range(lines)),
            classify=self._classifier(_line_classifier(rules, settings)),
            classify_page=self._classifier(_page_classifier(rules, settings)),
        )
        return OcrPipeline(rules, runs, load_characters(parts.dictionary, rules.ctc))

    def _classifier(self, name: str | None) -> Run | None:
        if name is None:
            return None
        try:
            files = _model_files(name, "cls", None, self.settings)
        except SourceUnavailable as error:
            if name != DEFAULT_PAGE:
                raise
            hint = "name another model: doc_orientation_model='text_image_orientation' comes from the package index"
            raise KitError(error.what, path=error.path, hint=hint) from error
        return self._keep(_maker(self.settings, files)(self._options(self.settings.device, 1))).run

    def _options(self, device: str, threads: int) -> EngineOptions:
        return EngineOptions(device, max(threads, 1), self.settings.offline, converter=self.settings.converter)

    def _keep(self, engine: Engine) -> Engine:
        self._engines.append(engine)
        return engine


OVERRIDES = (
    "use_doc_orientation_classify",
    "use_doc_unwarping",
    "use_textline_orientation",
    "text_det_limit_side_len",
    "text_det_limit_type",
    "text_det_max_side_limit",
    "text_det_thresh",
    "text_det_box_thresh",
    "text_det_unclip_ratio",
    "text_rec_score_thresh",
    "return_word_box",
)
"""What ``Pipeline.predict`` takes for one call, by PaddleX 3's names."""

_MODELS_OF = ("use_doc_orientation_classify", "use_textline_orientation")
"""Overrides that need a model beside detector and recogniser."""


class IgnoredSettings(UserWarning):
    """Something that was asked for has no effect; the text lists what and why."""


def create_pipeline(
    pipeline: str | Path | Mapping[str, Any] = "ocr",
    *,
    engine: str | None = None,
    device: str | None = None,
    enable_hpi: bool | None = None,
    **settings: Any,
) -> Pipeline:
    """Return a pipeline: ``"ocr"`` for the default one, or the path (or the mapping) of a pipeline file.

    The file is the kit's or PaddleX's, see ``edge_kit.pipeline_files``. ``engine`` is ``nb``, ``server``, ``lite_x86``
    or ``onnx``; ``device`` is ``cpu`` or ``gpu:0``; further settings are the fields of
    ``edge_kit.settings.PipelineSettings``, or PaddleX's and PaddleOCR's words for them, and override the file's. What
    has no effect is listed in ``Pipeline.ignored`` and in a warning of class ``IgnoredSettings``. Raises ``KitError``
    on a bad setting, a model that is not available, or an engine that cannot be created.
    """
    chosen = choose_settings(pipeline, {**settings, "engine": engine, "device": device, "enable_hpi": enable_hpi})
    if chosen.ignored:
        listed = "; ".join(map(str, chosen.ignored))
        warnings.warn(f"without effect: {listed}", IgnoredSettings, stacklevel=2)
    return Pipeline(chosen.settings, chosen.ignored)


def choose_settings(pipeline: str | Path | Mapping[str, Any], given: Mapping[str, Any]) -> ReadSettings:
    """Return the settings of a pipeline by name, file or mapping, with ``given`` over them (None means: not given).

    Names are fields of ``PipelineSettings``, or PaddleX's words. Raises ``KitError`` for what is asked for, would
    change results and cannot be done.
    """
    known = {one.name for one in fields(PipelineSettings)}
    words = {key: value for key, value in given.items() if key not in known and key in WORDS}
    said = understand(words)
    plain = {key: value for key, value in given.items() if key not in words and value is not None}
    twice = sorted(set(plain) & set(said.settings))
    if twice:
        raise KitError(f"setting {twice[0]!r} is given twice, once by another name", hint="leave one of them out")
    plain |= said.settings
    if isinstance(pipeline, Mapping):
        chosen = read_settings(Document(pipeline), **plain)
    elif str(pipeline).lower() == "ocr":
        chosen = ReadSettings(from_mapping({**said.implied, **plain}))
    else:
        chosen = read_settings(read_document(Path(pipeline)), **plain)
    chosen = replace(chosen, ignored=(*chosen.ignored, *said.ignored))
    if chosen.settings.bundle is not None:
        chosen = replace(chosen, settings=_with_bundle(chosen.settings, plain))
    refuse_unsupported(chosen)
    return chosen


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


def _line_classifier(rules: SpecProfile, settings: PipelineSettings) -> str | None:
    """Return which model says which way up a line stands, by the rules that are on; None for none."""
    if rules.textline is not None and rules.textline.enabled:
        return settings.textline_orientation_model or DEFAULT_TEXTLINE
    return settings.cls_model if rules.classifier.enabled else None


def _page_classifier(rules: SpecProfile, settings: PipelineSettings) -> str | None:
    return (settings.doc_orientation_model or DEFAULT_PAGE) if rules.turns_pages else None


def _line_workers(settings: PipelineSettings, device: str) -> int:
    """Return how many recogniser sessions share the lines: one for each core, one alone on another device.

    Paddle Lite's worker keeps a predictor for every width, so a second worker would double its memory; Paddle
    Inference runs one predictor at a time in a process.
    """
    single = device != "cpu" or settings.engine in ("lite_x86", "server")
    return 1 if single else min(settings.cores, 8)


def _rules(settings: PipelineSettings, base: SpecProfile) -> SpecProfile:
    """Return a profile's rules with what the settings say in its place."""
    rules = with_settings(base, settings)
    if settings.use_angle_classifier is None:
        return rules
    return replace(rules, classifier=replace(rules.classifier, enabled=settings.use_angle_classifier))


def in_form(result: OcrResult, settings: PipelineSettings) -> OcrResult:
    """Return a result in the form that the settings ask for."""
    return replace(result, schema=settings.result_schema, return_word_box=bool(settings.return_word_box))


def _with_host_rules(rules: SpecProfile) -> SpecProfile:
    """Return a bundle's profile with the rules of hosts, from the kit's own profile of that name if it has one."""
    own = {one.name: one for one in load_spec().profiles}.get(rules.name)
    return rules if own is None else rules.with_host_rules(own)


def _load(source: ImageInput) -> tuple[Image, float] | KitError:
    begin = time.perf_counter()
    try:
        image = source.load()
    except KitError as error:
        return error
    return image, time.perf_counter() - begin
