"""The writer of ``.nb`` bytes: opt's layout, equal parts once, and what the format cannot hold."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import tests.model_opt.nb_writer as nw
from model_opt.convert import ConvertOptions
from model_opt.nb import NbError, NbModel, deduplicate_parts, read_nb
from model_opt.nb.canonical import FREE_READS, HEADER
from model_opt.nb.write import write_as_opt, write_nb
from model_opt.program import ELEMENT_TYPES, Attr, AttrType, Var
from tests.model_opt.lower_programs import ONE_OP, together
from tests.model_opt.random_numbers import generator

RNG = generator(11)
VALUES = {
    AttrType.INT: (0, -5, 1 << 30), AttrType.FLOAT: (0.0, -0.5), AttrType.STRING: ("", "NCHW", "über"),
    AttrType.INTS: ((), (1, -2)), AttrType.FLOATS: ((), (0.25, -1.0)), AttrType.STRINGS: ((), ("a", "")),
    AttrType.BOOLEAN: (False, True), AttrType.BOOLEANS: ((), (True, False)), AttrType.BLOCK: (3,),
    AttrType.LONG: (0, -(1 << 40)), AttrType.BLOCKS: ((1, 2),), AttrType.LONGS: ((1 << 40,),),
    AttrType.FLOAT64: (0.1,), AttrType.FLOAT64S: ((0.1, 0.2),),
}  # fmt: skip


def with_attrs(model: NbModel, attrs: dict[str, Attr]) -> NbModel:
    """Return the model whose operators have these attributes beside their kernels."""
    return model.with_ops(dataclasses.replace(op, attrs={**op.attrs, **attrs}) for op in model.ops)


def content(model: NbModel):
    tensors = {name: (one.shape, one.dtype, one.tobytes()) for name, one in model.params.items()}
    return model.opt_version, model.program, tensors


def chain(count: int, attrs: dict) -> NbModel:
    ops = [nw.Op("relu", {"X": [f"v{n}"]}, {"Out": [f"v{n + 1}"]}, attrs) for n in range(count)]
    return read_nb(nw.nb_bytes([nw.feed("v0"), *ops, nw.fetch(f"v{count}")]))


@pytest.mark.parametrize("write", [write_as_opt, write_nb])
def test_every_kind_of_attribute_reads_back(write):
    attrs = {
        f"{kind.name}{at}": Attr(kind, value) for kind, values in VALUES.items() for at, value in enumerate(values)
    }
    model = with_attrs(chain(3, {}), attrs)
    assert content(read_nb(write(model))) == content(model)


@pytest.mark.parametrize("write", [write_as_opt, write_nb])
def test_every_type_of_parameter_reads_back(write):
    model = read_nb(nw.small_model())
    params = {}
    for kind in ("bool", "i2", "i4", "i8", "f2", "f4", "f8", "u1", "i1"):
        for shape in ((), (0, 3), (5,), (2, 3, 4)):
            values = np.asarray(RNG.integers(0, 2, shape)).astype(kind)
            name = f"{kind}{len(shape)}"
            params[name] = values
    variables = [
        Var(n, data_type=ELEMENT_TYPES[p.dtype], dims=p.shape, lod_level=0, persistable=True, need_check_feed=False)
        for n, p in params.items()
    ]
    kept = [var for var in model.vars if not var.is_param]
    ops = tuple(op for op in model.ops if op.type in ("feed", "fetch"))
    block = dataclasses.replace(model.blocks[0], vars=(*kept, *variables), ops=ops)
    made = dataclasses.replace(model, program=model.program.with_main(block), params=params)
    assert content(read_nb(write(made))) == content(made)


def test_sharing_at_once_is_sharing_afterwards():
    model = chain(40, {"ints": ("ints", [1, 2]), "text": "NCHW"})
    assert write_nb(model) == deduplicate_parts(write_as_opt(model))
    assert len(write_nb(model)) < len(write_as_opt(model))


def test_writing_what_was_read_gives_the_same_bytes():
    data = write_nb(chain(7, {"axis": 2}))
    assert write_nb(read_nb(data)) == data


def test_opts_own_files_are_written_byte_for_byte(oracle):
    data = oracle.convert(together(make() for make in ONE_OP.values()), ConvertOptions())
    assert write_as_opt(read_nb(data)) == data


def test_a_topology_that_shares_too_much_for_a_reader_is_written_without_sharing():
    """A reader takes 4 MiB of overlaps; 600 uses of a list of 2,000 numbers are 4.8 MB."""
    model = chain(600, {"long": ("ints", list(range(2000)))})
    data = write_nb(model)
    assert HEADER.unpack_from(data)[2] > FREE_READS
    assert content(read_nb(data)) == content(model)


def test_a_number_at_its_default_is_left_out():
    base = chain(1, {})
    for kind, value in ((AttrType.INT, 0), (AttrType.FLOAT, -0.0), (AttrType.BOOLEAN, False), (AttrType.LONG, 0)):
        zero = with_attrs(base, {"a": Attr(kind, value)})
        other = with_attrs(base, {"a": Attr(kind, type(value)(1))})
        assert len(write_as_opt(zero)) < len(write_as_opt(other))


def test_a_version_that_fills_the_field_is_the_longest():
    model = read_nb(nw.small_model())
    assert read_nb(write_nb(dataclasses.replace(model, opt_version="v" * 16))).opt_version == "v" * 16
    with pytest.raises(NbError, match="more than 16 characters"):
        write_nb(dataclasses.replace(model, opt_version="v" * 17))


def test_more_parameters_than_the_format_counts_are_refused():
    model = read_nb(nw.small_model())
    one = np.zeros(1, np.float32)
    params = {f"p{n}": one for n in range(65536)}
    with pytest.raises(NbError, match="at most 65535 parameters, the model has 65536"):
        write_nb(dataclasses.replace(model, params=params))
