"""The one program in memory: symbolic sizes, and what readers of several formats put into it."""

from __future__ import annotations

import pytest

import tests.model_opt.nb_writer as nw
from model_opt.lower import LowerError, Target, lower
from model_opt.nb import read_nb, write_nb
from model_opt.nb.types import KERNEL_ATTR
from model_opt.paddle_model import decode_model
from model_opt.paddle_model.params import encode_params
from model_opt.paddle_model.proto import encode_program
from model_opt.program import AttrType, Op, Program, Var, VarType
from model_opt.program.sizes import LARGEST, SizeError, Sizes, free_sides, known, reshape_target
from tests.model_opt.lower_programs import ONE_OP


def test_the_same_rule_on_the_same_size_is_the_same_symbol():
    sizes = Sizes()
    h, w = sizes.named("h"), sizes.named("w")
    assert sizes.named("h") is h
    assert sizes.windows(h, 1, 2) is sizes.windows(h, 1, 2)
    assert sizes.windows(h, 1, 2) != sizes.windows(w, 1, 2)
    assert sizes.windows(h, 1, 2) != sizes.windows(h, 2, 2)
    assert sizes.windows(h, -1, 1) is h, "a window of one place moves nothing"
    assert sizes.scaled(h, 2.0) is sizes.scaled(h, 2.0)


def test_a_product_is_the_same_in_any_order_and_grouping():
    sizes = Sizes()
    h, w, c = (sizes.named(name) for name in "hwc")
    assert sizes.product((h, w, c)) is sizes.product((sizes.product((c, h)), w))
    assert sizes.product((2, h, 3)) is sizes.times(sizes.times(h, 2), 3)
    assert sizes.product((h, 1)) is h
    assert sizes.product((2, 3)) == 6


def test_what_was_multiplied_can_be_divided_again():
    sizes = Sizes()
    h, w = sizes.named("h"), sizes.named("w")
    area = sizes.product((h, w, 4))
    assert sizes.ratio((area,), (h, 2)) is sizes.times(w, 2)
    assert sizes.ratio((area,), (w, 4)) is h
    assert sizes.ratio((area, 3), (area,)) == 3
    assert sizes.ratio((h,), (w,)) is sizes.ratio((h,), (w,)), "what does not divide is a symbol too"


def test_sizes_that_no_tensor_has_are_refused():
    sizes = Sizes()
    h = sizes.named("h")
    for wrong in (
        lambda: sizes.windows(1, -3, 1),
        lambda: sizes.product((LARGEST, 2)),
        lambda: sizes.product((h, 0)),
        lambda: sizes.ratio((6,), (4,)),
        lambda: sizes.ratio((h,), (0,)),
        lambda: sizes.broadcast(2, 3),
        lambda: sizes.reshaped((2, 3), (-1, -1)),
        lambda: sizes.reshaped((2, 3), (2, 3, 0)),
        lambda: sizes.reshaped((2, 3), (-2, 3)),
        lambda: sizes.reshaped((2, 3), (2, 4)),
    ):
        with pytest.raises(SizeError):
            wrong()


def test_a_reshape_copies_sides_and_infers_one():
    sizes = Sizes()
    h, w = sizes.named("h"), sizes.named("w")
    assert sizes.reshaped((1, 8, h, w), (0, 0, -1)) == (1, 8, sizes.product((h, w)))
    assert sizes.reshaped((1, sizes.product((h, w)), 8), (0, h, w, 8)) == (1, h, w, 8)
    assert sizes.reshaped((1, sizes.product((h, w)), 8), (0, h, -1, 8)) == (1, h, w, 8)
    source, shape = (1, h, w), (1, h, 2, sizes.ratio((w,), (2,)))
    free, moved = free_sides(source, shape)
    assert (free, moved) == ([1, 3], [3])
    assert reshape_target(shape, moved) == (1, 0, 2, -1)
    assert known(shape) is None
    assert known((1, 2)) == (1, 2)


@pytest.mark.parametrize("kind", ["conv2d", "reshape2", "softmax"])
def test_a_program_of_a_pdmodel_and_one_of_a_nb_are_the_same_kind_of_value(kind):
    made = ONE_OP[kind]()
    exported = decode_model(encode_program(made.program), encode_params(made.params))
    shipped = read_nb(write_nb(lower(exported, Target())))
    for program in (exported.program, shipped.program):
        assert type(program) is Program
        assert {type(op) for op in program.ops} == {Op}
        assert {type(var) for var in program.vars} == {Var}
        assert {type(var.kind) for var in program.vars} == {VarType}
        assert {type(attr.type) for op in program.ops for attr in op.attrs.values()} == {AttrType}
    assert {op.kernel for op in exported.program.ops} == {None}
    assert all(op.kernel is not None and op.kernel.op == op.type for op in shipped.ops)


def test_a_kernel_stands_in_its_field_alone_and_is_written_back():
    model = read_nb(nw.small_model())
    assert [op.kernel.key for op in model.ops[1:3]] == ["elementwise_mul/def/4/1/1", "relu/def/4/1/1"]
    assert all(KERNEL_ATTR not in op.attrs for op in model.ops)
    assert read_nb(write_nb(model)).program == model.program


def test_a_type_that_only_paddle_has_is_no_type_of_a_nb():
    made = ONE_OP["relu"]()
    block = made.program.main.with_vars(Var("odd", data_type=VarType.BF16, dims=(1,), lod_level=0))
    with pytest.raises(LowerError, match="has the element type 22, which Paddle Lite lacks"):
        lower(made.with_program(made.program.with_main(block)), Target())
