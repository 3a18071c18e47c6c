"""Paddle models: what is read is written back, Paddle agrees, and damage is a named fault."""

from __future__ import annotations

import dataclasses
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_opt.paddle_model import PaddleModelError, output_classes, read_model, read_program, write_model
from model_opt.paddle_model.messages import message_classes
from model_opt.paddle_model.params import decode_params, encode_params
from model_opt.paddle_model.proto import decode_program, encode_program
from model_opt.program import Attr, AttrType, Block, Model, Op, Program, Var, VarType, attr_of

REAL = ("mobile_det", "mobile_rec", "mobile_cls")


@pytest.fixture(params=REAL)
def real(request):
    """The files of one pinned model."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def framework_pb2():
    """Paddle's own message classes: the judge of what is written here."""
    import cv2  # noqa: F401  paddle first makes cv2 crash on its first PNG

    return pytest.importorskip("paddle.base.proto.framework_pb2")


def small_model() -> Model:
    """``y = swish(x * w)`` with one parameter, made by hand."""
    variables = (
        Var("feed", kind=VarType.FEED_MINIBATCH, persistable=True),
        Var("fetch", kind=VarType.FETCH_LIST, persistable=True),
        Var("x", data_type=VarType.FP32, dims=(-1, 6), lod_level=0, need_check_feed=True),
        Var("m", data_type=VarType.FP32, dims=(-1, 6), stop_gradient=False),
        Var("y", data_type=VarType.FP32, dims=(-1, 6)),
    )
    ops = (
        Op("feed", {"X": ("feed",)}, {"Out": ("x",)}, {"col": attr_of(0)}),
        Op("elementwise_mul", {"X": ("x",), "Y": ("w",)}, {"Out": ("m",)}, {"axis": attr_of(-1)}),
        Op("swish", {"X": ("m",)}, {"Out": ("y",)}),
        Op("fetch", {"X": ("y",)}, {"Out": ("fetch",)}, {"col": attr_of(0)}),
    )
    model = Model(Program((Block(0, -1, variables, ops, -1),), version=2006002), {})
    return model.with_param("w", np.arange(6, dtype=np.float32).reshape(1, 6))


def written(model: Model, folder: Path) -> tuple[Path, Path]:
    """Write a model; return its two files."""
    files = folder / "m.pdmodel", folder / "m.pdiparams"
    write_model(model, *files)
    return files


def varint(value: int) -> bytes:
    """Encode a small number as protocol buffers do, written apart from the code under test."""
    out = b""
    while value > 127:
        out += bytes([value % 128 + 128])
        value //= 128
    return out + bytes([value])


def test_a_written_model_is_read_back(tmp_path):
    model = small_model()
    again = read_model(*written(model, tmp_path))
    assert again.program == model.program
    np.testing.assert_array_equal(again.params["w"], model.params["w"])
    assert {path.name for path in tmp_path.iterdir()} == {"m.pdmodel", "m.pdiparams"}


def test_real_models_round_trip_byte_for_byte(real, tmp_path):
    pdmodel, pdiparams = written(read_model(real.program_file, real.params_file), tmp_path)
    assert pdiparams.read_bytes() == real.params_file.read_bytes()
    assert pdmodel.read_bytes() == real.program_file.read_bytes()


def test_paddle_reads_the_same_program_from_what_is_written(real, tmp_path, framework_pb2):
    """Field by field, against Paddle's own message: every operator, argument, attribute and variable."""
    message = framework_pb2.ProgramDesc.FromString(real.program_file.read_bytes())
    program = read_program(real.program_file)
    assert len(message.blocks) == len(program.blocks) == 1
    fields = {0: "i", 1: "f", 2: "s", 3: "ints", 4: "floats", 5: "strings", 6: "b", 7: "bools", 8: "block_idx"}
    fields |= {9: "l", 10: "blocks_idx", 11: "longs", 12: "float64s", 15: "float64"}
    compared = 0
    for theirs, ours in zip(message.blocks[0].ops, program.main.ops, strict=True):
        assert theirs.type == ours.type
        assert {v.parameter: tuple(v.arguments) for v in theirs.inputs} == ours.inputs
        assert {v.parameter: tuple(v.arguments) for v in theirs.outputs} == ours.outputs
        for attr in theirs.attrs:
            value = getattr(attr, fields[attr.type])
            value = value if isinstance(value, (int, float, str)) else tuple(value)
            assert ours.attr(attr.name) == value
            assert ours.attrs[attr.name].type == attr.type
            compared += 1
    assert compared > 2000
    for var in message.blocks[0].vars:
        ours_var = program.main.var(var.name)
        assert (ours_var.kind, bool(ours_var.persistable)) == (var.type.type, var.persistable)
        if var.type.type == VarType.LOD_TENSOR:
            tensor = var.type.dense_tensor.tensor
            assert (ours_var.data_type, ours_var.dims) == (tensor.data_type, tuple(tensor.dims))


def test_a_model_made_by_hand_is_a_message_to_paddle(tmp_path, framework_pb2):
    pdmodel, _ = written(small_model(), tmp_path)
    message = framework_pb2.ProgramDesc.FromString(pdmodel.read_bytes())
    assert message.IsInitialized()
    assert message.version.version == 2006002
    assert [op.type for op in message.blocks[0].ops] == ["feed", "elementwise_mul", "swish", "fetch"]
    assert message.blocks[0].ops[1].attrs[0].i == -1
    assert message.SerializeToString() == pdmodel.read_bytes()


def test_both_message_sets_live_in_one_process():
    """Paddle registers its names in protobuf's default pool; this room must not, whoever comes first."""
    ours = "from model_opt.paddle_model.proto import encode_tensor; ours = encode_tensor(5, (2, -1))"
    theirs = "import cv2; from paddle.base.proto.framework_pb2 import VarType"
    check = "import sys; sys.exit(VarType.TensorDesc(data_type=5, dims=[2, -1]).SerializeToString() != ours)"
    for order in ((ours, theirs), (theirs, ours)):
        subprocess.run([sys.executable, "-c", "\n".join((*order, check))], check=True, capture_output=True)


def test_another_name_in_the_table_breaks_no_other_table():
    """Two tables may use the same names: each has a pool of its own."""
    first = message_classes({"Part": {"size": (1, "optional", "int64")}})["Part"]
    second = message_classes({"Part": {"size": (1, "optional", "bytes")}})["Part"]
    assert first(size=3).SerializeToString() == b"\x08\x03"
    assert second(size=b"3").SerializeToString() == b"\x0a\x013"


def test_importing_the_room_needs_neither_paddle_nor_protobuf():
    code = (
        "import sys, model_opt.paddle_model, model_opt.nb;"
        "sys.exit(any(n.split('.')[0] in ('paddle', 'google', 'flatbuffers') for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def predict(pdmodel: Path, pdiparams: Path, image: np.ndarray) -> np.ndarray:
    """Run a model on Paddle Inference, one thread."""
    import cv2  # noqa: F401
    from paddle import inference

    config = inference.Config(str(pdmodel), str(pdiparams))
    config.disable_gpu()
    config.disable_glog_info()
    config.set_cpu_math_library_num_threads(1)
    predictor = inference.create_predictor(config)
    handle = predictor.get_input_handle(predictor.get_input_names()[0])
    handle.copy_from_cpu(image)
    predictor.run()
    return np.array(predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu())


@pytest.mark.parametrize(
    ("name", "shape"),
    [("mobile_det", (1, 3, 96, 128)), ("mobile_rec", (1, 3, 48, 320)), ("mobile_cls", (1, 3, 48, 192))],
)
def test_paddle_inference_answers_the_same_bits(request, tmp_path, name: str, shape: tuple[int, ...]):
    """The original against a rewritten model whose bytes differ: the variables reversed."""
    pytest.importorskip("paddle.inference")
    files = request.getfixturevalue(name)
    model = read_model(files.program_file, files.params_file)
    main = dataclasses.replace(model.program.main, vars=model.program.main.vars[::-1])
    pdmodel, pdiparams = written(model.with_program(model.program.with_main(main)), tmp_path)
    assert pdmodel.read_bytes() != files.program_file.read_bytes()
    image = np.random.default_rng(5).standard_normal(shape).astype(np.float32)
    before = predict(files.program_file, files.params_file, image)
    after = predict(pdmodel, pdiparams, image)
    assert np.isfinite(before).all()
    assert before.tobytes() == after.tobytes()


def test_a_changed_parameter_changes_the_answer(mobile_cls, tmp_path):
    """The comparison above can fail: a model with one weight changed does not answer the same."""
    pytest.importorskip("paddle.inference")
    model = read_model(mobile_cls.program_file, mobile_cls.params_file)
    name = next(name for name in model.params if name.startswith("conv"))
    files = written(model.with_param(name, model.params[name] * np.float32(1.5)), tmp_path)
    image = np.random.default_rng(5).standard_normal((1, 3, 48, 192)).astype(np.float32)
    assert predict(mobile_cls.program_file, mobile_cls.params_file, image).tobytes() != predict(*files, image).tobytes()


def test_classes_of_the_real_models(mobile_det, mobile_rec, mobile_cls):
    assert output_classes(read_program(mobile_rec.program_file)) == 6625
    assert output_classes(read_program(mobile_cls.program_file)) == 2
    assert output_classes(read_program(mobile_det.program_file)) is None


def test_classes_are_those_of_the_first_column():
    program = small_model().program
    assert output_classes(program) == 6
    assert output_classes(program.with_ops(program.main.ops[:-1])) is None
    second = program.main.ops[-1].with_attr("col", 1)
    assert output_classes(program.with_ops([*program.main.ops[:-1], second])) is None


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, AttrType.BOOLEAN),
        (3, AttrType.INT),
        (1 << 40, AttrType.LONG),
        (0.5, AttrType.FLOAT),
        ("中", AttrType.STRING),
        ((True, False), AttrType.BOOLEANS),
        ((1, -2), AttrType.INTS),
        ((1, -(1 << 40)), AttrType.LONGS),
        ((1, 0.5), AttrType.FLOATS),
        (("a", ""), AttrType.STRINGS),
    ],
)
def test_an_attribute_takes_its_type_from_the_value_and_survives(tmp_path, value, kind: AttrType):
    model = small_model()
    op = model.program.main.ops[2].with_attr("new", value)
    assert op.attrs["new"].type is kind
    files = written(model.with_program(model.program.with_ops([*model.program.main.ops, op])), tmp_path)
    back = read_program(files[0]).main.ops[-1].attrs["new"]
    assert (back.type, back.value) == (kind, value)


def test_a_set_attribute_keeps_the_type_it_had():
    op = Op("scale", {}, {}, {"bias": attr_of(1.0), "n": Attr(AttrType.LONG, 1)})
    assert op.with_attr("bias", 2).attrs["bias"] == Attr(AttrType.FLOAT, 2)
    assert op.with_attr("n", 2).attrs["n"].type == AttrType.LONG
    assert op.with_attr("n", 2, AttrType.INT).attrs["n"].type == AttrType.INT
    assert "bias" not in op.without_attr("bias").attrs


@pytest.mark.parametrize("value", [(1, "a"), None, b"x", (True, 1)])
def test_a_value_without_an_attribute_type_is_refused(value):
    with pytest.raises(TypeError, match="no attribute type"):
        attr_of(value)


@pytest.mark.parametrize(
    "attr",
    [
        Attr(AttrType.INT, 1 << 31),
        Attr(AttrType.INT, 0.5),
        Attr(AttrType.INT, (1, 2)),
        Attr(AttrType.LONG, 1 << 63),
        Attr(AttrType.STRING, 1),
        Attr(AttrType.FLOAT, "1"),
        Attr(AttrType.FLOAT, 1e39),
    ],
)
def test_a_value_that_does_not_fit_its_type_is_not_written(tmp_path, attr: Attr):
    model = small_model()
    op = dataclasses.replace(model.program.main.ops[2], attrs={"a": attr})
    with pytest.raises((TypeError, ValueError, OverflowError)):
        written(model.with_program(model.program.with_ops([op])), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_operators_are_edited_by_value():
    op = small_model().program.main.ops[1]
    assert (op.input("Y"), op.output("Out"), op.input_names, op.output_names) == ("w", "m", ("x", "w"), ("m",))
    renamed = op.renamed({"x": "z", "m": "n"})
    assert (renamed.input_names, renamed.output_names) == (("z", "w"), ("n",))
    assert op.with_input("X", "a", "b").inputs["X"] == ("a", "b")
    assert op.with_output("Out", "c").output("Out") == "c"
    assert op.input_names == ("x", "w")
    with pytest.raises(KeyError, match="elementwise_mul has 0 variables at Z"):
        op.input("Z")


def test_blocks_are_edited_by_value():
    block = small_model().program.main
    more = block.with_vars(Var("new"), dataclasses.replace(block.var("x"), dims=(1, 6)))
    assert more.var("x").dims == (1, 6)
    assert [var.name for var in more.vars] == [*(var.name for var in block.vars), "new"]
    assert more.without_vars(["new", "m"]).var_map().keys() == block.var_map().keys() - {"m"}
    with pytest.raises(KeyError):
        block.var("new")


def test_a_program_without_a_parameter_drops_its_array():
    model = small_model()
    program = model.program.with_main(model.program.main.without_vars(["w"]))
    assert model.with_program(program).params == {}


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64", "complex64"]
)
def test_every_parameter_type_survives(tmp_path, dtype: str):
    array = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    model = small_model().with_param("p", array).with_param("scalar", array[0, 1:2].reshape(()))
    again = read_model(*written(model, tmp_path))
    np.testing.assert_array_equal(again.params["p"], array)
    assert again.params["p"].dtype == array.dtype
    assert again.params["scalar"].shape == ()
    with pytest.raises(ValueError, match="read-only"):
        again.params["p"][0, 0] = 1


def test_a_parameter_of_a_type_that_paddle_lacks_is_refused():
    with pytest.raises(ValueError, match="which Paddle lacks"):
        small_model().with_param("p", np.zeros(2, "U4"))
    with pytest.raises(ValueError, match="which Paddle lacks"):
        small_model().with_param("p", np.zeros(2, ">f4"))


def test_a_parameter_is_not_changed_through_the_array_it_came_from():
    array = np.zeros(3, np.float32)
    model = small_model().with_param("p", array)
    array[0] = 1
    assert model.params["p"][0] == 0


NEW_FIELD = varint(99 << 3 | 2) + varint(5) + b"later"


def with_field_at_every_level(framework_pb2, data: bytes) -> bytes:
    """Return a program in which every message carries a field that no version of Paddle knows."""
    message = framework_pb2.ProgramDesc.FromString(data)
    block = message.blocks[0]
    op, var = block.ops[1], block.vars[2]
    for part in (var.type.dense_tensor.tensor, var.type.dense_tensor, var.type, var, op.inputs[0], op.outputs[0]):
        part.MergeFromString(NEW_FIELD)
    for part in (op.attrs[0], op, block, message.version, message):
        part.MergeFromString(NEW_FIELD)
    pair = message.op_version_map.pair.add()
    pair.op_name = "swish"
    pair.op_version.version = 3
    var.attrs.add(name="device", type=2).s = "cpu"
    op.attrs.add(name="exact", type=16).scalar.CopyFrom(framework_pb2.Scalar(type=2, i=1 << 40))
    return message.SerializeToString()


def test_unknown_fields_survive_at_every_level(tmp_path, framework_pb2):
    pdmodel, pdiparams = written(small_model(), tmp_path)
    data = with_field_at_every_level(framework_pb2, pdmodel.read_bytes())
    assert data.count(b"later") == 11
    pdmodel.write_bytes(data)
    model = read_model(pdmodel, pdiparams)
    edited = model.with_program(
        model.program.with_ops(op.renamed({"m": "m"}).with_attr("zz", 1) for op in model.program.main.ops)
    )
    write_model(edited, pdmodel, pdiparams)
    rewritten = framework_pb2.ProgramDesc.FromString(pdmodel.read_bytes())
    assert pdmodel.read_bytes().count(b"later") == 11
    for op in rewritten.blocks[0].ops:
        assert op.attrs[-1].name == "zz"
        del op.attrs[-1]
    assert rewritten == framework_pb2.ProgramDesc.FromString(data)
    assert read_program(pdmodel).main.ops[1].attrs["exact"].value is None


def test_new_numbers_of_attribute_and_variable_types_survive(tmp_path):
    model = small_model()
    op = dataclasses.replace(model.program.main.ops[2], attrs={"n": Attr(77, None, varint(40 << 3) + b"\x05")})
    block = model.program.main.with_ops([op]).with_vars(Var("v", kind=88))
    pdmodel, _ = written(model.with_program(model.program.with_main(block)), tmp_path)
    again = read_program(pdmodel)
    assert again.main.ops[0].attrs["n"] == op.attrs["n"]
    assert again.main.var("v").kind == 88


def test_text_that_is_no_utf8_survives(tmp_path, framework_pb2):
    pdmodel, _ = written(small_model(), tmp_path)
    data = pdmodel.read_bytes().replace(b"elementwise_mul", b"elementwise_\xff\xfe\xfd")
    pdmodel.write_bytes(data)
    model = small_model()
    written(model.with_program(read_program(pdmodel)), tmp_path)
    assert pdmodel.read_bytes() == data


def test_packed_numbers_are_read(tmp_path):
    """Later writers may pack repeated numbers; Paddle's own classes read both forms."""
    pdmodel, _ = written(small_model(), tmp_path)
    unpacked = b"\x10" + varint((1 << 64) - 1) + b"\x10\x06"
    packed = b"\x12" + varint(11) + varint((1 << 64) - 1) + b"\x06"
    assert len(packed) == len(unpacked)
    assert unpacked in pdmodel.read_bytes()
    pdmodel.write_bytes(pdmodel.read_bytes().replace(unpacked, packed))
    assert read_program(pdmodel).main.var("x").dims == (-1, 6)


def test_an_optional_field_of_another_wire_type_counts_as_unknown_and_a_required_one_as_absent():
    """The rule of protocol buffers, and so of Paddle."""
    program = small_model().program
    data = encode_program(program)
    version = b"\x22" + varint(4) + b"\x08" + varint(2006002)
    assert data.endswith(version)
    odd = data.removesuffix(version) + b"\x22\x02\x0a\x00"
    assert decode_program(odd, None) == dataclasses.replace(program, version=None, version_extra=b"\x0a\x00")
    assert encode_program(decode_program(odd, None)) == odd
    with pytest.raises(PaddleModelError, match=r"the field blocks\[0\].ops\[2\].type, found nothing"):
        decode_program(data.replace(b"\x1a\x05swish", b"\x18\x05\x38\x01\x3a\x01\x00"), None)


def test_a_number_beyond_32_bits_is_named_where_its_attribute_has_32():
    def with_long(kind: AttrType) -> bytes:
        op = small_model().program.main.ops[1].with_attr("axis", 1 << 40, AttrType.LONG)
        data = encode_program(small_model().program.with_ops([op]))
        number = varint(1 << 40)
        assert data.count(b"\x10\x09\x68" + number) == 1
        return data.replace(
            b"\x10\x09\x68" + number, bytes([0x10, kind, 0x18 if kind == AttrType.INT else 0x68]) + number
        )

    assert decode_program(with_long(AttrType.LONG), None).main.ops[0].attr("axis") == 1 << 40
    with pytest.raises(PaddleModelError, match=r"attribute 'axis': expected numbers of 32 bits, found 1099511627776"):
        decode_program(with_long(AttrType.INT), None)


def test_a_missing_file_a_folder_and_paddle_3_are_named(tmp_path):
    for path in (tmp_path, tmp_path / "none.pdmodel"):
        with pytest.raises(PaddleModelError, match="cannot read") as caught:
            read_program(path)
        assert caught.value.path == str(path)
    pir = tmp_path / "inference.json"
    pir.write_text('{"base_code": {"magic": "pir"}}')
    with pytest.raises(PaddleModelError, match="Paddle 3") as caught:
        read_program(pir)
    assert "inference.json" in str(caught.value.hint)


def test_parameters_of_another_model_are_refused(mobile_det, mobile_rec):
    with pytest.raises(PaddleModelError) as caught:
        read_model(mobile_det.program_file, mobile_rec.params_file)
    assert caught.value.path == str(mobile_rec.params_file)
    assert "another model" in str(caught.value.hint)
    assert caught.value.offset is not None
    assert caught.value.expected
    assert caught.value.found


def test_every_truncation_of_the_parameters_is_an_error(tmp_path):
    pdmodel, pdiparams = written(small_model(), tmp_path)
    data = pdiparams.read_bytes()
    for size in range(len(data)):
        pdiparams.write_bytes(data[:size])
        with pytest.raises(PaddleModelError) as caught:
            read_model(pdmodel, pdiparams)
        assert caught.value.path == str(pdiparams)
    pdiparams.write_bytes(data + b"\0")
    with pytest.raises(PaddleModelError, match="1 more bytes"):
        read_model(pdmodel, pdiparams)


def test_every_truncation_of_the_program_is_an_error(tmp_path):
    pdmodel, _ = written(small_model(), tmp_path)
    data = pdmodel.read_bytes()
    whole = set()
    for size in range(len(data)):
        pdmodel.write_bytes(data[:size])
        try:
            read_program(pdmodel)
        except PaddleModelError as error:
            assert error.path == str(pdmodel)  # noqa: PT017
        else:
            whole.add(size)
    version = 2 + len(varint(2006002)) + 1
    assert whole == {len(data) - version}, "only the cut in front of the last optional field is a program"


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ((1, 0, 0, 6), "version 0"),
        ((0, 1, 0, 6), "no LoD"),
        ((0, 0, 2, 6), "tensor version 0"),
        ((0, 0, 0, -1), "a description of at most"),
        ((0, 0, 0, 1 << 30), "a description of at most"),
        ((0, 0, 0, 0), "the field data_type"),
    ],
)
def test_a_damaged_head_of_a_parameter_is_named(tmp_path, head: tuple[int, ...], message: str):
    pdmodel, pdiparams = written(small_model(), tmp_path)
    pdiparams.write_bytes(struct.pack("<IQIi", *head) + pdiparams.read_bytes()[20:])
    with pytest.raises(PaddleModelError, match=message):
        read_model(pdmodel, pdiparams)


def test_a_huge_size_costs_no_memory(tmp_path):
    pdmodel, pdiparams = written(small_model(), tmp_path)
    description = b"\x08\x05" + (b"\x10" + varint(1 << 20)) * 2
    tracemalloc.start()
    for dims in (description, b"\x08\x05\x10\x00" + (b"\x10" + varint(1 << 30)) * 9):
        pdiparams.write_bytes(struct.pack("<IQIi", 0, 0, 0, len(dims)) + dims + b"\0" * 24)
        with pytest.raises(PaddleModelError):
            read_model(pdmodel, pdiparams)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_model_that_does_not_fit_itself_is_not_written(tmp_path):
    model = small_model()
    for params in ({}, {"w": model.params["w"][:, :5]}, {"w": model.params["w"].astype(np.float64)}):
        with pytest.raises(PaddleModelError) as caught:
            written(Model(model.program, params), tmp_path)
        assert "w" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(PaddleModelError, match="cannot write") as caught:
        written(small_model(), blocked)
    assert caught.value.path == str(blocked / "m.pdiparams")


SMALL_PROGRAM = encode_program(small_model().program)
SMALL_PARAMS = encode_params(small_model().params)
DAMAGE = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=4)


def damaged(data: bytes, changes: list[tuple[int, int]], cut: int) -> bytes:
    """Change some bytes, and cut the end off in one case of three."""
    out = bytearray(data)
    for at, value in changes:
        out[at % len(out)] = value
    return bytes(out[: cut % len(out)] if cut % 3 == 0 else out)


@settings(max_examples=1000, deadline=None)
@given(DAMAGE, st.integers(0, 1 << 20))
def test_a_damaged_program_is_a_typed_error_or_survives_a_round_trip(changes: list[tuple[int, int]], cut: int):
    try:
        program = decode_program(damaged(SMALL_PROGRAM, changes, cut), None)
    except PaddleModelError:
        return
    once = encode_program(program)
    assert encode_program(decode_program(once, None)) == once


@settings(max_examples=1000, deadline=None)
@given(DAMAGE, st.integers(0, 1 << 20))
def test_damaged_parameters_are_a_typed_error_or_whole(changes: list[tuple[int, int]], cut: int):
    try:
        params = decode_params(damaged(SMALL_PARAMS, changes, cut), small_model().program, None)
    except PaddleModelError:
        return
    assert params["w"].shape == (1, 6)
