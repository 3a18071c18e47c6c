"""The ``.nb`` reader: everything in the file, nothing that is not, and a named fault for every damage."""

from __future__ import annotations

import os
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tests.model_opt.nb_writer as nw
from model_opt.nb import NbError, read_nb
from model_opt.program import AttrType, VarType


def test_every_attribute_type_comes_back_with_its_value():
    attrs = {
        "a_int": -7,
        "b_float": 0.5,
        "c_string": "π",
        "d_ints": ("ints", [1, -2]),
        "e_floats": ("floats", [0.25, -(2.0**100)]),
        "f_strings": ("strings", ["x", "", "中"]),
        "g_bool": True,
        "h_bools": ("bools", [True, False]),
        "i_block": ("block", 3),
        "j_long": ("long", -(1 << 40)),
        "k_blocks": ("blocks", [1, 2]),
        "l_longs": ("longs", [1 << 62, -1]),
        "m_float64s": ("float64s", [1e300]),
        "n_float64": ("float64", 1e-300),
        "o_empty": ("ints", []),
    }
    model = read_nb(nw.nb_bytes([nw.feed("x"), nw.Op("odd", {"X": ["x"]}, {"Out": ["y"]}, attrs), nw.fetch("y")]))
    op = model.ops[1]
    found = {name: attr.value for name, attr in op.attrs.items()}
    plain = {k: v[1] if isinstance(v, tuple) else v for k, v in attrs.items()}
    assert found == {k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()}
    assert op.attrs["j_long"].type is AttrType.LONG
    assert op.attrs["g_bool"].type is AttrType.BOOLEAN
    assert found["g_bool"] is True


def test_topology_and_parameters_come_back():
    model = read_nb(nw.small_model())
    assert (model.meta_version, model.opt_version, model.program.version) == (2, "v2.14-rc", 2004001)
    assert [op.type for op in model.ops] == ["feed", "elementwise_mul", "relu", "fetch"]
    assert model.ops[1].inputs == {"X": ("x",), "Y": ("w",)}
    assert model.ops[1].outputs == {"Out": ("m",)}
    assert str(model.ops[1].kernel) == "elementwise_mul/def/arm/fp32/NCHW"
    assert model.var("x").dims == (-1, 6)
    assert model.var("x").data_type is VarType.FP32
    assert model.var("feed").kind is VarType.FEED_MINIBATCH
    weight = model.params["w"]
    np.testing.assert_array_equal(weight, np.arange(6, dtype=np.float32).reshape(1, 6))
    assert (weight.shape, weight.dtype, weight.nbytes) == ((1, 6), np.float32, 24)


@pytest.mark.parametrize("dtype", ["bool", "int8", "int16", "int32", "int64", "float16", "float32", "float64"])
def test_every_parameter_type_comes_back(dtype: str):
    array = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    ops = [nw.feed("x"), nw.Op("scale", {"X": ["x"], "Y": ["w"]}, {"Out": ["y"]}), nw.fetch("y")]
    weight = read_nb(nw.nb_bytes(ops, {"w": array})).params["w"]
    np.testing.assert_array_equal(weight, array)
    assert weight.dtype == array.dtype


def test_parameters_are_views_that_cannot_be_written():
    data = nw.small_model()
    weight = read_nb(data).params["w"]
    assert np.shares_memory(weight, np.frombuffer(data, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        weight[0, 0] = 1


def test_an_empty_tensor_and_a_scalar_are_allowed():
    ops = [nw.feed("x"), nw.Op("scale", {"X": ["x"], "Y": ["e", "s"]}, {"Out": ["y"]}), nw.fetch("y")]
    params = {"e": np.zeros((0, 3), np.float32), "s": np.array(2.5, np.float32)}
    model = read_nb(nw.nb_bytes(ops, params))
    assert model.params["e"].shape == (0, 3)
    assert model.params["s"].shape == ()
    assert float(model.params["s"]) == 2.5


def test_a_file_is_read_from_its_path_and_the_error_names_it(tmp_path):
    good = tmp_path / "good.nb"
    good.write_bytes(nw.small_model())
    assert read_nb(good).path == str(good)
    assert len(read_nb(str(good)).ops) == 4
    bad = tmp_path / "bad.nb"
    bad.write_bytes(nw.small_model()[:-1])
    with pytest.raises(NbError) as caught:
        read_nb(bad)
    error = caught.value
    assert error.path == str(bad)
    assert str(bad) in str(error)
    assert error.hint is not None
    assert error.offset is not None
    assert error.expected
    assert error.found
    assert error.section == "parameters"


def test_what_is_no_readable_file_is_an_error(tmp_path):
    for path in (tmp_path, tmp_path / "missing.nb", tmp_path / "a\0b"):
        with pytest.raises(NbError, match="cannot read") as caught:
            read_nb(path)
        assert caught.value.path == str(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.nb")
    with pytest.raises(NbError, match="no regular file"):
        read_nb(tmp_path / "pipe.nb")


def test_every_truncation_is_an_error():
    data = nw.small_model()
    for size in range(len(data)):
        with pytest.raises(NbError):
            read_nb(data[:size])


def test_trailing_bytes_are_an_error():
    with pytest.raises(NbError, match="1 more bytes"):
        read_nb(nw.small_model() + b"\0")


@pytest.mark.parametrize(("meta", "hint"), [(0, "current opt"), (1, "current opt"), (3, "damaged")])
def test_other_format_versions_are_named(meta: int, hint: str):
    data = bytearray(nw.small_model())
    data[0] = meta
    with pytest.raises(NbError, match="meta version 2") as caught:
        read_nb(bytes(data))
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize("junk", [b"", b"PK\x03\x04" + b"\0" * 60, b"{}" * 40, b"\x02\x00" + b"\0" * 60])
def test_what_is_no_nb_file_is_an_error(junk: bytes):
    with pytest.raises(NbError) as caught:
        read_nb(junk)
    assert caught.value.section == "header"


def top(ops=None, variables=None) -> bytes:
    ops = ops if ops is not None else [nw.feed("x"), nw.fetch("x")]
    if variables is None:
        variables = [("feed", 9, True, 0, ()), ("fetch", 10, True, 0, ()), ("x", 7, False, 5, ())]
    return nw.topology(ops, variables)


W = np.ones(4, np.float32)
X = [("x", 7, False, 5, ()), ("feed", 9, True, 0, ()), ("fetch", 10, True, 0, ())]
XW = [*X, ("w", 7, True, 5, (4,))]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (nw.join(top(variables=XW), [nw.param("w", W)] * 2, largest=16), "'w' once"),
        (nw.join(top(variables=XW), [], largest=0), "1 missing"),
        (nw.join(top(), [nw.param("w", W)], largest=16), "does not declare"),
        (nw.join(top(variables=XW), [nw.param("w", W)], largest=15), "largest tensor"),
        (nw.join(top(variables=XW), [nw.param("w", W)], largest=16, count=2), "parameter 2 of 2"),
        (nw.join(top(variables=XW), [nw.param("w", W)], largest=16, count=0), "more bytes"),
        (nw.join(top(variables=XW), [nw.param("w", W, dims=(5,))], largest=16), "20 bytes for"),
        (nw.join(top(variables=XW), [nw.param("w", W, dims=(-4,))], largest=16), "sizes from 0"),
        (nw.join(top(variables=XW), [nw.param("w", W, dims=(0, *[1 << 30] * 9))], largest=16), "found 16 bytes"),
        (nw.join(top(variables=XW), [nw.param("w", W[:0], dims=(0, *[1 << 30] * 9))], largest=0), "bytes for"),
        (nw.join(top(variables=XW), [nw.param("w", W, dims=[1] * 17)], largest=16), "at most 16"),
        (nw.join(top(variables=XW), [nw.param("w", W, union=2)], largest=16), "union type 2"),
        (nw.join(top(variables=X[:1]), []), "argument 'feed'"),
        (nw.join(top(variables=[*X, X[0]]), []), "'x' declared once"),
        (nw.join(top(variables=[("x", 99, False, 5, ()), *X[1:]]), []), "known type number"),
        (nw.join(top(ops=[nw.Op("a", attrs={"b": 1, "a": 1}, place=None, sort=False)]), []), "rising order"),
        (nw.join(top(ops=[nw.Op("a", place="4/1")]), []), "kernel of 'a'"),
        (nw.join(top(ops=[nw.Op("a", place="4/1/x")]), []), "kernel of 'a'"),
        (nw.join(top(), [], version=b"\xff" * 16), "printable"),
        (nw.join(b"", []), "at least 8 bytes"),
        (nw.join(b"\0" * 64, []), "topology"),
    ],
)  # fmt: skip
def test_a_file_that_contradicts_itself_is_an_error(data: bytes, message: str):
    with pytest.raises(NbError) as caught:
        read_nb(data)
    assert message in str(caught.value)


def test_a_huge_count_costs_no_memory():
    data = bytearray(nw.small_model())
    size = struct.unpack_from("<Q", data, 18)[0]
    refused = 0
    tracemalloc.start()
    for at in range(26, len(data) - 4, 4):
        for count in (0x7FFFFFF0, 0xFFFFFFF0, len(data)):
            damaged = bytearray(data)
            struct.pack_into("<I", damaged, at, count)
            try:
                read_nb(bytes(damaged))
            except NbError:
                refused += 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 1000
    assert refused > 300
    assert peak < 1 << 20


def test_a_topology_of_absurd_size_is_refused():
    with pytest.raises(NbError, match="at most 16777216 bytes"):
        read_nb(nw.join(b"\0" * (1 << 24) + b"\0", []))


def test_offsets_that_share_one_big_table_do_not_multiply_the_work():
    """A thousand operators that are one and the same table would be read a thousand times."""
    w = nw.Writer()
    attrs = w.refs([nw._attr(w, f"a{number:04}", number) for number in range(500)])
    op = w.table(5, {0: ("ref", w.text("bomb")), 3: ("ref", attrs)})
    ops = w.refs([op] * 1000)
    block = w.table(5, {3: ("ref", ops)})
    data = w.finish(w.table(3, {0: ("ref", w.refs([block]))}))
    with pytest.raises(NbError, match="overlap"):
        read_nb(nw.join(data, []))


def test_a_field_that_a_later_opt_may_add_is_refused_not_ignored():
    w = nw.Writer()
    op = w.table(6, {0: ("ref", w.text("relu")), 5: ("Int32", 1)})
    block = w.table(5, {3: ("ref", w.refs([op]))})
    data = w.finish(w.table(3, {0: ("ref", w.refs([block]))}))
    with pytest.raises(NbError, match="later opt"):
        read_nb(nw.join(data, []))


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_bytes_give_a_model_or_an_nb_error(changes: list[tuple[int, int]]):
    data = bytearray(nw.small_model())
    for at, value in changes:
        data[at % len(data)] = value
    try:
        model = read_nb(bytes(data))
    except NbError:
        return
    assert model.blocks


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 0xFFFFFFFF)), min_size=1, max_size=3),
    st.integers(0, 1 << 20),
)
def test_changed_numbers_and_cuts_give_a_model_or_an_nb_error(changes: list[tuple[int, int]], cut: int):
    data = bytearray(nw.small_model())
    for at, value in changes:
        struct.pack_into("<I", data, 26 + at % (len(data) - 30), value)
    del data[cut % len(data) : cut % len(data) + cut % 3]
    try:
        read_nb(bytes(data))
    except NbError:
        return


@pytest.mark.shared
def test_every_file_of_the_real_opt_is_read_whole(shared_dir):
    files = sorted((shared_dir / "lite_golden").rglob("*.nb"))
    assert len(files) > 100
    for path in files:
        model = read_nb(path)
        assert model.opt_version == "v2.12"
        assert model.ops[0].type == "feed"
        assert all(op.kernel is not None for op in model.program.all_ops())
        assert {var.name for var in model.vars if var.is_param} == set(model.params)


@pytest.mark.shared
def test_real_detector_has_the_known_operators_and_parameters(shared_dir):
    model = read_nb(shared_dir / "lite_golden" / "det_fp32.nb")
    assert len(model.ops) == 243
    assert len(model.params) == 224
    conv = next(op for op in model.ops if op.type == "conv2d")
    assert conv.attr("strides") == (2, 2)
    assert model.params[conv.inputs["Filter"][0]].shape == (16, 3, 3, 3)


@pytest.mark.shared
def test_weights_of_an_int8_file_times_their_scale_are_those_of_the_fp32_file(shared_dir):
    exact = read_nb(shared_dir / "lite_golden" / "det_fp32.nb")
    small = read_nb(shared_dir / "lite_golden" / "det_weight_int8.nb")
    checked = 0
    for op in small.ops:
        for name in op.inputs.get("Filter", ()):
            scale = op.attr(f"{name}_quant_scale")
            if op.type == "conv2d" and isinstance(scale, tuple):
                step = np.array(scale, np.float32).reshape(-1, 1, 1, 1)
                difference = np.abs(small.params[name] * step - exact.params[name])
                assert np.all(difference <= step * 0.5001 + 1e-9)
                checked += 1
    assert checked > 40
