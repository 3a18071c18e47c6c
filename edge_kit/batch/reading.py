"""The readers of a worker: a pipeline, or two of them compared. Models are loaded here."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from edge_kit.api import DeviceChoice, Pipeline
from edge_kit.batch.rows import Reader
from edge_kit.ocr.image import Image
from edge_kit.ocr.schemas import plain, schema_of
from edge_kit.settings import PipelineSettings
from edge_kit.verify.compare import json_metrics
from edge_kit.verify.runs import compare_with, read_reference
from model_opt.errors import KitError

_IN_COMMON = ("input_path", "page_index")
"""Fields of result schemas that every row has by other names."""


class OcrReader:
    """Reads a page with one pipeline; the fields are those of its result schema."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.engine, self.alpha = pipeline.settings.engine, pipeline.ocr.rules.image.alpha

    def read(self, image: Image, name: str) -> Mapping[str, Any]:
        """Return the fields of the result, less what every row has."""
        ((_, outcome),) = self._pipeline.predict_each(image)
        if isinstance(outcome, KitError):
            raise outcome
        body: Mapping[str, Any] = plain(schema_of(outcome.schema).body(outcome))
        height, width = outcome.image.shape[:2]  # of the page as it was turned: boxes are in its pixels
        return {"width": width, "height": height} | {key: body[key] for key in body if key not in _IN_COMMON}


class CompareReader:
    """Reads a page with two pipelines and compares them, as the verification of a build does."""

    def __init__(self, reference: Pipeline, candidate: Pipeline) -> None:
        self._reference, self._candidate = reference, candidate
        self.engine, self.alpha = candidate.settings.engine, reference.ocr.rules.image.alpha

    def read(self, image: Image, name: str) -> Mapping[str, Any]:
        """Return the metrics of the page, the sums they are taken from, and the texts of both."""
        reference = self._reference.ocr
        made = read_reference(reference, name, image)
        compared = compare_with(made, self._candidate.ocr, reference.rules.db.thresh)
        measures = compared.comparison.measures
        lines, slots = measures.texts, measures.boxes
        return {
            "reference": self._reference.settings.engine,
            "equal": lines.lines == lines.equal and slots.slots == slots.identical,
            "metrics": json_metrics(measures.metrics()),
            "measures": asdict(measures),
            "reference_texts": list(compared.reference.rec_texts),
            "candidate_texts": list(compared.candidate.rec_texts),
        }


def open_reader(settings: Sequence[Mapping[str, Any]]) -> Reader:
    """Return the reader of one pipeline's settings, or of a reference's and a candidate's. Raises ``KitError``."""
    pipelines = [_opened(PipelineSettings(**one)) for one in settings]
    return OcrReader(pipelines[0]) if len(pipelines) == 1 else CompareReader(*pipelines)


def _opened(settings: PipelineSettings) -> Pipeline:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeviceChoice)
        return Pipeline(settings)
