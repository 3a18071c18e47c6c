"""Damage to documents of nested lists and mappings (JSON, YAML), and to the operators of a PIR program."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 7, 99, (1 << 31) - 1, 1 << 31, -(1 << 63), 1 << 63, 10**40, 0.0, 0.5, -1.0,
    1e38, 1e308, float("inf"), float("nan"), "", "x", "0.a_i32", "0.t_f32", "1.conv2d", "NCHW", "SAME", "float32",
    "int64", [], {}, [1, 2], [-1], [[1]], {"#": "p"}, {"%": 1}, {"D": 1}, "\ud800", "人", " ", "1./255.", "1/0",
)  # fmt: skip


def mutate_document(rng: random.Random, document: Any) -> Any:
    """Return a copy of ``document`` with one to three damages."""
    made = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 2, 3))):
        _damage(rng, made)
    return made


def _damage(rng: random.Random, document: Any) -> None:
    holder = document
    while True:
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        if not keys:
            return
        key = rng.choice(keys)
        inner = holder[key]
        if not isinstance(inner, (dict, list)) or not inner or rng.random() < 0.08:
            break
        holder = inner
    kind = rng.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        holder[key] = copy.deepcopy(rng.choice(VALUES))
    elif kind == 2:
        holder[key] = _near(rng, inner)
    elif kind == 3:
        other = rng.choice(list(keys))
        holder[key], holder[other] = holder[other], holder[key]
    elif kind == 4 and isinstance(holder, list):
        holder.insert(rng.randrange(len(holder) + 1), copy.deepcopy(inner))
    else:
        holder[key] = [inner]


def _near(rng: random.Random, value: Any) -> Any:
    """Return a value of the same kind, where there is one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice((value + 1, value - 1, -value, rng.randrange(64), 0))
    if isinstance(value, float):
        return rng.choice((value * 2, -value, 0.0, float("nan"), float("-inf")))
    if isinstance(value, str):
        return rng.choice((value[:-1], value + "_", value * 2, value.upper(), ""))
    return value


def mutate_operators(rng: random.Random, document: Any, names: tuple[str, ...]) -> Any:
    """Return a copy of a PIR program in which operators read other values, have other names, or another place."""
    made = copy.deepcopy(document)
    ops = made["program"]["regions"][0]["blocks"][0]["ops"]
    for _ in range(rng.choice((1, 1, 2))):
        op, kind = rng.choice(ops), rng.randrange(6)
        if kind == 0:
            op["#"] = rng.choice(names)
        elif kind == 1 and op.get("I"):
            rng.choice(op["I"])["%"] = rng.randrange(len(ops))
        elif kind == 2:
            ops.remove(op)
        elif kind == 3:
            ops.insert(rng.randrange(len(ops)), ops.pop(rng.randrange(len(ops))))
        elif kind == 4 and op.get("A") and op["#"] != "p":
            other = rng.choice(ops)
            op["A"] = copy.deepcopy(other["A"]) if other["#"] != "p" else op["A"][1:]
        elif op.get("I"):
            op["I"] = op["I"][1:] if rng.random() < 0.5 else op["I"] * 2
    return made


def json_bytes(document: Any) -> bytes:
    """Return a document as JSON; lone surrogates stay escaped."""
    return json.dumps(document).encode()
