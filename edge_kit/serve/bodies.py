"""A request's body, of any of the accepted kinds, becomes one ``Request``. Runs in a worker."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import parse_qsl

from pydantic import BaseModel
from pydantic_core import from_json

from edge_kit.serve.errors import RequestError, unreadable
from edge_kit.serve.schemas import EarlyParams, EarlyRequest, OcrOptions, OcrRequest, checked, fault

RAW_TYPES = ("image/", "application/pdf", "application/octet-stream")
MAX_PARTS = 64


@dataclass(frozen=True)
class Request:
    """What is to be read and how the answer looks."""

    schema: Literal["today", "early"]
    data: bytes | None
    """The file; None when it is behind ``url``."""
    options: OcrOptions
    url: str | None = None
    max_long_side: int | None = None
    ignored: tuple[str, ...] = ()
    """Names of fields that mean nothing here."""

    def without_data(self) -> dict[str, Any]:
        """Return the request as JSON types, to go on with when its address has been fetched."""
        options = self.options.model_dump(exclude_none=True, include=set(OcrOptions.model_fields))
        kept = {"schema": self.schema, "options": options, "max_long_side": self.max_long_side}
        return {**kept, "ignored": list(self.ignored)}


def resumed(kept: Mapping[str, Any], data: bytes) -> Request:
    """Return the request that ``Request.without_data`` left, with its file."""
    options, side = OcrOptions(**kept["options"]), kept["max_long_side"]
    return Request(kept["schema"], data, options, max_long_side=side, ignored=tuple(kept["ignored"]))


def parse_body(content_type: str, query: str, body: bytes) -> Request:
    """Return the request in a body. ``content_type`` decides its kind, its fields the schema of the answer:

    JSON with ``file``, multipart and raw bytes get today's, JSON with ``image`` that of 3.0-beta1. Raises
    ``RequestError``: 415 for another type, 422 for fields that are missing or wrong.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return _multipart(content_type, body)
    if kind.startswith(RAW_TYPES):
        return _raw(query, body)
    if kind in ("application/json", "") or kind.endswith("+json"):
        return _json(body)
    raise RequestError(
        415,
        f"a body of type {kind!r} is not read: send application/json, multipart/form-data, image/* or application/pdf",
    )


def _raw(query: str, body: bytes) -> Request:
    fields = parse_qsl(query)
    _once([name for name, _ in fields], "query", "the query")
    options = checked(OcrOptions, _plain(dict(fields)), at="query")
    return Request("today", _not_empty(body), options, ignored=_unknown(OcrOptions, dict(fields)))


def _json(body: bytes) -> Request:
    try:
        values = from_json(body)
    except ValueError as error:
        raise fault("json_invalid", "body", f"JSON decode error: {error}") from error
    if isinstance(values, dict) and "image" in values and "file" not in values:
        return _early(values)
    return _today(values)


def _early(values: Mapping[str, Any]) -> Request:
    early = checked(EarlyRequest, values)
    side = early.inferenceParams.maxLongSide if early.inferenceParams else None
    below = [f"inferenceParams.{name}" for name in _unknown(EarlyParams, values.get("inferenceParams") or {})]
    ignored = (*_unknown(EarlyRequest, values), *below)
    options = OcrOptions(logId=None)
    if _is_url(early.image):
        return Request("early", None, options, early.image, side, ignored)
    return Request("early", _from_base64(early.image, "image"), options, max_long_side=side, ignored=ignored)


def _today(values: Any) -> Request:
    request = checked(OcrRequest, values)
    ignored = _unknown(OcrRequest, values)
    if _is_url(request.file):
        return Request("today", None, request, request.file, ignored=ignored)
    return Request("today", _from_base64(request.file), request, ignored=ignored)


def _unknown(model: type[BaseModel], values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names that a model has no field for, in the order they came."""
    return tuple(name for name in values if name not in model.model_fields)


def _once(names: Sequence[str], at: str, where: str) -> None:
    """Raise a 422 for the first name that comes twice."""
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise fault("duplicate", f"{at}.{twice}", f"{where} has this field twice: send it once, and one file a request")


def _multipart(content_type: str, body: bytes) -> Request:
    """Read a form: the file is the part ``file`` (or ``image``), options are the other parts."""
    fields, files = _parts(content_type, body)
    if "image" in files and ("file" in files or "file" in fields):
        raise fault("duplicate", "body.image", "the form has a file in 'file' and in 'image': send one file a request")
    data = files.get("file", files.get("image"))
    besides = tuple(name for name in files if name not in ("file", "image"))
    if data is None and "file" in fields:
        request = _today(_plain(fields))
        return replace(request, ignored=(*request.ignored, *besides))
    if data is None:
        raise fault("missing", "body.file", "Field required")
    ignored = (*_unknown(OcrOptions, fields), *besides)
    return Request("today", _not_empty(data), checked(OcrOptions, _plain(fields)), ignored=ignored)


def _plain(fields: Mapping[str, str]) -> dict[str, Any]:
    """Return a form's texts; an empty one, or ``null``, means that the option is not given."""
    return {name: text for name, text in fields.items() if text not in ("", "null")} | (
        {"fileType": int(fields["fileType"])} if fields.get("fileType") in ("0", "1") else {}
    )


def _parts(content_type: str, body: bytes) -> tuple[dict[str, str], dict[str, bytes]]:
    """Return a form's texts and files by their names, all in memory. Raises a 422 for a form that is not one."""
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import parse_options_header

    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise fault("multipart_invalid", "body", "the Content-Type names no boundary")
    try:
        parts = _Form(boundary).read(body)
    except (FormParserError, UnicodeDecodeError) as error:
        raise fault("multipart_invalid", "body", f"not a form: {error}") from error
    _once([name for name, _, _ in parts], "body", "the form")
    fields = {name: data.decode("utf-8", "replace") for name, is_file, data in parts if not is_file}
    return fields, {name: data for name, is_file, data in parts if is_file}


class _Form:
    """Collects the parts of a form from the callbacks of python-multipart."""

    def __init__(self, boundary: bytes) -> None:
        self._boundary = boundary
        self._parts: list[tuple[str, bool, bytes]] = []
        self._header = b""
        self._value = b""
        self._disposition = b""
        self._data: list[bytes] = []

    def read(self, body: bytes) -> list[tuple[str, bool, bytes]]:
        """Return name, whether it is a file, and content of each part."""
        from python_multipart.multipart import MultipartParser

        parser = MultipartParser(
            self._boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._field,
                "on_header_value": self._add_value,
                "on_header_end": self._header_end,
                "on_part_data": lambda data, start, end: self._data.append(data[start:end]),
                "on_part_end": self._end,
            },
        )
        parser.write(body)
        parser.finalize()
        return self._parts

    def _begin(self) -> None:
        if len(self._parts) >= MAX_PARTS:
            raise fault("multipart_invalid", "body", f"the form has more than {MAX_PARTS} parts")
        self._disposition, self._data = b"", []

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = b"", b""

    def _end(self) -> None:
        from python_multipart.multipart import parse_options_header

        options = parse_options_header(self._disposition)[1]
        name = options.get(b"name", b"").decode("utf-8", "replace")
        self._parts.append((name, b"filename" in options, b"".join(self._data)))


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _from_base64(text: str, field: str = "file") -> bytes:
    """Return the bytes of a field; line breaks, a ``data:`` URI and the URL-safe alphabet are understood.

    Raises a 422 that says what is wrong.
    """
    try:
        data = base64.b64decode(text)
    except ValueError:
        data = None
    if data is None or len(text) != (len(data) + 2) // 3 * 4:  # b64decode leaves out what is no base64
        data = _from_loose_base64(text, field)
    return _not_empty(data)


def _from_loose_base64(text: str, field: str) -> bytes:
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise unreadable(f"the field {field!r} is a data: URI without ';base64,'", _SEND_BASE64)
    text = "".join(text.split())
    if ("-" in text or "_" in text) and not ("+" in text or "/" in text):
        text = text.translate(_URL_SAFE) + "=" * (-len(text) % 4)
    odd = _NO_BASE64.search(text)
    if odd is not None:
        raise unreadable(f"the field {field!r} is no base64: it holds {odd[0]!r}", _SEND_BASE64)
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        what = f"the base64 of the field {field!r} is cut short, or its padding ('=') is wrong"
        raise unreadable(what, _SEND_BASE64) from error


_NO_BASE64 = re.compile(r"[^A-Za-z0-9+/=]")
_URL_SAFE = str.maketrans("-_", "+/")
_SEND_BASE64 = "send the base64 of a file's bytes, or the file itself as multipart/form-data"


def _not_empty(data: bytes) -> bytes:
    if not data:
        raise unreadable("it has 0 bytes", "check that the client reads the file before it sends it")
    return data
