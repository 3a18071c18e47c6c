"""The bodies of ``POST /ocr``, of today's PaddleX (3.x) and of its 3.0-beta1, and the answers to them.

Fields, types and defaults: PaddleX 3.7.2, ``inference/serving/schemas/ocr.py`` and ``infra/models.py``; 3.0-beta1,
``inference/pipelines/serving/_pipeline_apps/ocr.py``. Unknown fields are ignored, as there; the header
``X-Ignored-Fields`` of the answer names them. Bounds are the kit's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from edge_kit.serve.errors import RequestError

Ratio = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Side = Annotated[int, Field(ge=1, le=100_000)]
_LOG_ID = re.compile(rb'"logId"\s*:\s*"([^"\\\x00-\x1f]{1,256})"')
LogId = Annotated[str, Field(max_length=256)]


class OcrOptions(BaseModel):
    """What a request may change; None keeps the pipeline's own value."""

    useDocOrientationClassify: bool | None = None
    useDocUnwarping: bool | None = None
    useTextlineOrientation: bool | None = None
    textDetLimitSideLen: Side | None = None
    textDetLimitType: Literal["min", "max"] | None = None
    textDetThresh: Ratio | None = None
    textDetBoxThresh: Ratio | None = None
    textDetUnclipRatio: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] | None = None
    textRecScoreThresh: Ratio | None = None
    returnWordBox: bool | None = None
    visualize: bool | None = None
    logId: LogId | None = None
    fileType: Literal[0, 1] | None = Field(default=None, description="0: PDF, 1: image; null: found by the first bytes")


class OcrRequest(OcrOptions):
    """Today's body: ``file`` is base64 of an image, TIFF or PDF, or an http(s) address where the service allows it."""

    file: str


class EarlyParams(BaseModel):
    """``inferenceParams`` of 3.0-beta1."""

    maxLongSide: Side | None = None


class EarlyRequest(BaseModel):
    """The body of 3.0-beta1: ``image`` is base64 of an image, or an address."""

    image: str
    inferenceParams: EarlyParams | None = None


class NoResult(BaseModel):
    """The answer without a result: ``errorCode`` is 0 or the HTTP status."""

    logId: str
    errorCode: int
    errorMsg: str


class PageInfo(BaseModel):
    """Size of one page in pixels."""

    width: int
    height: int


class ImageInfo(PageInfo):
    """Size of the picture in pixels."""

    type: Literal["image"] = "image"


class PagesInfo(BaseModel):
    """The pages that were read."""

    numPages: int
    pages: list[PageInfo]
    type: Literal["pdf", "tiff"]


class OcrPage(BaseModel):
    """One page: PaddleX's ``res`` without ``input_path`` and ``page_index``, and pictures (base64 of JPEG)."""

    prunedResult: dict[str, Any]
    ocrImage: str | None = None
    docPreprocessingImage: str | None = None
    inputImage: str | None = None


class OcrPages(BaseModel):
    """The result of today's answer."""

    ocrResults: list[OcrPage]
    dataInfo: ImageInfo | PagesInfo


class OcrAnswer(BaseModel):
    """Today's answer."""

    logId: str
    result: OcrPages
    errorCode: Literal[0] = 0
    errorMsg: Literal["Success"] = "Success"


class EarlyText(BaseModel):
    """One line of 3.0-beta1: its corners (x, y), text and score."""

    poly: list[list[int]]
    text: str
    score: float


class EarlyTexts(BaseModel):
    """The result of 3.0-beta1: lines, and the picture with them (base64 of JPEG)."""

    texts: list[EarlyText]
    image: str


class EarlyAnswer(BaseModel):
    """The answer of 3.0-beta1."""

    logId: str
    errorCode: Literal[0] = 0
    errorMsg: Literal["Success"] = "Success"
    result: EarlyTexts


def checked(model: type[BaseModel], values: Any, *, at: str = "body") -> Any:
    """Return ``values`` as ``model``; raise a 422 with PaddleX's JSON list of ``type``, ``loc``, ``msg``."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults = [
            {"type": fault["type"], "loc": _dotted((at, *fault["loc"])), "msg": fault["msg"]}
            for fault in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise RequestError(422, json.dumps(faults)) from error


def log_id_in(body: bytes) -> str | None:
    """Return the ``logId`` of a JSON body that was not, or could not be, parsed."""
    found = _LOG_ID.search(body)
    return None if found is None else found[1].decode("utf-8", "replace")


def fault(kind: str, loc: str, message: str) -> RequestError:
    """Return a 422 in the form of ``checked`` with one entry."""
    return RequestError(422, json.dumps([{"type": kind, "loc": loc, "msg": message}]))


def envelope(log_id: str, status: int, message: str) -> Mapping[str, Any]:
    """Return the answer without a result as JSON types."""
    return {"logId": log_id, "errorCode": status, "errorMsg": message}


def _dotted(loc: tuple[str | int, ...]) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
