"""``inference.yml``, the settings that PaddleX puts beside an exported model, read as values.

The forms are those of ``paddlex/inference/models/{text_detection,text_recognition}/predictor.py``. What is not known is
listed, for a newer export may have more; what is known must have its form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from model_opt.config import load_yaml
from model_opt.dictionary import Dictionary, DictionaryError, parse_dictionary
from model_opt.formats.errors import FormatError

_LARGEST_FILE = 1 << 24
_AGAIN = "fetch the file again, or correct it: PaddleOCR writes it when a model is exported"
_QUOTIENT = re.compile(r"\s*([0-9.eE+-]+)\s*(?:/\s*([0-9.eE+-]+)\s*)?")
_TEXT_TAG = "tag:yaml.org,2002:str"

_IGNORED = frozenset({"DetLabelEncode", "MultiLabelEncode", "CTCLabelEncode", "KeepKeys", "ToCHWImage", "ToBatch"})
"""Steps without a setting: they belong to the training, or are what every engine does."""

_KINDS: Mapping[str, Literal["det", "rec", "cls"]] = {
    "DBPostProcess": "det",
    "CTCLabelDecode": "rec",
    "ClsPostProcess": "cls",
    "Topk": "cls",
}


@dataclass(frozen=True)
class DetResize:
    """How a detector's input is resized: what the file states, None for the rest."""

    resize_long: int | None = None
    limit_side_len: int | None = None
    limit_type: str | None = None
    image_shape: tuple[int, ...] | None = None
    keep_ratio: bool | None = None


@dataclass(frozen=True)
class DbSettings:
    """How boxes are found in a detector's map: what the file states, None for the rest."""

    thresh: float | None = None
    box_thresh: float | None = None
    unclip_ratio: float | None = None
    max_candidates: int | None = None
    use_dilation: bool | None = None
    score_mode: str | None = None
    box_type: str | None = None


@dataclass(frozen=True)
class Normalisation:
    """``(x * scale - mean) / std`` for each channel; None for what the file leaves to PaddleX's defaults."""

    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    scale: float | None = None
    order: str | None = None


@dataclass(frozen=True)
class InferenceYml:
    """The settings of a model. Parts that a file of this kind does not have are None or empty.

    ``channel_order`` is ``BGR`` or ``RGB``; ``image_shape`` is a recogniser's [channels, height, width];
    ``dictionary`` holds the characters in the order of the classes behind the blank, without the space that PaddleX
    adds at the end; ``labels`` are a classifier's. ``unknown`` names what was found and not understood, as paths in
    the file; ``notes`` are oddities that were accepted.
    """

    model_name: str | None = None
    kind: Literal["det", "rec", "cls"] | None = None
    channel_order: str | None = None
    resize: DetResize | None = None
    image_shape: tuple[int, int, int] | None = None
    normalisation: Normalisation | None = None
    db: DbSettings | None = None
    dictionary: Dictionary | None = None
    labels: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_inference_yml(path: Path) -> InferenceYml:
    """Read an ``inference.yml``. Raises ``FormatError``, a ``KitError``, for one that is broken or has another form."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        raise FormatError(
            f"cannot read the settings of the model: {error}", path=path, hint="check the path"
        ) from error
    return parse_inference_yml(data, path)


def parse_inference_yml(data: bytes, path: Path | None = None) -> InferenceYml:
    """Return the settings in the bytes of an ``inference.yml``; ``path`` is for messages."""
    import yaml

    if len(data) > _LARGEST_FILE:
        raise FormatError(f"the settings of the model have more than {_LARGEST_FILE} bytes", path=path, hint=_AGAIN)
    odd: list[str] = []
    try:
        document = load_yaml(data.decode("utf-8-sig"), lambda root: _keep_text(root, odd))
        return _settings(document, odd)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FormatError(f"the settings of the model are no YAML: {error}", path=path, hint=_AGAIN) from error
    except (FormatError, DictionaryError) as error:
        raise FormatError(error.what, path=path, hint=error.hint or _AGAIN) from error


# ---- characters as they are written


def _keep_text(root: Any, odd: list[str]) -> None:
    """Let each entry of the dictionary be text, as it is written, also one that YAML takes for a number or for null.

    PaddleX joins the entries as they come and ends with an error at the first that is no text. ``odd`` gets a note.
    """
    listed = _child(_child(root, "PostProcess"), "character_dict")
    if getattr(listed, "id", None) != "sequence":
        return
    changed = []
    for at, entry in enumerate(listed.value, 1):
        if isinstance(entry.value, str) and entry.tag != _TEXT_TAG:
            changed.append(f"{entry.value!r} (entry {at})")
            entry.tag = _TEXT_TAG
    if changed:
        odd.append(
            f"{len(changed):,} of the dictionary's entries are without quotes, and YAML takes them for numbers, dates, "
            f"truth values or null; they are read as they are written: {', '.join(changed[:5])}"
        )


def _child(node: Any, key: str) -> Any:
    """Return the node at ``key`` of a mapping's node, None when there is none; the last one counts."""
    found = None
    for pair in getattr(node, "value", None) or ():
        if isinstance(pair, tuple) and pair[0].value == key:
            found = pair[1]
    return found


# ---- the parts


def _settings(document: Any, odd: list[str]) -> InferenceYml:
    top = _mapping(document, "the document")
    if not {"PreProcess", "PostProcess", "Global"} & top.keys():
        raise FormatError("these are not the settings of a model: no Global, PreProcess or PostProcess", hint=_AGAIN)
    unknown = [str(key) for key in top if key not in ("Global", "Hpi", "PreProcess", "PostProcess")]
    head, after = _mapping(top.get("Global") or {}, "Global"), _mapping(top.get("PostProcess") or {}, "PostProcess")
    unknown += [f"Global.{key}" for key in head if key != "model_name"]
    steps = dict(_steps(top.get("PreProcess")))
    unknown += [f"PreProcess.{name}" for name in steps if name not in _IGNORED and name not in _STEPS]
    made: dict[str, Any] = {"model_name": _text(head, "model_name", "Global")}
    for name, reader in _STEPS.items():
        if name in steps:
            made |= reader(steps[name], f"PreProcess.{name}", unknown)
    kind = _kind(after, steps)
    made |= _after(kind, after, unknown)
    notes = [*odd, *(made["dictionary"].notes if made.get("dictionary") else ())]
    return InferenceYml(kind=kind, unknown=tuple(unknown), notes=tuple(notes), **made)


def _steps(before: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    listed = _mapping(before or {}, "PreProcess").get("transform_ops") or []
    if not isinstance(listed, list):
        raise FormatError("PreProcess.transform_ops is no list", hint=_AGAIN)
    for item in listed:
        for name, held in _mapping(item, "PreProcess.transform_ops").items():
            yield str(name), _mapping(held or {}, f"PreProcess.{name}")


def _kind(after: Mapping[str, Any], steps: Mapping[str, Any]) -> Literal["det", "rec", "cls"] | None:
    for name in (after.get("name"), *after):
        if isinstance(name, str) and name in _KINDS:
            return _KINDS[name]
    if "character_dict" in after:
        return "rec"
    return "det" if "DetResizeForTest" in steps else "rec" if "RecResizeImg" in steps else None


def _decode(held: Mapping[str, Any], where: str, unknown: list[str]) -> dict[str, Any]:
    _note_rest(held, where, unknown, "img_mode", "channel_first")
    mode = _text(held, "img_mode", where)
    if held.get("channel_first"):
        unknown.append(f"{where}.channel_first")
    if mode not in ("BGR", "RGB", None):
        unknown.append(f"{where}.img_mode: {mode}")
    return {"channel_order": mode if mode in ("BGR", "RGB") else None}


def _det_resize(held: Mapping[str, Any], where: str, unknown: list[str]) -> dict[str, Any]:
    _note_rest(held, where, unknown, "resize_long", "limit_side_len", "limit_type", "image_shape", "keep_ratio")
    shape = _numbers(held, "image_shape", where)
    return {
        "resize": DetResize(
            _integer(held, "resize_long", where),
            _integer(held, "limit_side_len", where),
            _text(held, "limit_type", where),
            None if shape is None else tuple(_whole(side, f"{where}.image_shape") for side in shape),
            _flag(held, "keep_ratio", where),
        )
    }


def _rec_resize(held: Mapping[str, Any], where: str, unknown: list[str]) -> dict[str, Any]:
    _note_rest(held, where, unknown, "image_shape", "eval_mode", "padding")
    shape = tuple(_whole(side, f"{where}.image_shape") for side in _numbers(held, "image_shape", where) or ())
    if shape and (len(shape) != 3 or min(shape) < 1):
        raise FormatError(f"{where}.image_shape: expected channels, height and width, found {list(shape)}", hint=_AGAIN)
    return {"image_shape": shape or None}


def _normalise(held: Mapping[str, Any], where: str, unknown: list[str]) -> dict[str, Any]:
    _note_rest(held, where, unknown, "mean", "std", "scale", "order")
    mean, std = _numbers(held, "mean", where), _numbers(held, "std", where)
    if std is not None and 0.0 in std:
        raise FormatError(f"{where}.std: a division by 0", hint=_AGAIN)
    return {"normalisation": Normalisation(mean, std, _scale(held.get("scale"), where), _text(held, "order", where))}


_STEPS = {
    "DecodeImage": _decode,
    "DetResizeForTest": _det_resize,
    "RecResizeImg": _rec_resize,
    "NormalizeImage": _normalise,
}


def _after(kind: str | None, held: Mapping[str, Any], unknown: list[str]) -> dict[str, Any]:
    where = "PostProcess"
    name = _text(held, "name", where)
    if name is not None and name not in _KINDS:
        unknown.append(f"{where}.name: {name}")
    if kind == "det":
        _note_rest(held, where, unknown, "name", *DbSettings.__dataclass_fields__)
        return {"db": _db(held, where)}
    if kind == "rec":
        _note_rest(held, where, unknown, "name", "character_dict")
        return {"dictionary": _dictionary(held.get("character_dict"))}
    if kind == "cls":
        top = _mapping(held.get("Topk") or {}, f"{where}.Topk")
        _note_rest(held, where, unknown, "name", "Topk", "label_list")
        labels = top.get("label_list", held.get("label_list")) or []
        if not isinstance(labels, list):
            raise FormatError(f"{where}: the labels are no list", hint=_AGAIN)
        return {"labels": tuple(map(str, labels))}
    _note_rest(held, where, unknown, "name")
    return {}


def _db(held: Mapping[str, Any], where: str) -> DbSettings:
    return DbSettings(
        _number(held, "thresh", where),
        _number(held, "box_thresh", where),
        _number(held, "unclip_ratio", where),
        _integer(held, "max_candidates", where),
        _flag(held, "use_dilation", where),
        _text(held, "score_mode", where),
        _text(held, "box_type", where),
    )


def _dictionary(listed: Any) -> Dictionary | None:
    if listed is None:
        return None
    entries = list(listed) if isinstance(listed, str) else listed  # PaddleX takes a text apart, too
    if not isinstance(entries, list) or any(not isinstance(entry, str) for entry in entries):
        raise FormatError("PostProcess.character_dict: expected a list of characters", hint=_AGAIN)
    for at, entry in enumerate(entries, 1):
        if not entry or "\n" in entry or "\r" in entry:
            what = "is empty" if not entry else "holds a line end"
            raise FormatError(
                f"PostProcess.character_dict: entry {at} {what}; it would stand for a class without a character",
                hint="put a blank that is a character in quotes",
            )
    parsed = parse_dictionary("".join(f"{entry}\n" for entry in entries).encode("utf-8", "surrogatepass"))
    if parsed.characters != tuple(entries):
        raise FormatError("PostProcess.character_dict: the first entry is a byte-order mark", hint=_AGAIN)
    return parsed


# ---- values


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise FormatError(f"{where}: expected keys and values, found {_short(value)}", hint=_AGAIN)
    return value


def _note_rest(held: Mapping[str, Any], where: str, unknown: list[str], *known: str) -> None:
    unknown += [f"{where}.{key}" for key in held if key not in known]


def _wrong(where: str, wanted: str, value: Any) -> FormatError:
    return FormatError(f"{where}: expected {wanted}, found {_short(value)}", hint=_AGAIN)


def _text(held: Mapping[str, Any], key: str, where: str) -> str | None:
    value = held.get(key)
    if value is not None and not isinstance(value, str):
        raise _wrong(f"{where}.{key}", "a text", value)
    return value


def _flag(held: Mapping[str, Any], key: str, where: str) -> bool | None:
    value = held.get(key)
    if value is not None and not isinstance(value, bool):
        raise _wrong(f"{where}.{key}", "true or false", value)
    return value


def _number(held: Mapping[str, Any], key: str, where: str) -> float | None:
    value = held.get(key)
    return None if value is None else _finite(value, f"{where}.{key}")


def _integer(held: Mapping[str, Any], key: str, where: str) -> int | None:
    value = held.get(key)
    return None if value is None else _whole(value, f"{where}.{key}")


def _numbers(held: Mapping[str, Any], key: str, where: str) -> tuple[float, ...] | None:
    value = held.get(key)
    if value is None:
        return None
    if not isinstance(value, list):
        raise _wrong(f"{where}.{key}", "a list of numbers", value)
    return tuple(_finite(item, f"{where}.{key}") for item in value)


def _finite(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e30:
        raise _wrong(where, "a number", value)
    return float(value)


def _whole(value: Any, where: str) -> int:
    number = _finite(value, where)
    if number != int(number):
        raise _wrong(where, "a number without a fraction", value)
    return int(number)


def _scale(value: Any, where: str) -> float | None:
    """Return a factor that is written as a number or as a quotient of two; PaddleX evaluates the text as code."""
    if value is None:
        return None
    if not isinstance(value, str):
        return _finite(value, f"{where}.scale")
    found = _QUOTIENT.fullmatch(value)
    try:
        top, bottom = (float(part or 1) for part in (found.groups() if found else ("", "0")))
        return _finite(top / bottom, f"{where}.scale")
    except (ValueError, ZeroDivisionError, OverflowError):
        raise _wrong(f"{where}.scale", "a number or a quotient such as 1./255.", value) from None


def _short(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return f"{'keys and values' if isinstance(value, dict) else 'a list'}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
