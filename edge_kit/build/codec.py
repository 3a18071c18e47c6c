"""Typed values as JSON: results of stages, kept in the cache and read back by their types; and arguments in keys."""

from __future__ import annotations

import base64
import dataclasses
import functools
import math
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from edge_kit.build.files import Json
from edge_kit.build.fingerprint import folder_fingerprint
from model_opt.errors import KitError
from model_opt.fs import sha256_file

_T = TypeVar("_T")


@dataclass(frozen=True)
class Promise:
    """A placeholder for the result of a planned stage. Only another stage's argument may hold it."""

    stage: str


def encode(value: object, folder: Path) -> Json:
    """Return ``value`` as JSON, paths relative to ``folder``; raise ``KitError`` for a type that JSON cannot keep."""

    def special(item: object) -> Json:
        if isinstance(item, Path):
            return item.relative_to(folder).as_posix()
        if type(item).__module__ == "numpy":
            return _array_to_json(item)
        raise KitError(f"a result of a stage cannot hold a {type(item).__name__}")

    return _plain(value, special)


def decode(kind: Any, raw: Any, folder: Path) -> Any:
    """Return the value of type ``kind`` that ``encode`` made ``raw`` of; numbers and texts come back exactly."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        arms = [part for part in parts if part is not type(None)]
        return raw if raw is None or len(arms) > 1 else decode(arms[0], raw, folder)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return kind(**{name: decode(hint, raw[name], folder) for name, hint in _hints(kind).items()})
    if kind is Path:
        return folder / raw
    if kind is float:
        return float(raw) if isinstance(raw, str) else raw
    if origin is not None and origin.__module__ == "numpy":
        return _array_of_json(raw)
    if origin is tuple and parts[-1] is not ...:
        return tuple(decode(part, item, folder) for part, item in zip(parts, raw, strict=True))
    if origin in (tuple, Sequence):
        return tuple(decode(parts[0], item, folder) for item in raw)
    if origin is Mapping:
        return {name: decode(parts[1], item, folder) for name, item in raw.items()}
    if kind in (bool, int, str) or origin is Literal:
        return raw
    raise KitError(f"a result of a stage cannot hold a {kind}")


def key_of(value: object) -> Json:
    """Return what of an argument decides a stage's result.

    An object with a ``cache_key`` says it itself; a path counts by its name and content, a promised result by its
    stage (the scheduler adds the result's digest). Raises ``KitError`` for a type without content of its own.
    """

    def special(item: object) -> Json:
        if isinstance(item, Promise):
            return {"result of": item.stage}
        if isinstance(item, Path):
            return {item.name: folder_fingerprint(item) if item.is_dir() else sha256_file(item)}
        raise KitError(f"an argument of a stage cannot be a {type(item).__name__}", hint="give it a cache_key")

    return _plain(value, special, in_key=True)


def promises_in(value: object) -> Iterator[Promise]:
    """Yield every promised result that an argument holds."""
    if isinstance(value, Promise):
        yield value
    else:
        for item in _parts(value).values():
            yield from promises_in(item)


def resolve(value: _T, result_of: Callable[[str], object]) -> _T:
    """Return ``value`` with each promise replaced by the result of its stage."""
    if isinstance(value, Promise):
        return result_of(value.stage)  # type: ignore[return-value]
    if next(promises_in(value), None) is None:
        return value
    parts = {name: resolve(item, result_of) for name, item in _parts(value).items()}
    if isinstance(value, Mapping):
        return parts  # type: ignore[return-value]
    return tuple(parts.values()) if isinstance(value, (tuple, list)) else dataclasses.replace(value, **parts)  # type: ignore


def _parts(value: object) -> Mapping[Any, object]:
    """Return what a mapping, a sequence or a dataclass holds, by name or place."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, (tuple, list)):
        return dict(enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
    return {}


def _plain(value: object, special: Callable[[object], Json], *, in_key: bool = False) -> Json:
    """Return ``value`` as JSON; ``special`` takes care of what is neither plain nor made of plain values."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else repr(float(value))
    if isinstance(value, Promise):
        return special(value)
    if in_key and hasattr(value, "cache_key"):
        return {type(value).__qualname__: str(value.cache_key)}
    if isinstance(value, (tuple, list)):
        return [_plain(item, special, in_key=in_key) for item in value]
    if isinstance(value, Mapping) or (dataclasses.is_dataclass(value) and not isinstance(value, type)):
        return {str(name): _plain(item, special, in_key=in_key) for name, item in _parts(value).items()}
    return special(value)


def _array_to_json(array: Any) -> Json:
    data = base64.b64encode(array.tobytes()).decode("ascii")
    return {"dtype": array.dtype.str, "shape": list(array.shape), "base64": data}


def _array_of_json(raw: Any) -> Any:
    import numpy as np

    return np.frombuffer(base64.b64decode(raw["base64"]), raw["dtype"]).reshape(raw["shape"])


@functools.cache
def _hints(kind: Any) -> Mapping[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}
