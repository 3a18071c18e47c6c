from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_kit.build.codec import Promise, decode, encode, key_of, promises_in, resolve
from edge_kit.build.files import json_bytes, parse_json
from model_opt.errors import KitError


@dataclass(frozen=True)
class Part:
    name: str
    score: float


@dataclass(frozen=True)
class Everything:
    path: Path
    flag: bool
    number: int
    floats: tuple[float, ...]
    pair: tuple[int, str]
    parts: tuple[Part, ...]
    table: Mapping[str, Mapping[str, int]]
    role: Literal["det", "rec"]
    lines: Sequence[str]
    scores: NDArray[np.float64]
    boxes: NDArray[np.float32] | None
    nothing: Part | None
    fact: int | str | None


def everything(folder: Path, **changes: Any) -> Everything:
    values: dict[str, Any] = {
        "path": folder / "sub" / "file", "flag": True, "number": 1 << 60,
        "floats": (0.1, 1e-300, math.inf, -math.inf, math.nan, 2.0), "pair": (1, "文字"),
        "parts": (Part("a", 0.5), Part("b", math.nan)), "table": {"x": {"y": 1}}, "role": "rec", "lines": ["p", "q"],
        "scores": np.array([0.1, np.nan]), "boxes": np.array([[1 / 3, 2]], np.float32), "nothing": None, "fact": "x",
    }  # fmt: skip
    return Everything(**{**values, **changes})


def there_and_back(value: Everything, tmp_path: Path) -> Everything:
    text = json_bytes(encode(value, tmp_path), what="it")
    found = decode(Everything, parse_json(text), tmp_path / "elsewhere")
    assert isinstance(found, Everything)
    return found


def test_a_result_comes_back_exactly_with_its_files_where_the_folder_is_now(tmp_path: Path) -> None:
    made = everything(tmp_path)
    found = there_and_back(made, tmp_path)
    assert found.path == tmp_path / "elsewhere" / "sub" / "file"
    assert repr(found.floats) == repr(made.floats)
    assert repr(found.parts) == repr(made.parts)
    assert (found.flag, found.number, found.pair, found.table, found.role) == (
        made.flag, made.number, made.pair, made.table, made.role,
    )  # fmt: skip
    assert found.lines == ("p", "q")
    assert found.boxes is not None
    assert made.boxes is not None
    for mine, other in ((found.scores, made.scores), (found.boxes, made.boxes)):
        assert (mine.dtype, mine.tobytes()) == (other.dtype, other.tobytes())
    assert (found.nothing, found.fact) == (None, "x")


def test_none_and_empty_values_stay_so(tmp_path: Path) -> None:
    found = there_and_back(everything(tmp_path, boxes=None, floats=(), scores=np.zeros((0, 4, 2))), tmp_path)
    assert found.boxes is None
    assert found.floats == ()
    assert found.scores.shape == (0, 4, 2)


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object()])
def test_what_json_cannot_keep_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(KitError, match=f"cannot hold a {type(value).__name__}"):
        encode(value, tmp_path)


def test_a_path_outside_the_stages_folder_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not in the subpath"):
        encode(Path("/etc/hostname"), tmp_path)


def test_a_key_differs_by_values_and_by_the_content_of_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = key_of((tmp_path / "a", Part("x", 1.0)))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a").write_text("1")
    assert key_of((tmp_path / "other" / "a", Part("x", 1.0))) == before
    (tmp_path / "a").write_text("2")
    assert key_of((tmp_path / "a", Part("x", 1.0))) != before
    assert key_of((tmp_path / "other" / "a", Part("x", 2.0))) != before
    folder = key_of(tmp_path / "other")
    (tmp_path / "other" / "b").write_text("")
    assert key_of(tmp_path / "other") != folder


def test_a_cache_key_says_what_of_an_object_counts() -> None:
    @dataclass(frozen=True)
    class Tool:
        place: str
        version: str

        @property
        def cache_key(self) -> str:
            return self.version

    assert key_of(Tool("/here", "1")) == key_of(Tool("/there", "1")) != key_of(Tool("/here", "2"))


def test_promises_are_found_and_replaced_wherever_they_stand() -> None:
    value: Any = {"a": (Promise("x"), [Part(Promise("y"), 1.0)]), "b": Part("z", 2.0)}  # type: ignore[arg-type]
    assert [promise.stage for promise in promises_in(value)] == ["x", "y"]
    found = resolve(value, lambda stage: stage.upper())
    assert found == {"a": ("X", (Part("Y", 1.0),)), "b": Part("z", 2.0)}
    assert found["b"] is value["b"]
