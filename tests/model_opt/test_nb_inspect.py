"""The summary of a ``.nb`` file, and the guards against the wrong engine and the wrong version."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tests.model_opt.nb_writer as nw
from model_opt.nb import (
    NbError,
    guard_place,
    guard_version,
    inspect_nb,
    normalise_version,
    place_of,
    precision_of,
    read_nb,
)

ARM, ARM_FP16, ARM_INT8, X86, OPENCL = "4/1/1", "4/5/1", "4/2/1", "2/1/1", "5/5/4"


def model_on(*places: str, attrs: dict[str, object] | None = None, op_type: str = "relu"):
    ops = [nw.feed("v0")]
    for number, place in enumerate(places):
        ops.append(nw.Op(op_type, {"X": [f"v{number}"]}, {"Out": [f"v{number + 1}"]}, attrs or {}, place))
    return read_nb(nw.nb_bytes([*ops, nw.fetch(f"v{len(places)}")]))


@pytest.mark.parametrize(
    ("places", "place"),
    [
        ([ARM, "1/4/2"], "arm"),
        ([X86], "x86"),
        ([OPENCL, ARM], "opencl"),
        (["1/1/1"], "host"),
        ([ARM, X86], "arm+x86"),
        (["17/1/1"], "metal"),
        (["23/1/1"], "unknown(23)"),
    ],
)
def test_the_place_is_that_of_the_kernels(places: list[str], place: str):
    assert place_of(model_on(*places)) == place


def test_the_precision_is_that_of_kernels_and_weights():
    weight8 = {"quantization_type": "post_weight_channel_wise_abs_max", "quantize_weight_bits": 8}
    weight16 = weight8 | {"quantize_weight_bits": 16}
    assert precision_of(model_on(ARM)) == "fp32"
    assert precision_of(model_on(ARM, ARM_FP16)) == "fp16"
    assert precision_of(model_on(ARM_INT8)) == "static_int8"
    assert precision_of(model_on(ARM, attrs=weight8)) == "weight_int8"
    assert precision_of(model_on(ARM, attrs=weight16)) == "weight_int16"
    assert precision_of(model_on(ARM_FP16, attrs=weight8)) == "fp16+weight_int8"


@pytest.mark.parametrize(
    ("place", "wanted"), [(ARM, "arm"), (ARM, "opencl"), (X86, "x86"), (OPENCL, "opencl"), ("1/1/1", "x86")]
)
def test_a_model_in_its_place_passes(place: str, wanted: str):
    guard_place(model_on(place), wanted)


@pytest.mark.parametrize(("place", "wanted"), [(ARM, "x86"), (X86, "arm"), (X86, "opencl"), (OPENCL, "arm")])
def test_a_model_in_the_wrong_place_is_refused_with_the_remedy(place: str, wanted: str):
    model = model_on(place)
    with pytest.raises(NbError) as caught:
        guard_place(model, wanted)
    assert (caught.value.expected, caught.value.found) == (wanted, place_of(model))
    assert f"convert the model for {wanted}" in str(caught.value.hint)
    assert "relu" in caught.value.what


def test_one_foreign_kernel_is_enough_to_refuse():
    with pytest.raises(NbError, match="1 operators use kernels"):
        guard_place(model_on(ARM, ARM, X86), "arm")


def test_an_unknown_place_to_guard_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="wanted must be one of"):
        guard_place(model_on(ARM), "arm64")


def test_versions_agree_in_either_spelling():
    assert normalise_version("v2.14-rc") == normalise_version("2.14rc0") == "2.14rc0"
    assert normalise_version("2.13rc1") != normalise_version("v2.13-rc")
    assert normalise_version("v2.12") == "2.12" != normalise_version("v2.12-rc")
    assert normalise_version("f4e1a0c") == "f4e1a0c"
    guard_version(model_on(ARM), "2.14rc0")
    with pytest.raises(NbError, match=r"v2\.14-rc, the kit is pinned to 2\.13rc0") as caught:
        guard_version(model_on(ARM), "2.13rc0")
    assert "convert the model again" in str(caught.value.hint)


def codes(model, pinned: str | None = None) -> set[str]:
    return {warning.code for warning in inspect_nb(model, pinned_opt=pinned).warnings}


def test_a_plain_arm_file_has_no_warnings():
    assert codes(model_on(ARM), "2.14rc0") == set()


def test_each_risk_has_its_warning():
    weight8 = {"quantization_type": "post_weight_channel_wise_abs_max", "quantize_weight_bits": 8}
    assert codes(model_on(ARM), "2.13rc0") == {"opt_version"}
    assert codes(model_on(X86)) == {"place_x86"}
    assert codes(model_on(X86, attrs=weight8)) == {"place_x86", "weights_stay_integers"}
    assert codes(model_on(ARM_FP16)) == {"fp16_needs_armv82"}
    kept = {"fp16_needs_armv82", "fp16_weight_only", "weights_stay_integers"}
    assert codes(model_on(ARM_FP16, attrs=weight8)) == kept
    assert codes(model_on(ARM_INT8)) == {"int8_activations"}
    assert codes(model_on("23/1/1")) == {"unknown_kernel", "place"}
    assert codes(model_on("4/77/1")) == {"unknown_kernel"}
    assert codes(model_on(*[OPENCL] * 17, op_type="io_copy")) == {"io_copy"}
    assert codes(model_on(*[OPENCL] * 16, op_type="io_copy")) == set()


def test_an_operator_without_a_kernel_is_a_warning():
    model = read_nb(nw.nb_bytes([nw.feed("x"), nw.Op("relu", {"X": ["x"]}, {"Out": ["y"]}, place=None), nw.fetch("y")]))
    assert codes(model) == {"no_kernel"}


def test_nan_in_a_parameter_is_a_warning():
    ops = [nw.feed("x"), nw.Op("scale", {"X": ["x"], "Y": ["w"]}, {"Out": ["y"]}), nw.fetch("y")]
    assert codes(read_nb(nw.nb_bytes(ops, {"w": np.array([1, np.nan], np.float32)}))) == {"non_finite_parameters"}


def test_inputs_and_outputs_stand_in_the_order_of_their_columns():
    ops = [
        nw.feed("late", 1),
        nw.feed("early", 0),
        nw.Op("add", {"X": ["early"], "Y": ["late"]}, {"Out": ["y", "z"]}),
        nw.fetch("z", 1),
        nw.fetch("y", 0),
    ]
    summary = inspect_nb(read_nb(nw.nb_bytes(ops, shapes={"early": (-1, 3)})))
    assert [(tensor.name, tensor.shape) for tensor in summary.inputs] == [("early", (-1, 3)), ("late", None)]
    assert [tensor.name for tensor in summary.outputs] == ["y", "z"]


def test_the_summary_is_json_and_counts_add_up():
    summary = inspect_nb(read_nb(nw.small_model()), pinned_opt="2.14rc0")
    data = json.loads(json.dumps(summary.to_json()))
    assert data["ops"] == sum(data["op_histogram"].values()) == sum(data["kernels"].values()) == 4
    assert data["params"] == [{"type": "fp32", "count": 1, "bytes": 24}]
    assert data["param_bytes"] == 24
    assert data["inputs"] == [{"name": "x", "shape": [-1, 6], "type": "fp32"}]
    assert (data["place"], data["precision"], data["canonical"]) == ("arm", "fp32", True)
    assert data["bytes"] == len(nw.small_model())


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "precision", "ops", "calib"),
    [
        ("det_fp32", "fp32", 243, 0),
        ("rec_fp32", "fp32", 266, 0),
        ("det_fp16", "fp16", 245, 2),
        ("det_weight_int8", "weight_int8", 243, 0),
        ("rec_weight_int8", "weight_int8", 266, 0),
        ("det_static_int8", "static_int8", 290, 47),
    ],
)
def test_real_files_are_summed_up_as_known(shared_dir, name: str, precision: str, ops: int, calib: int):
    model = read_nb(shared_dir / "lite_golden" / f"{name}.nb")
    summary = inspect_nb(model, pinned_opt="2.12")
    assert (summary.place, summary.precision, summary.ops, summary.calib) == ("arm", precision, ops, calib)
    assert summary.inputs[0].name == "x"
    assert summary.param_bytes < summary.bytes == model.nbytes
    guard_version(model, "v2.12")
    with pytest.raises(NbError):
        guard_place(model, "x86")
