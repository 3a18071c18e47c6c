"""The JSON of Paddle 3 (PIR) as values: operators with typed attributes, the values they make, and parameters.

The keys are those of ``paddle/fluid/pir/serialize_deserialize/include/schema.h``: ``#`` an identifier, ``%`` a value's
number, ``I`` operands, ``O`` results, ``A`` attributes of ``N`` (name) and ``AT`` (type and ``D``, its data), ``TT`` a
result's type. A parameter is an operator ``p`` whose fourth attribute is its name. Number 0 stands for no operand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from model_opt.formats.errors import FormatError
from model_opt.program import AttrValue, VarType

DAMAGED = "the file is damaged or not the inference.json of a PaddleOCR model: fetch or export it again"

_LARGEST_FILE = 1 << 28
_MOST_VALUES = 1 << 18
_MOST_SIDES = 16
_DIALECTS: Mapping[str, str] = {"0": "builtin", "1": "pd_op", "2": "cf", "3": "custom_op", "4": "dist"}
_TYPES: Mapping[str, VarType] = {
    "t_bool": VarType.BOOL,
    "t_i8": VarType.INT8,
    "t_ui8": VarType.UINT8,
    "t_i16": VarType.INT16,
    "t_i32": VarType.INT32,
    "t_i64": VarType.INT64,
    "t_f16": VarType.FP16,
    "t_bf16": VarType.BF16,
    "t_f32": VarType.FP32,
    "t_f64": VarType.FP64,
}
_INTS = ("a_i32", "a_i64", "a_index")
_FLOATS = ("a_f32", "a_f64")
_LIMIT = 1 << 63
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class PirValue:
    """A result: its number, element type and sizes (-1 where free). A vector of tensors has ``parts`` instead."""

    number: int
    data_type: VarType | None
    dims: tuple[int, ...] | None
    parts: tuple[PirValue, ...] = ()


@dataclass(frozen=True, slots=True)
class PirOp:
    """One operator. ``name`` is that of its dialect, such as ``pd_op.conv2d``; ``place`` counts from 0."""

    name: str
    place: int
    inputs: tuple[int, ...]
    outputs: tuple[PirValue, ...]
    attrs: Mapping[str, AttrValue | None]

    @property
    def kind(self) -> str:
        """The name without ``pd_op.`` and the underscore that marks work in place."""
        return self.name.removeprefix("pd_op.").rstrip("_")

    def refuse(self, why: str, hint: str = DAMAGED) -> NoReturn:
        """Raise ``FormatError`` that names the operator."""
        raise FormatError(f"operator {self.place} ({self.name}): {why}", hint=hint)


@dataclass(frozen=True, slots=True)
class PirProgram:
    """Parameters by name, and the operators in the order they run."""

    params: Mapping[str, PirValue]
    ops: tuple[PirOp, ...]


def parse_program(data: bytes) -> PirProgram:
    """Return the program in the JSON text ``data``. Raises ``FormatError``, without a path."""
    if len(data) > _LARGEST_FILE:
        raise FormatError(f"the program has {len(data)} bytes, more than {_LARGEST_FILE}", hint=DAMAGED)
    try:
        return _program(json.loads(data.decode("utf-8-sig")))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the program is no JSON: {error}", hint=DAMAGED) from error


def _program(document: Any) -> PirProgram:
    magic = _member(_object(document, "the document"), "base_code", dict, "the document").get("magic")
    if magic != "pir":
        raise FormatError(f"the program has the magic {_short(magic)}, not 'pir'", hint=DAMAGED)
    ops = _only_block(document.get("program"))
    if len(ops) > _MOST_VALUES:
        raise FormatError(f"the program has {len(ops)} operators, more than {_MOST_VALUES}", hint=DAMAGED)
    params: dict[str, PirValue] = {}
    made = []
    for place, item in enumerate(ops):
        what = f"operator {place}"
        if _object(item, what).get("#") == "p":
            name, value = _parameter(item, what)
            if name in params:
                raise FormatError(f"{what}: the parameter {name!r} is there twice", hint=DAMAGED)
            params[name] = value
        else:
            made.append(_operator(item, place))
    return _checked(PirProgram(params, tuple(made)))


def _only_block(program: Any) -> list[Any]:
    regions = _member(_object(program, "the program"), "regions", list, "the program")
    blocks = [block for region in regions for block in _member(_object(region, "a region"), "blocks", list, "a region")]
    if len(blocks) != 1:
        raise FormatError(
            f"the program has {len(blocks)} blocks instead of one", hint="export the model without control flow"
        )
    ops = _member(_object(blocks[0], "the block"), "ops", list, "the block")
    return list(ops)


def _parameter(item: Mapping[str, Any], what: str) -> tuple[str, PirValue]:
    attrs = _member(item, "A", list, what)
    if len(attrs) < 4 or not isinstance(attrs[3], str) or not _writable(attrs[3]):
        raise FormatError(f"{what}: a parameter without a name", hint=DAMAGED)
    value = _value(_member(item, "O", dict, what), what)
    if value.data_type is None or value.dims is None:
        raise FormatError(f"{what}: the parameter {attrs[3]!r} is no tensor", hint=DAMAGED)
    return attrs[3], value


def _operator(item: Mapping[str, Any], place: int) -> PirOp:
    what = f"operator {place}"
    name = _name(_member(item, "#", str, what))
    what = f"{what} ({name})"
    if item.get("regions"):
        raise FormatError(f"{what}: control flow cannot be read", hint="export the model without conditions and loops")
    inputs = tuple(_number(_object(one, what).get("%"), what) for one in _member(item, "I", list, what))
    outputs = tuple(_value(_object(one, what), what) for one in _member(item, "O", list, what))
    attrs: dict[str, AttrValue | None] = {}
    for one in _member(item, "A", list, what):
        key = _member(_object(one, what), "N", str, what)
        attrs[key] = _attribute(_member(one, "AT", dict, what))
    return PirOp(name, place, inputs, outputs, attrs)


def _name(text: str) -> str:
    dialect, dot, rest = text.partition(".")
    return f"{_DIALECTS.get(dialect, dialect)}{dot}{rest}"


def _value(item: Mapping[str, Any], what: str) -> PirValue:
    number = _number(item.get("%"), what)
    return _typed(number, _member(item, "TT", dict, what), what)


def _typed(number: int, held: Mapping[str, Any], what: str) -> PirValue:
    kind, data = _bare(held.get("#")), held.get("D")
    if kind == "t_vec" and isinstance(data, list):
        return PirValue(number, None, None, tuple(_typed(0, _object(one, what), what) for one in data))
    if kind != "t_dtensor":
        return PirValue(number, None, None)
    if not isinstance(data, list) or len(data) < 2 or not isinstance(data[0], dict) or not isinstance(data[1], list):
        raise FormatError(f"{what}: a tensor without a type and sizes", hint=DAMAGED)
    element, dims = _TYPES.get(_bare(data[0].get("#"))), tuple(_number(side, what) for side in data[1])
    if element is None or len(dims) > _MOST_SIDES:
        raise FormatError(f"{what}: a tensor of {_short(data[0].get('#'))} {_short(data[1])}", hint=DAMAGED)
    # Paddle multiplies free sides too: the statistics of an instance norm have -3 of them.
    return PirValue(number, element, tuple(max(side, -1) for side in dims))


def _attribute(held: Mapping[str, Any]) -> AttrValue | None:
    """Return the value of an attribute; None for one of a kind that no operator read here has."""
    kind, data = _bare(held.get("#")), held.get("D")
    if kind == "a_array" and isinstance(data, list):
        return _same_kind([_attribute(one) if isinstance(one, dict) else None for one in data])
    if kind == "a_intarray" and isinstance(data, list):
        return _same_kind([_scalar("a_i64", one) for one in data])
    if kind == "a_scalar" and isinstance(data, list) and len(data) == 2:
        found = data[1]
        return found if isinstance(found, (bool, float)) else _scalar("a_i64", found)
    return _scalar(kind, data)


def _scalar(kind: str, data: Any) -> bool | int | float | str | None:
    if kind == "a_bool":
        return data if isinstance(data, bool) else None
    if kind in ("a_str", "a_dtype", "a_layout", "a_tensorname"):
        return data if isinstance(data, str) and _writable(data) else None
    if not isinstance(data, (int, float)) or isinstance(data, bool):
        return None
    if kind in _INTS:
        return data if isinstance(data, int) and -_LIMIT <= data < _LIMIT else None
    return float(data) if kind in _FLOATS and (isinstance(data, float) or -_LIMIT <= data < _LIMIT) else None


def _writable(text: str) -> bool:
    """Return whether UTF-8 can hold a text: JSON may have halves of surrogate pairs."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _same_kind(items: list[Any]) -> AttrValue | None:
    kinds = {type(item) for item in items}
    return tuple(items) if len(kinds) <= 1 and kinds <= {bool, int, float, str} else None


def _checked(program: PirProgram) -> PirProgram:
    """Raise ``FormatError`` unless each number is made once, before it is read."""
    made = [value.number for value in program.params.values()]
    known = set(made)
    if len(known) != len(made) or any(number < 1 for number in made):
        raise FormatError("two parameters are the same value", hint=DAMAGED)
    for op in program.ops:
        for number in op.inputs:
            if number and number not in known:
                op.refuse(f"it reads the value {number}, which nothing before it makes")
        for value in op.outputs:
            if value.number in known:
                op.refuse(f"it makes the value {value.number} again")
            known |= {value.number} - {0}
    return program


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FormatError(f"{what}: expected an object, found {_short(value)}", hint=DAMAGED)
    return value


def _member(held: Mapping[str, Any], key: str, kind: type[Any], what: str) -> Any:
    value = held.get(key)
    if not isinstance(value, kind):
        found = "nothing" if key not in held else _short(value)
        raise FormatError(f"{what}: expected a {kind.__name__} at {key!r}, found {found}", hint=DAMAGED)
    return value


def _number(value: Any, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -_LIMIT <= value < _LIMIT:
        raise FormatError(f"{what}: expected a number, found {_short(value)}", hint=DAMAGED)
    return value


def _bare(name: Any) -> str:
    """Return an identifier without the number of its dialect: ``t_f32`` for ``0.t_f32``."""
    return name.rpartition(".")[2] if isinstance(name, str) else ""


def _short(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    text = repr(value[:_SHOWN] if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
