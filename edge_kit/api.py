"""The Python interface: ``create_pipeline(...).predict(x)``, in the shape that PaddleX users know."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any

from edge_kit.device_sets import check_devices, device_sets, wants_auto, with_devices
from edge_kit.documents import Document as ImageDocument
from edge_kit.engines.available import offered
from edge_kit.engines.base import Engine, EngineError, EngineOptions
from edge_kit.engines.devices import auto_device
from edge_kit.engines.factory import ENGINES, create_engine
from edge_kit.hpi.choice import Choice, choose
from edge_kit.hpi.engines import open_planned
from edge_kit.hpi.plan import Plan, default_plan, read_config
from edge_kit.inputs import ImageInput, expand, pages_of
from edge_kit.model_facts import detector_facts, recogniser_facts
from edge_kit.model_files import check_models, det_files, model_files, rec_files
from edge_kit.ocr.pipeline import OcrPipeline, Runs
from edge_kit.ocr.recognition import load_characters
from edge_kit.ocr.result import Names, OcrResult, stem_of
from edge_kit.ocr.tensor import Run
from edge_kit.pipeline_files import Document, Ignored, PipelineFileError, Place, read_document
from edge_kit.pipeline_files.model import listed
from edge_kit.pipeline_files.names import ENGINES as PADDLEX_NAMES
from edge_kit.pipeline_files.words import INPUT, SAVE_PATH, WORDS, understand
from edge_kit.rules import with_settings
from edge_kit.scheduling import Cores, in_order
from edge_kit.settings import (
    DEFAULT_PAGE,
    DEFAULT_TEXTLINE,
    PipelineSettings,
    ReadSettings,
    checked,
    from_mapping,
    read_settings,
    refuse_unsupported,
)
from edge_kit.spec import load_spec, profile
from edge_kit.spec.model import DetectorFacts, RecogniserFacts, Spec, SpecProfile
from model_opt.errors import KitError, SourceUnavailable
from model_opt.zoo import ModelFiles, check_operators


class Pipeline:
    """A ready pipeline: models loaded, engines warm. Close it, or use it in a ``with`` block."""

    def __init__(
        self, settings: PipelineSettings, ignored: tuple[Ignored, ...] = (), *, plan: Plan | None = None
    ) -> None:
        """Load the models; ``plan`` says how they run, else ``enable_hpi`` chooses, else the default runs."""
        if plan is None and settings.enable_hpi:
            choice = choose_plan(settings)
            plan, settings = choice.plan, replace(settings, threads=choice.threads)
        self.settings = settings
        self.plan = plan or default_plan(settings.cores)
        self.ignored = ignored
        """What was asked for and has no effect: keys of a pipeline file, and PaddleX's options."""
        self.device_note: str | None = None
        """What ``auto`` came to mean, and why."""
        self._engines: list[Engine] = []
        self._sets: list[OcrPipeline] = []
        self._idle: SimpleQueue[OcrPipeline] = SimpleQueue()
        self._cores = Cores(settings.cores)
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    @property
    def devices(self) -> int:
        """How many devices share the images."""
        return len(self._sets)

    def _load(self) -> None:
        """Load the models once for each device; ``auto`` is settled here, with a warning that says how.

        What can be refused by its name is refused before a model is fetched.
        """
        _check_names(self.settings)
        if not wants_auto(self.settings):
            self._load_sets()
            return
        key = _table_engine(self.settings)
        device, reason = auto_device(key, lambda: offered(key))
        asked = self.settings
        try:
            self.settings = with_devices(asked, device)
            self._load_sets()
        except EngineError as error:
            if device == "cpu":
                raise
            self.close()
            self._sets, self._idle = [], SimpleQueue()
            reason = f"device auto: cpu, since {device} does not work: {error.what}"
            self.settings = with_devices(asked, "cpu")
            self._load_sets()
        self.device_note = reason
        warnings.warn(reason, DeviceChoice, stacklevel=4)

    def _load_sets(self) -> None:
        for det_device, rec_device in device_sets(self.settings):
            self._sets.append(self._assemble(det_device, rec_device))
            self._idle.put(self._sets[-1])
        self.ocr = self._sets[0]

    def predict(self, input: Any, **overrides: Any) -> Iterator[Any]:
        """Yield one ``OcrResult`` for each image or page; with ``result_schema`` ``seed`` ``[{"result": OcrResult}]``.

        ``input`` is an ndarray (BGR uint8), a path, an http(s) URL, a folder, ``{"img": …}``, or a list or iterator of
        these; a file may be a PDF, or have several pages or frames. Images are read side by side and yielded in order.
        ``overrides`` hold for this call and have PaddleX 3's names (``OVERRIDES``); None leaves the pipeline's value.
        Raises ``KitError`` at once for a name, a value or a model that this pipeline does not have, and at the first
        image that cannot be read.
        """
        return self._results(self.predict_each(input, **overrides))

    def _results(self, outcomes: Iterator[tuple[ImageInput, OcrResult | KitError]]) -> Iterator[Any]:
        nested = self.settings.result_schema == "seed"
        for _, outcome in outcomes:
            if isinstance(outcome, KitError):
                raise outcome
            yield [{"result": outcome}] if nested else outcome

    def predict_each(self, input: Any, **overrides: Any) -> Iterator[tuple[ImageInput, OcrResult | KitError]]:
        """Yield each source with its result, or with the error that kept it from being read, and go on.

        Each result of one call is saved under its own name in a folder: the input's, numbered from the second on.
        ``overrides`` as in ``predict``.
        """
        words = overrides.get("return_word_box")
        marked = replace(self.settings, return_word_box=self.settings.return_word_box if words is None else words)
        return self._read_each(input, self.ocr if not overrides else self.overridden(overrides), marked)

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
        names, stop = Names(), threading.Event()
        for source, outcome in self._outcomes(expand(x), ocr, stop):
            name = names.unused(stem_of(source.input_path, source.page_index))
            if not isinstance(outcome, KitError):
                outcome = in_form(replace(outcome, name=name, page_index=source.page_index), settings)
            yield source, outcome

    def _outcomes(
        self, sources: Iterator[ImageInput], ocr: OcrPipeline, stop: threading.Event
    ) -> Iterator[tuple[ImageInput, OcrResult | KitError]]:
        """Yield each source with what came of it, documents page by page; ``stop`` is set when nobody waits."""
        for source, outcome in in_order(sources, partial(self._read, ocr, stop), self._images_at_once, stop=stop.set):
            if isinstance(outcome, ImageDocument):
                yield from self._outcomes(pages_of(source, outcome, ocr.rules.image.alpha), ocr, threading.Event())
            else:
                yield source, outcome

    def _read(
        self, ocr: OcrPipeline, stop: threading.Event, source: ImageInput
    ) -> OcrResult | KitError | ImageDocument:
        """Return the result for one source, the document that it is, or why there is none."""
        begin = time.perf_counter()
        try:
            with self._cores.image():
                image = source.opened(ocr.rules.image.alpha, stop)
                if isinstance(image, ImageDocument):
                    return image
                seconds = time.perf_counter() - begin
                with self._device_for(ocr) as reader:
                    result = reader.read(image, source.input_path)
        except KitError as error:
            return error
        return replace(result, timings={"decode": seconds, **result.timings})

    @property
    def _images_at_once(self) -> int:
        return self.plan.images if len(self._sets) == 1 else len(self._sets)

    @contextmanager
    def _device_for(self, ocr: OcrPipeline) -> Iterator[OcrPipeline]:
        """Lend a set of engines, with the rules of ``ocr``: the only one, or of several one that is idle."""
        if len(self._sets) == 1:
            yield ocr
            return
        lent = self._idle.get()
        try:
            yield lent.under(ocr.rules)
        finally:
            self._idle.put(lent)

    def close(self) -> None:
        """Free the engines; calling it twice is harmless."""
        for engine in self._engines:
            engine.close()
        self._engines.clear()
        for one in self._sets:
            one.close()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _assemble(self, det_device: str, rec_device: str) -> OcrPipeline:
        settings = self.settings
        parts = _parts(settings, self.plan)
        named = profile(settings.spec if parts.spec else settings.chosen.profile, parts.spec)
        if parts.spec is not None:
            named = _with_host_rules(named)
        self._base = named.for_detector(parts.det_facts).for_recogniser(parts.rec_facts)
        rules = _rules(settings, self._base)
        lines = 1 if self.plan.backend == "paddle" else _line_workers(settings, rec_device)
        one_line = self._options(rec_device, settings.cores // lines)
        detect: Run = self._keep(parts.det(self._options(det_device, settings.cores))).run
        recognise: list[Run] = [self._keep(parts.rec(one_line)).run for _ in range(lines)]
        lone: Run | None = None
        if lines > 1:
            whole, first = detect, recognise[0]
            if det_device == "cpu":
                detect = self._cores.by_company(
                    lambda: whole, lambda: self._keep(parts.det(self._options(det_device, 1, self.plan.images))).run
                )
            lone = self._cores.by_company(
                lambda: self._keep(parts.rec(self._options(rec_device, settings.cores))).run, lambda: first
            )
            recognise = [self._cores.held(run, one_line.threads) for run in recognise]
        runs = Runs(
            detect=detect,
            recognise=tuple(recognise),
            classify=self._classifier(_line_classifier(rules, settings), rec_device),
            classify_page=self._classifier(_page_classifier(rules, settings), det_device),
            lone=lone,
        )
        return OcrPipeline(rules, runs, load_characters(parts.dictionary, rules.ctc))

    def _classifier(self, name: str | None, device: str) -> Run | None:
        if name is None:
            return None
        try:
            files = model_files(name, "cls", None, self.settings)
        except SourceUnavailable as error:
            if name != DEFAULT_PAGE:
                raise
            hint = "name another model: doc_orientation_model='text_image_orientation' comes from the package index"
            raise KitError(error.what, path=error.path, hint=hint) from error
        return self._keep(_maker(self.settings, files)(self._options(device, 1))).run

    def _options(self, device: str, threads: int, streams: int = 1) -> EngineOptions:
        settings = self.settings
        return EngineOptions(device, max(threads, 1), settings.offline, converter=settings.converter, streams=streams)

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


class DeviceChoice(UserWarning):
    """What ``device="auto"`` came to mean, and why."""


PADDLEX_CONFIG = "paddlex_config"
"""PaddleOCR's argument for a pipeline file."""


class IgnoredSettings(UserWarning):
    """Something that was asked for has no effect; the text lists what and why."""


def create_pipeline(
    pipeline: str | Path | Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    *,
    engine: str | None = None,
    device: str | None = None,
    enable_hpi: bool | None = None,
    **settings: Any,
) -> Pipeline:
    """Return a pipeline: ``"ocr"`` (or None) for the default one, or the path (or the mapping) of a pipeline file.

    ``config`` (PaddleX's argument: a mapping) and ``paddlex_config`` (PaddleOCR's: a path or a mapping) mean the same
    as ``pipeline``, and win over its name. The file is the kit's or PaddleX's, see ``edge_kit.pipeline_files``.
    ``engine`` is ``nb``, ``server``, ``lite_x86``, ``onnx`` or ``openvino``; ``device`` is PaddleX's: ``cpu``,
    ``gpu:0``, ``gpu:0,1``, ``auto`` and others (docs/devices-host.md); further settings are the fields of
    ``edge_kit.settings.PipelineSettings``, or PaddleX's and PaddleOCR's words for them, and override the file's. What
    has no effect is listed in ``Pipeline.ignored`` and in a warning of class ``IgnoredSettings``. Raises ``KitError``
    on a bad setting, a model that is not available, or an engine that cannot be created.
    """
    named = [one for one in (settings.pop(PADDLEX_CONFIG, None), config, pipeline) if one is not None]
    if len([one for one in named if str(one).lower() != "ocr"]) > 1:
        raise KitError("two pipelines are given", hint="give one of pipeline, config and paddlex_config")
    given = {**settings, "engine": engine, "device": device, "enable_hpi": enable_hpi}
    chosen = choose_settings(named[0] if named else None, given)
    if chosen.ignored:
        warnings.warn(f"without effect: {'; '.join(listed(chosen.ignored))}", IgnoredSettings, stacklevel=2)
    return Pipeline(chosen.settings, chosen.ignored)


def check_pipeline(pipeline: str | Path | Mapping[str, Any] | None, **given: Any) -> None:
    """Raise the ``KitError`` that ``create_pipeline`` would raise before it fetches or loads a model.

    That is for a pipeline file, a bundle, a setting, a path, a name or a device that cannot be used.
    """
    settings = choose_settings(pipeline, given).settings
    if _runs_bundle(settings):
        from edge_kit.bundle import check_files

        check_files(Path(str(settings.bundle)))
    _check_names(settings)


def _runs_bundle(settings: PipelineSettings) -> bool:
    """Return whether the files of a bundle run, and not the models that it was made of."""
    return settings.bundle is not None and settings.engine == "nb"


def _check_names(settings: PipelineSettings) -> None:
    """Raise ``KitError`` for models and devices that can be refused by their names."""
    if not _runs_bundle(settings):
        check_models(settings)
    if not wants_auto(settings):
        check_devices(settings)


def choose_settings(pipeline: str | Path | Mapping[str, Any] | None, given: Mapping[str, Any]) -> ReadSettings:
    """Return the settings of a pipeline by name, file or mapping, with ``given`` over them (None means: not given).

    Names are fields of ``PipelineSettings``, or PaddleX's words. Raises ``KitError`` for what is asked for, would
    change results and cannot be done.
    """
    known = {one.name for one in fields(PipelineSettings)}
    words = {key: value for key, value in given.items() if key not in known and key in WORDS}
    for word in words:
        if WORDS[word].setting in (INPUT, SAVE_PATH):
            hint = "images are given to predict, and places to save_to_img and save_to_json"
            raise KitError(f"unknown setting {word!r}", hint=hint)
    said = understand(words)
    plain = {key: value for key, value in given.items() if key not in words and value is not None}
    _refuse_contradictions(plain, words, said.settings)
    plain |= said.settings
    chosen = _read(pipeline, plain, said.implied)
    chosen = replace(chosen, ignored=(*chosen.ignored, *said.ignored))
    if chosen.settings.engine not in ENGINES:
        where = chosen.path if "engine" in chosen.places else None
        listed = f"use one of: {', '.join(ENGINES)}; or PaddleX's {', '.join(PADDLEX_NAMES)}"
        raise KitError(f"unknown engine {chosen.settings.engine!r}", path=where, hint=listed)
    if chosen.settings.bundle is not None:
        chosen = replace(chosen, settings=_with_bundle(chosen.settings, plain))
    refuse_unsupported(chosen)
    return _with_hpi_checked(chosen)


def _with_hpi_checked(chosen: ReadSettings) -> ReadSettings:
    """Return the settings with a note where ``hpi_config`` has no effect; ``HpiError`` where it cannot be obeyed."""
    if chosen.settings.hpi_config is None:
        return chosen
    if chosen.settings.enable_hpi:
        read_config(chosen.settings.hpi_config)
        return chosen
    place = chosen.places.get("hpi_config", Place("hpi_config"))
    note = Ignored(place.key, "high-performance inference is off: enable_hpi switches it on", place.line)
    return replace(chosen, ignored=(*chosen.ignored, note))


def _read(pipeline: str | Path | Mapping[str, Any] | None, given: dict[str, Any], implied: Any) -> ReadSettings:
    """Return the settings of a pipeline; ``implied`` hold for the default one, where ``given`` has them not."""
    if isinstance(pipeline, Mapping):
        return read_settings(Document(pipeline), **given)
    if pipeline is None or str(pipeline).lower() == "ocr":
        return ReadSettings(from_mapping({**implied, **given}))
    if not isinstance(pipeline, str | Path):
        what = f"a pipeline is 'ocr', or the path or mapping of a pipeline file, not {pipeline!r}"
        raise KitError(what, hint="leave it out for the default one")
    if not Path(pipeline).is_file():
        raise PipelineFileError(
            "there is no such pipeline, and no file of that name",
            path=pipeline,
            hint="the kit has the pipeline OCR; 'edge-kit config export --save ocr.yaml' writes a file to change",
        )
    return read_settings(read_document(Path(pipeline)), **given)


def _refuse_contradictions(plain: Mapping[str, Any], words: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    """Raise ``KitError`` where a setting and a word for it, or two choices of the models, say different things."""
    for setting in sorted(set(plain) & set(said)):
        if plain[setting] != said[setting]:
            others = [word for word in words if WORDS[word].setting == setting] or sorted(words)
            raise KitError(f"{setting} is given twice: also as {others[0]}", hint="leave one of them out")
    if "models" in plain and "bundle" in plain:
        what = f"a bundle has its own models, and models {plain['models']} chooses others"
        raise KitError(what, path=plain["bundle"], hint="leave one of them out")
    if "models" in plain:
        for word in ("ocr_version", "lang"):
            if words.get(word) is not None and "det_model" in said:
                what = f"{word} {words[word]} chooses {said['det_model']}, and models {plain['models']} chooses others"
                raise KitError(what, hint="leave one of them out")


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


def _table_engine(settings: PipelineSettings) -> str:
    """Return the engine whose rows of the table of devices hold for the settings' models."""
    on_onnx = settings.engine == "server" and det_files(settings).format == "onnx"
    return "onnx" if on_onnx else settings.engine


def choose_plan(
    settings: PipelineSettings, *, progress: Callable[[str], None] | None = None, again: bool = False
) -> Choice:
    """Return what high-performance inference takes for settings; measured, unless the cache has it or ``again``.

    Raises ``KitError`` where there is nothing to choose.
    """
    return choose(settings, lambda given, plan: Pipeline(given, plan=plan), progress=progress, again=again)


def _parts(settings: PipelineSettings, plan: Plan) -> _Parts:
    """Return the parts: a bundle's own files for engine ``nb``, else models by name or path."""
    if _runs_bundle(settings):
        from edge_kit.bundle import bundle_files
        from edge_kit.engines.nb import open_nb

        files = bundle_files(Path(str(settings.bundle)))
        return _Parts(
            partial(open_nb, files.det), partial(open_nb, files.rec), files.labels, spec=load_spec(files.spec)
        )
    det, rec = det_files(settings), rec_files(settings)
    if rec.dictionary is None:
        raise KitError("the recogniser has no dictionary", path=rec.program_file, hint="name it with --rec-dict")
    planned = (plan.backend, plan.program) != ("onnxruntime", "optimised")
    make_det, make_rec = (partial(open_planned, plan, one) if planned else _maker(settings, one) for one in (det, rec))
    return _Parts(make_det, make_rec, rec.dictionary, detector_facts(det), recogniser_facts(rec))


def _maker(settings: PipelineSettings, model: ModelFiles) -> Callable[[EngineOptions], Engine]:
    if settings.engine == "nb":
        check_operators(model.program_file, model.params_file)
    return partial(create_engine, settings.engine, model)


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
