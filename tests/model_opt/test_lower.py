"""The lowering: opt's operators and bytes where opt is right, other operators where it is not, and what is refused."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter

import numpy as np
import onnxruntime as ort
import pytest

from model_opt.convert import ConvertOptions
from model_opt.errors import KitError
from model_opt.lower import LowerError, Target, lower
from model_opt.lower.demanded import ATTRIBUTES, NEEDED, OUTPUTS
from model_opt.lower.kernels import KERNELS
from model_opt.nb import NbModel, read_nb
from model_opt.nb.to_onnx import to_onnx
from model_opt.nb.write import write_as_opt, write_nb
from model_opt.program import Attr, AttrType, Model, Op, Var, VarType
from model_opt.program import AttrType as PaddleType
from tests.model_opt.lower_compare import verdict
from tests.model_opt.lower_mutator import damaged, sound_programs
from tests.model_opt.lower_programs import IMAGE, ONE_OP, TOKENS, Maker, together
from tests.model_opt.lower_random import FAMILIES, in_int8, random_program
from tests.model_opt.passes_float64 import run_float64

TARGETS = {
    "arm": (Target(), ConvertOptions()),
    "fp16": (Target(fp16=True), ConvertOptions(fp16=True)),
    "int8": (Target(weight_bits=8), ConvertOptions(weight_bits=8)),
    "int16": (Target(weight_bits=16), ConvertOptions(weight_bits=16)),
    "opencl": (Target("opencl"), ConvertOptions("opencl,arm")),
    "x86": (Target("x86"), ConvertOptions("x86")),
}


def lowered(model: Model, target: Target | None = None) -> NbModel:
    return lower(model, target or Target())


def types(model: NbModel) -> list[str]:
    return [op.type for op in model.ops if op.type not in ("feed", "fetch", "io_copy", "layout", "calib")]


def run_onnx(model: NbModel, x: np.ndarray) -> np.ndarray:
    """Return what the translation of a file answers in ONNX Runtime."""
    session = ort.InferenceSession(to_onnx(model), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def changed(model: Model, kind: str, change) -> Model:
    """Return the model with each operator of a type changed."""
    return Model(
        model.program.with_ops(change(op) if op.type == kind else op for op in model.program.main.ops), model.params
    )


# --- opt's own bytes


@pytest.mark.parametrize("name", ["arm", "fp16", "int8", "opencl", "x86"])
def test_every_operator_is_written_as_opt_writes_it(name, oracle):
    target, options = TARGETS[name]
    programs = [make() for case, make in ONE_OP.items() if KERNELS[case.split()[0]].x86 or name != "x86"]
    model = together(programs)
    assert write_as_opt(lowered(model, target)) == oracle.convert(model, options)


@pytest.mark.parametrize("name", ["arm", "fp16", "int8", "opencl", "x86"])
def test_every_operator_is_written_as_the_older_opt_writes_it(name, older_oracle):
    target, options = TARGETS[name]
    cases = [case for case in ONE_OP if KERNELS[case.split()[0]].x86 or name != "x86"]
    model = together(ONE_OP[case]() for case in cases if case != "swish without beta")
    older = dataclasses.replace(target, runtime=older_oracle.opt_version)
    assert write_as_opt(lowered(model, older)) == older_oracle.convert(model, options)


def test_every_kernel_of_the_table_is_compared_with_opts():
    seen = {op.type for make in ONE_OP.values() for op in lowered(make(), Target()).ops}
    assert seen == KERNELS.keys()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(6))
def test_random_programs_are_written_as_opt_writes_them(family, seed, oracle):
    """All 2,000: scripts/bench_nb_writer.py --random."""
    model = random_program(family, seed, fp16=seed % 5 == 1)
    names = ("arm",) if family == "int8" else (("arm", "fp16", "opencl", "x86", "int16")[seed % 5],)
    for name in names:
        target, options = TARGETS[name]
        assert verdict(write_as_opt(lowered(model, target)), oracle.convert(model, options)) in ("equal", "reordered")


def test_a_file_reads_back_as_it_was_written():
    model = lowered(together(make() for make in ONE_OP.values()))
    for data in (write_as_opt(model), write_nb(model)):
        found = read_nb(data)
        assert [(op.type, op.inputs, op.outputs, op.attrs, op.kernel) for op in found.ops] == [
            (op.type, dict(op.inputs), dict(op.outputs), op.attrs, op.kernel) for op in model.ops
        ]
        assert found.vars == model.vars
        assert found.opt_version == "v2.14-rc"


def test_the_same_program_gives_the_same_bytes():
    model = random_program("image", 3)
    assert write_nb(lowered(model)) == write_nb(lowered(model))


def test_the_header_names_the_release_that_the_file_is_for():
    model = ONE_OP["relu"]()
    assert lowered(model, Target(runtime="2.13rc0")).opt_version == "v2.13-rc"


def test_shapes_of_five_sides_are_moved_on_the_host_beside_opencl(oracle):
    """As a window attention moves them; opt picks by the sizes that the program declares."""
    m = Maker((-1, 8, 4, 4))
    wide, turned = (-1, 2, 4, 4, 4), (-1, 4, 4, 2, 4)
    y = m.op("reshape2", {"X": "x"}, wide, shape=(-1, 2, 4, 4, 4))
    m.extra("XShape", dims=(0, -1, 8, 4, 4))
    y = m.op("transpose2", {"X": y}, turned, axis=(0, 2, 3, 1, 4))
    m.extra("XShape", dims=(0, *wide))
    y = m.op("reshape2", {"X": y}, (-1, 16, 8, 1), shape=(-1, 16, 8, 1))
    m.extra("XShape", dims=(0, *turned))
    model = m.model(m.op("relu", {"X": y}, None))
    found = lowered(model, Target("opencl"))
    kernels = [(op.type, op.kernel.target_name) for op in found.ops if op.type in ("reshape2", "transpose2", "relu")]
    assert kernels == [("reshape2", "host"), ("transpose2", "arm"), ("reshape2", "host"), ("relu", "opencl")]
    assert write_as_opt(found) == oracle.convert(model, ConvertOptions("opencl,arm"))


def test_a_second_bias_is_added_to_the_first(oracle):
    m = Maker()
    model = m.model(m.bias(m.bias(m.conv("x", 8))))
    found = lowered(model)
    assert types(found) == ["conv2d"]
    assert write_as_opt(found) == oracle.convert(model, ConvertOptions())


# --- what a program leaves out


def demands(model: NbModel) -> None:
    """Check that every operator has what Paddle Lite demands of it."""
    for op in model.ops:
        for name in OUTPUTS.get(op.type, ()):
            assert op.outputs.get(name), (op.type, name)
        for name, (kind, _) in ATTRIBUTES.get(op.type, {}).items():
            assert (op.type, name) == ("swish", "beta") or op.attrs[name].type == int(kind), (op.type, name)


@pytest.mark.parametrize("name", TARGETS)
def test_a_file_never_lacks_an_output_or_attribute_that_is_demanded(name):
    made = [make() for case, make in ONE_OP.items() if KERNELS[case.split()[0]].x86 or name != "x86"]
    for model in (*made, *(random_program("rows", seed) for seed in range(4))):
        bare = Model(model.program.with_ops(_bare(op) for op in model.program.main.ops), model.params)
        demands(read_nb(write_nb(lowered(bare, TARGETS[name][0]))))


def _bare(op: Op) -> Op:
    """Return an operator without the outputs and attributes that a newer Paddle leaves out."""
    defaults = {name for name, (_, default) in ATTRIBUTES.get(op.type, {}).items() if default is not NEEDED}
    kept = {name: attr for name, attr in op.attrs.items() if name not in defaults or _is_needed(op, name)}
    outputs = {key: names for key, names in op.outputs.items() if key not in OUTPUTS.get(op.type, ())}
    return dataclasses.replace(op, attrs=kept, outputs=outputs)


def _is_needed(op: Op, name: str) -> bool:
    return op.attrs[name].value != ATTRIBUTES[op.type][name][1]


@pytest.mark.parametrize("kind", OUTPUTS)
def test_opt_writes_the_same_of_a_program_with_the_added_outputs(kind, oracle):
    model = ONE_OP[kind]()
    bare = changed(
        model, kind, lambda op: dataclasses.replace(op, outputs=dict([*op.outputs.items()][: -len(OUTPUTS[kind])]))
    )
    own = lowered(bare)
    padded = bare
    (op,) = [op for op in own.ops if op.type == kind]
    for key in OUTPUTS[kind]:
        (name,) = op.outputs[key]
        block = padded.program.main.with_vars(Var(name, data_type=VarType.FP32, dims=(), lod_level=0))
        padded = Model(padded.program.with_main(block), padded.params)
        padded = changed(padded, kind, lambda one, key=key, name=name: one.with_output(key, name))
    assert write_as_opt(own) == oracle.convert(padded, ConvertOptions())


def test_an_attribute_without_a_default_is_missed_by_name():
    model = changed(ONE_OP["transpose2"](), "transpose2", lambda op: op.without_attr("axis"))
    with pytest.raises(LowerError, match=r"operator 1 \(transpose2\): it lacks the attribute 'axis'"):
        lowered(model)


@pytest.mark.parametrize(
    ("op", "name", "kind", "value", "wanted"),
    [
        ("concat", "axis", PaddleType.LONG, 1, AttrType.INT),
        ("transpose2", "axis", PaddleType.LONGS, (0, 2, 3, 1), AttrType.INTS),
        ("scale", "scale", PaddleType.FLOAT64, 2.0, AttrType.FLOAT),
        ("scale", "bias", PaddleType.INT, 1, AttrType.FLOAT),
        ("batch_norm", "is_test", PaddleType.INT, 1, AttrType.BOOLEAN),
    ],
)
def test_an_attribute_of_another_type_becomes_the_demanded_one(op, name, kind, value, wanted):
    found = lowered(changed(ONE_OP[op](), op, lambda one: one.with_attr(name, value, kind)))
    (made,) = [one for one in found.ops if one.type == op]
    assert (made.attrs[name].type, made.attrs[name].value) == (wanted, value)


def test_an_attribute_of_a_type_that_does_not_fit_is_refused():
    model = changed(ONE_OP["concat"](), "concat", lambda op: op.with_attr("axis", 1 << 40, PaddleType.LONG))
    with pytest.raises(LowerError, match="'axis' is a LONG, and Paddle Lite takes a INT"):
        lowered(model)


# --- where opt is wrong


def test_a_second_activation_behind_a_convolution_is_kept():
    """opt overwrites the first: conv, relu, sigmoid on OpenCL becomes conv with sigmoid."""
    m = Maker()
    y = m.op("sigmoid", {"X": m.op("relu", {"X": m.bias(m.conv("x", 8))}, None)}, None)
    model = m.model(y)
    for place, wanted in (("opencl", ["conv2d", "sigmoid"]), ("arm", ["conv2d", "sigmoid"])):
        found = lowered(model, Target(place))
        assert types(found) == wanted
        conv = next(op for op in found.ops if op.type == "conv2d")
        assert conv.attr("act_type") == "relu"


def test_a_scale_behind_an_activation_stays_behind_it():
    """opt multiplies the weights instead: relu(-2 x) is not -2 relu(x)."""
    m = Maker()
    act = m.op("relu", {"X": m.bias(m.conv("x", 8))}, None)
    y = m.op("scale", {"X": act}, None, scale=-2.0, bias=0.0, bias_after_scale=True)
    assert types(lowered(m.model(m.binary("add", y, y)))) == ["conv2d", "scale", "elementwise_add"]


@pytest.mark.parametrize("axis", [-1, 1, 3])
def test_one_number_behind_a_bias_joins_it_along_any_axis(oracle, axis):
    m = Maker()
    model = m.model(m.binary("add", m.bias(m.conv("x", 8)), m.param(1), axis=axis))
    own = write_as_opt(lower(model, Target()))
    assert [op.type for op in read_nb(own).ops] == ["feed", "conv2d", "fetch"]
    assert own == oracle.convert(model, ConvertOptions())


def test_a_sum_along_another_side_than_the_channels_is_no_bias():
    m = Maker((-1, 8, 8, 8))
    model = m.model(m.binary("add", m.conv("x", 8), m.param(8), axis=-1))
    assert types(lowered(model)) == ["conv2d", "elementwise_add"]


def test_a_matrix_that_is_computed_makes_no_fully_connected_layer():
    """A fully connected layer prepares its matrix once."""
    m = Maker((6, 8))
    matrix = m.op("transpose2", {"X": "x"}, (8, 6), axis=(1, 0))
    m.extra("XShape", dims=(0, 6, 8))
    y = m.op("matmul_v2", {"X": "x", "Y": matrix}, (6, 6), trans_x=False, trans_y=False)
    model = m.model(m.binary("add", y, m.param(6)))
    assert types(lowered(model)) == ["transpose2", "matmul_v2", "elementwise_add"]


def test_a_sum_along_the_rows_is_no_bias_of_a_product():
    m = Maker((-1, 8, 8))
    y = m.op("matmul_v2", {"X": "x", "Y": m.param(8, 8)}, (-1, 8, 8), trans_x=False, trans_y=False)
    model = m.model(m.binary("add", y, m.param(8), axis=1))
    assert types(lowered(model)) == ["matmul_v2", "elementwise_add"]


@pytest.mark.parametrize("kind", ["hard_swish", "hard_sigmoid"])
def test_a_transposed_convolution_keeps_apart_what_opt_ends_on(kind):
    m = Maker()
    y = m.bias(m.conv("x", 8, 2, "conv2d_transpose", stride=2))
    attrs = {name: float(value) for name, (_, value) in ATTRIBUTES[kind].items()}
    model = m.model(m.op(kind, {"X": y}, None, **attrs))
    for place in ("arm", "opencl", "x86"):
        assert types(lowered(model, Target(place))) == ["conv2d_transpose", kind]


@pytest.mark.parametrize("kind", ["add", "sub", "mul"])
def test_a_constant_operand_in_half_precision_is_one_that_the_runtime_turns_into_halves(kind):
    """Paddle Lite does so for the plain operators alone; opt fuses them with a relu, and floats are read as halves."""
    m = Maker()
    model = m.model(m.op("relu", {"X": m.binary(kind, "x", m.param(1))}, None))
    assert types(lowered(model)) == [f"fusion_elementwise_{kind}_activation"]
    found = lowered(model, Target(fp16=True))
    assert types(found) == [f"elementwise_{kind}", "relu"]
    assert next(op for op in found.ops if op.type == f"elementwise_{kind}").attr("w0_fp16") == "fp16"


def test_the_sum_of_a_convolution_with_itself_is_no_second_input():
    m = Maker()
    y = m.op("relu", {"X": m.bias(m.conv("x", 8))}, None)
    assert types(lowered(m.model(m.binary("add", y, y)), Target("opencl"))) == ["conv2d", "elementwise_add"]


def test_readers_with_different_scales_do_not_take_one_int8_tensor():
    """opt lets the convolution in front write int8 at the scale of one of them."""
    m = Maker()
    y = m.conv("x", 8)
    model = m.model(m.conv(y, 8, 3), m.conv(y, 8, 5))
    quantised = in_int8(model, np.random.default_rng(1), 1.1)
    other = dict(quantised.params) | {f"{y}.int8.1.scale": np.array([9.0], np.float32)}
    assert types(lowered(quantised))
    one_scale = next(op for op in lowered(quantised).ops if op.outputs.get("Output") and op.type == "conv2d")
    assert one_scale.kernel.alias == "int8_out"
    split = _own_pair_for_the_last(Model(quantised.program, other), y)
    first = next(op for op in lowered(split).ops if op.type == "conv2d")
    assert first.kernel.alias == "fp32_out"
    scales = [op.attr("scale") for op in lowered(split).ops if op.type == "calib"]
    assert len(set(scales)) == 3


def _own_pair_for_the_last(model: Model, source: str) -> Model:
    """Give the last reader of a quantised tensor a pair of its own with twice the limit."""
    ops = list(model.program.main.ops)
    last = max(at for at, op in enumerate(ops) if op.type == "conv2d")
    shared = ops[last].input("Input")
    pair = [op for op in ops if op.output_names and op.output_names[0] in (shared, f"{shared}.q")]
    names = {shared: f"{shared}.own", f"{shared}.q": f"{shared}.own.q", f"{shared}.scale": f"{shared}.own.scale"}
    ops[last:last] = [op.renamed(names) for op in pair]
    ops[last + len(pair)] = ops[last + len(pair)].with_input("Input", names[shared])
    variables = [Var(names[name], data_type=VarType.FP32) for name in (shared, f"{shared}.q")]
    block = model.program.main.with_ops(ops).with_vars(*variables)
    changed_model = Model(model.program.with_main(block), model.params)
    return changed_model.with_param(names[f"{shared}.scale"], model.params[f"{shared}.scale"] * 2)


@pytest.mark.parametrize("seed", range(20, 26))
@pytest.mark.parametrize("place", ["arm", "opencl"])
def test_the_operators_compute_what_the_program_says(seed, place):
    """By two ways that share nothing: the program in float64, and the file's translation run by ONNX Runtime."""
    model = _known_program(seed)
    x = np.random.default_rng(seed).standard_normal((1, 8, 16, 16)).astype(np.float32) * 0.3
    wanted = run_float64(model, x)
    found = run_onnx(read_nb(write_nb(lowered(model, Target(place)))), x)
    assert np.abs(found - wanted).max() <= 1e-4 * max(1.0, np.abs(wanted).max())


def _known_program(seed: int) -> Model:
    """Return a chain with every fusion, of operators that both ways know."""
    random = np.random.default_rng(seed)
    m = Maker(IMAGE, seed)
    acts = {"relu": {}, "sigmoid": {}, "hard_swish": {"threshold": 6.0, "scale": 6.0, "offset": 3.0}}
    y = "x"
    for _ in range(6):
        before = y
        y = m.bias(m.conv(y, 8, int(random.choice([1, 3]))))
        for kind in random.permutation(list(acts))[: int(random.integers(3))]:
            y = m.op(str(kind), {"X": y}, None, **acts[str(kind)])
        ends = (before, y) if random.random() < 0.5 else (y, before)
        y = m.binary(str(random.choice(["add", "mul"])), *ends)
        if random.random() < 0.5:
            y = m.op("relu", {"X": y}, None)
    return m.model(y)


# --- what is refused, by name


def refused(model: Model, target: Target | None = None) -> str:
    with pytest.raises(LowerError) as caught:
        lowered(model, target)
    assert caught.value.hint
    return caught.value.what


def with_op(kind: str, dims=IMAGE, **attrs) -> Model:
    m = Maker(dims)
    return m.model(m.op(kind, {"X": "x"}, None, **attrs))


def test_an_operator_without_a_known_kernel():
    assert refused(with_op("lgamma")) == "operator 1 (lgamma): no kernel of Paddle Lite 2.14rc0 is known for it"


def test_an_operator_that_the_place_lacks():
    model = ONE_OP["affine_channel"]()
    assert refused(model, Target("x86")) == (
        "operator 1 (affine_channel): Paddle Lite 2.14rc0 has no kernel for it on x86"
    )


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("dropout", "it is a training operator"),
        ("fake_quantize_abs_max", "quantised by an old PaddleSlim"),
        ("shape", "it computes a shape"),
        ("fill_constant", "it computes a shape"),
        ("cast", "it computes a shape"),
    ],
)
def test_what_the_passes_should_have_taken_away(kind, why):
    assert why in refused(with_op(kind))


def test_tensors_of_other_types_than_float():
    m = Maker()
    y = m.op("relu", {"X": "x"}, None)
    m.types[y] = VarType.INT64
    assert refused(m.model(y)) == (
        "operator 1 (relu): its argument 'v1' is of INT64, and only float32 tensors are supported"
    )


def test_control_flow():
    model = ONE_OP["relu"]()
    program = dataclasses.replace(model.program, blocks=model.program.blocks * 2)
    assert "2 blocks" in refused(Model(program, model.params))


def test_a_variable_written_twice():
    m = Maker()
    y = m.op("relu", {"X": "x"}, None)
    m.ops.append(Op("tanh", {"X": ("x",)}, {"Out": (y,)}))
    assert refused(m.model(y)) == "operator 1 (relu): it writes 'v1', which another operator writes too"


def test_operators_that_wait_for_each_other():
    m = Maker()
    a = m.op("relu", {"X": "x"}, None)
    b = m.op("relu", {"X": a}, None)
    m.ops[0] = m.ops[0].with_input("X", b)
    assert "depends on its own output" in refused(m.model(b))


def test_an_argument_that_is_not_declared():
    m = Maker()
    y = m.op("relu", {"X": "x"}, None)
    m.ops[0] = m.ops[0].with_input("X", "nowhere")
    assert refused(m.model(y)) == "operator 1 (relu): its argument 'nowhere' is no declared tensor"


@pytest.mark.parametrize("kind", [PaddleType.BLOCK, PaddleType.VAR, PaddleType.SCALAR, 99])
def test_an_attribute_of_a_type_without_a_place_in_a_file(kind):
    model = changed(ONE_OP["relu"](), "relu", lambda op: dataclasses.replace(op, attrs={"odd": Attr(kind, 1)}))
    assert refused(model) == f"operator 1 (relu): its attribute 'odd' has the type {int(kind)}, which is not supported"


def test_images_in_another_order_of_sides():
    model = changed(ONE_OP["conv2d"](), "conv2d", lambda op: op.with_attr("data_format", "NHWC"))
    assert "its layout is NHWC" in refused(model)


def test_a_relu6_that_clips_elsewhere():
    assert "clips at 6, not at 4" in refused(with_op("relu6", threshold=4.0))


def test_products_of_batches_that_differ():
    m = Maker((4, 6, 8))
    other = m.op("slice", {"Input": "x"}, (1, 6, 8), axes=(0,), starts=(0,), ends=(1,))
    model = m.model(m.op("matmul_v2", {"X": "x", "Y": other}, (4, 6, 6), trans_x=False, trans_y=True))
    assert "its leading dimensions [4] and [1] differ" in refused(model)


def test_more_sides_than_a_gpu_has():
    m = Maker((-1, 2, 2, 2, 2))
    assert "at most four sides" in refused(m.model(m.op("relu", {"X": "x"}, None)), Target("opencl"))


def test_a_second_input_in_half_precision_beside_opencl():
    m = Maker()
    model = m.model(m.binary("add", "x", m.conv(m.op("tanh", {"X": "x"}, None), 8)))
    assert types(lowered(model, Target("opencl"))) == ["tanh", "conv2d"]
    assert "second input" in refused(model, Target("opencl", fp16=True))


def test_a_quantised_input_of_anything_but_a_convolution():
    quantised = in_int8(ONE_OP["conv2d"](), np.random.default_rng(0), 1.1)
    m = changed(
        quantised, "conv2d", lambda op: Op("relu", {"X": op.inputs["Input"]}, {"Out": op.outputs["Output"]}, {})
    )
    assert "reads a quantised tensor" in refused(m)


def test_a_scale_that_is_computed():
    quantised = in_int8(ONE_OP["conv2d"](), np.random.default_rng(0), 1.1)
    odd = changed(quantised, "quantize_linear", lambda op: op.with_input("Scale", "x"))
    assert "its scale is no parameter" in refused(odd)


def test_a_quantised_convolution_with_a_bias_of_its_own():
    quantised = in_int8(ONE_OP["conv2d"](), np.random.default_rng(0), 1.1).with_param("b", np.zeros(8, np.float32))
    assert "already has a bias" in refused(changed(quantised, "conv2d", lambda op: op.with_input("Bias", "b")))


def test_weights_as_integers_that_two_operators_read():
    m = Maker()
    w = m.param(8, 8, 1, 1)
    attrs = dict(m.ops[0].attrs) if m.ops else {}
    first = m.conv("x", 8)
    m.ops[-1] = m.ops[-1].with_input("Filter", w)
    second = m.conv(m.op("relu", {"X": first}, None), 8)
    m.ops[-1] = m.ops[-1].with_input("Filter", w)
    assert not attrs
    assert "other operators read them too" in refused(m.model(second), Target(weight_bits=8))


def test_a_missing_input_and_two_where_one_belongs():
    bare = changed(ONE_OP["conv2d"](), "conv2d", lambda op: dataclasses.replace(op, inputs={"Input": ("x",)}))
    assert "reads 0 variables at Filter" in refused(bare)
    m = Maker()
    y = m.op("relu", {"X": m.conv("x", 8)}, None)
    m.ops[-1] = m.ops[-1].with_input("X", "x", "x")
    assert "reads 2 variables at X" in refused(m.model(y))


def test_a_release_that_is_not_known():
    with pytest.raises(Exception, match=r"no kernels are known of Paddle Lite 2\.11"):
        Target(runtime="2.11")


def test_a_variable_of_a_type_that_paddle_lite_lacks():
    m = Maker(TOKENS)
    y = m.op("relu", {"X": "x"}, None)
    m.types[y] = VarType.BF16
    assert "element type 22" in refused(m.model(y))


def test_a_name_that_the_missing_output_would_take():
    model = ONE_OP["reshape2"]()
    bare = Model(model.program.with_ops(_bare(op) for op in model.program.main.ops), model.params)
    taken = bare.program.main.with_vars(Var("v1.XShape.pad", data_type=VarType.FP32, dims=(1,)))
    assert "is taken" in refused(Model(bare.program.with_main(taken), bare.params))


def test_a_filter_that_is_computed():
    m = Maker()
    weights = m.op("relu", {"X": "x"}, None)
    y = m.conv("x", 8)
    m.ops[-1] = m.ops[-1].with_input("Filter", weights)
    assert f"its filter {weights!r} is no parameter with four dimensions" in refused(m.model(y))


def test_an_operator_that_reads_nothing():
    model = changed(ONE_OP["relu"](), "relu", lambda op: dataclasses.replace(op, inputs={"X": ()}))
    assert "it reads or writes nothing" in refused(model)


def test_an_operator_that_says_it_is_quantised():
    model = changed(ONE_OP["conv2d"](), "conv2d", lambda op: op.with_attr("enable_int8", True))
    assert "it is marked as int8 already" in refused(model)


def test_an_operator_that_writes_a_parameter():
    model = changed(ONE_OP["conv2d"](), "conv2d", lambda op: op.with_output("Output", "w0"))
    assert "it writes the parameter 'w0'" in refused(model)


@pytest.mark.parametrize("dtype", [np.float16, np.int64, np.int8])
def test_a_parameter_of_another_type(dtype):
    model = ONE_OP["conv2d"]()
    other = Model(model.program, {"w0": model.params["w0"].astype(dtype)})
    assert f"its parameter 'w0' is of {np.dtype(dtype).name}" in refused(other)


def test_a_number_beyond_its_type():
    model = changed(ONE_OP["conv2d"](), "conv2d", lambda op: op.with_attr("groups", 1 << 31, PaddleType.INT))
    assert "its attribute 'groups' holds a number that its type cannot" in refused(model)


def test_a_name_that_is_no_text():
    model = ONE_OP["relu"]()
    odd = model.program.main.with_vars(Var("\udc80", data_type=VarType.FP32, dims=(1,)))
    assert "is not in UTF-8" in refused(Model(model.program.with_main(odd), model.params))


def test_a_parameter_that_is_read_in_both_precisions():
    m = Maker((-1, 8))
    w = m.param(8)
    y = m.binary("mul", "x", w)
    m.op("layer_norm", {"X": y, "Scale": w, "Bias": m.param(8)}, None, "Y", epsilon=1e-5, begin_norm_axis=1)
    model = m.model(m.ops[-1].output("Y"))
    assert "'w0' becomes fp16, and layer_norm reads it as floats" in refused(model, Target(fp16=True))
    assert lowered(model)


def test_weights_of_sizes_that_no_scale_fits():
    m = Maker((6, 8))
    y = m.op("mul", {"X": "x", "Y": m.param(8, 2, 2)}, (6, 4), x_num_col_dims=1, y_num_col_dims=1)
    assert "of the sizes [8, 2, 2] cannot be held as integers" in refused(m.model(y), Target(weight_bits=8))


def test_damaged_programs_end_in_a_file_or_in_an_error_that_names_the_fault():
    sound = sound_programs()
    kinds = sorted({op.type for model in sound for op in model.program.main.ops})
    chance, ends = random.Random(5), Counter()
    with np.errstate(all="ignore"):
        for _ in range(400):
            model = damaged(chance.choice(sound), chance, kinds)
            try:
                write_nb(lowered(model, chance.choice([target for target, _ in TARGETS.values()])))
                ends["written"] += 1
            except KitError as error:
                ends[type(error).__name__] += 1
    assert ends.keys() <= {"written", "LowerError", "NbError"}
    assert ends["LowerError"] > 100
    assert ends["written"] > 50
