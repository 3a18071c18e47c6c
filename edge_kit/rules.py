"""A pipeline's rules: a profile of the specification with the settings that replace single values of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from edge_kit.spec.model import LimitType, SpecProfile

if TYPE_CHECKING:
    from edge_kit.settings import PipelineSettings


def with_settings(rules: SpecProfile, settings: PipelineSettings) -> SpecProfile:
    """Return the rules with the settings' own values, by PaddleX 3's names, in place of the profile's.

    None leaves the profile's value. So does a zero, except for the score: PaddleX takes ``x or default``
    (``paddlex/inference/models/text_detection/predictor.py``). Raises ``KitError`` for batches and
    classifiers that the profile lacks.
    """
    if settings.rec_batch_size is not None:
        rules = rules.in_batches_of(settings.rec_batch_size)
    if settings.use_textline_orientation is not None:
        rules = rules.with_lines_turned(settings.use_textline_orientation)
    if settings.use_doc_orientation_classify is not None:
        rules = rules.with_pages_turned(settings.use_doc_orientation_classify)
    sides, boxes, scores = rules.detection, rules.db, settings.text_rec_score_thresh
    bound = settings.text_det_max_side_limit
    return replace(
        rules,
        detection=replace(
            sides,
            limit_side_len=settings.text_det_limit_side_len or sides.limit_side_len,
            limit_type=cast(LimitType, settings.text_det_limit_type or sides.limit_type),
            max_side_limit=sides.max_side_limit if bound is None else bound,
        ),
        db=replace(
            boxes,
            thresh=settings.text_det_thresh or boxes.thresh,
            box_thresh=settings.text_det_box_thresh or boxes.box_thresh,
            unclip_ratio=settings.text_det_unclip_ratio or boxes.unclip_ratio,
        ),
        result=rules.result if scores is None else replace(rules.result, drop_score=scores),
    )
