"""Equal parts of a topology stored once: the same model for every reader, in fewer bytes."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import tests.model_opt.nb_writer as nw
from model_opt.convert import ConvertOptions
from model_opt.nb import NbError, NbModel, deduplicate_parts, read_nb
from model_opt.nb.canonical import FREE_READS, HEADER, parse_header
from model_opt.nb.flat import Flat
from model_opt.nb.schema import BLOCK, OP, PROGRAM
from model_opt.opt_tool.worker import LiteWorker
from tests.model_opt.random_numbers import generator

EVERY_ATTR = {
    "int": 3, "float": 0.5, "text": b"\xff not UTF-8", "flag": True, "ints": ("ints", [1, 2]), "none": ("ints", []),
    "floats": ("floats", [0.25]), "texts": ("strings", ["a", b"\xfe"]), "flags": ("bools", [True, False]),
    "long": ("long", -(1 << 40)), "longs": ("longs", [1 << 40]), "double": ("float64", 0.1),
    "doubles": ("float64s", [0.1, 0.2]),
}  # fmt: skip


def content(model: NbModel):
    tensors = {name: (one.shape, one.dtype, one.tobytes()) for name, one in model.params.items()}
    return model.opt_version, model.program, model.op_versions, tensors


def chain(operators: int, attrs: dict) -> bytes:
    """Return a file of operators that differ in the names of their variables alone."""
    ops = [nw.Op("relu", {"X": [f"v{n}"]}, {"Out": [f"v{n + 1}"]}, attrs) for n in range(operators)]
    return nw.nb_bytes([nw.feed("v0"), *ops, nw.fetch(f"v{operators}")])


@pytest.mark.parametrize("data", [nw.small_model(), chain(1, EVERY_ATTR), chain(30, EVERY_ATTR)], ids=len)
def test_it_reads_as_the_same_model(data):
    made = deduplicate_parts(data)
    assert content(read_nb(made)) == content(read_nb(data))
    assert made[:18] == data[:18]
    assert len(made) < len(data)
    assert deduplicate_parts(made) == made


def test_what_repeats_costs_no_more_than_its_names():
    """A further operator costs its own table, its two lists of arguments and its variable, not 13 attributes."""
    few, many = (len(deduplicate_parts(chain(count, EVERY_ATTR))) for count in (10, 110))
    assert (many - few) / 100 < 160
    assert (len(chain(110, EVERY_ATTR)) - len(chain(10, EVERY_ATTR))) / 100 > 800


def test_absent_and_empty_stay_two_things():
    w = nw.Writer()
    plain = w.table(5, {0: ("ref", w.text("relu"))})
    empty = w.table(5, {0: ("ref", w.text("relu")), 1: ("ref", w.refs([])), 4: ("Bool", True)})
    block = w.table(5, {3: ("ref", w.refs([plain, empty, plain]))})
    data = nw.join(w.finish(w.table(3, {0: ("ref", w.refs([block]))})), [])
    once = deduplicate_parts(deduplicate_parts(data))
    _, _, end = parse_header(once)
    (block,) = Flat(once, HEADER.size, end, "topology").root(PROGRAM).tables(0, BLOCK)
    assert [[slot for slot in range(5) if op.has(slot)] for op in block.tables(3, OP)] == [[0], [0, 1, 4], [0]]


def test_a_large_topology_stays_as_it_is(monkeypatch):
    """Else its reader would take what is shared for an attack."""
    data = chain(40, EVERY_ATTR)
    monkeypatch.setattr(importlib.import_module("model_opt.nb.deduplicate"), "FREE_READS", 1000)
    assert deduplicate_parts(data) == data


def test_the_largest_that_is_shared_can_be_read():
    """Operators that share all but their names, up to the limit: the reader takes them."""
    data = chain(4900, EVERY_ATTR)
    assert FREE_READS * 0.8 < len(data) < FREE_READS
    made = deduplicate_parts(data)
    assert len(made) < len(data) / 5
    assert read_nb(made).blocks == read_nb(data).blocks


@pytest.mark.parametrize("junk", [b"", nw.small_model()[:200], nw.small_model().replace(b"relu\0", b"relu!")])
def test_a_damaged_file_is_refused(junk: bytes):
    with pytest.raises(NbError):
        deduplicate_parts(junk)


@pytest.mark.shared
def test_files_of_the_real_opt_read_the_same(shared_dir):
    paths = sorted((shared_dir / "lite_golden").rglob("*.nb"))
    assert len(paths) > 100
    for path in paths:
        data = path.read_bytes()
        made = deduplicate_parts(data)
        assert content(read_nb(made)) == content(read_nb(data)), path.name
        assert len(made) < len(data), path.name


@pytest.mark.parametrize(("kind", "shape"), [("det", (1, 3, 32, 64)), ("rec", (1, 3, 48, 64))])
def test_paddle_lite_loads_it_and_answers_the_same(request, kind, shape, env, tmp_path, monkeypatch):
    files = request.getfixturevalue(f"mobile_{kind}")
    with monkeypatch.context() as patch:
        patch.setattr(importlib.import_module("model_opt.opt_tool.convert"), "deduplicate_parts", lambda data: data)
        env.convert(files, ConvertOptions("x86"), tmp_path / "plain.nb")
    env.convert(files, ConvertOptions("x86"), tmp_path / "shared.nb")
    plain, shared = ((tmp_path / name).stat().st_size for name in ("plain.nb", "shared.nb"))
    assert plain - shared > 80_000
    x = generator(4).standard_normal(shape).astype(np.float32)
    a, b = (LiteWorker(tmp_path / name, env).ask(x, 60) for name in ("plain.nb", "shared.nb"))
    assert np.isfinite(a).all()
    assert np.array_equal(a, b)
