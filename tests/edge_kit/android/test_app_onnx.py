"""The sizes that the app's ONNX files declare, and the refusal of a file that declares none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_kit.android.app_onnx import app_onnx, check_declared, declared_size
from edge_kit.android.errors import AndroidError
from edge_kit.spec.load import load_spec, profile
from model_opt.nb import read_nb
from model_opt.nb.compact_onnx import InputSize
from model_opt.nb.onnx_inputs import onnx_inputs
from model_opt.nb.to_onnx import to_onnx
from model_opt.nb.translate.proto import Graph, Node, encode_model


def small_onnx(*sides: int) -> bytes:
    """A file that copies its input of these sides."""
    graph = Graph((Node("Identity", ("x",), ("y",), {}),), {}, (("x", sides),), (("y", None),))
    return encode_model(graph, opset=17, ir_version=8, producer=("test", "1"))


def test_sizes_come_from_the_specification():
    rules = profile()
    assert declared_size("rec", rules) == InputSize(rules.recognition.height, rules.recognition.min_width)
    assert declared_size("cls", rules) == InputSize(rules.classifier.height, rules.classifier.width)
    for limit, side in ((960, 960), (1000, 992), (31, 32)):
        changed = replace(rules, detection=replace(rules.detection, limit_side_len=limit))
        assert declared_size("det", changed) == InputSize(side, side)


@pytest.mark.parametrize(("name", "by_rows"), [("pp-ocrv4", False), ("paddlex-v4", False), ("paddlex-3", True)])
def test_means_go_by_rows_where_images_are_read_at_their_own_size(shared_dir, name, by_rows):
    model, rules = read_nb(shared_dir / "lite_golden" / "det_fp32.nb"), profile(name)
    for limited in (rules, replace(rules, detection=rules.detection.limited_to(960))):
        made = app_onnx(model, "det", limited)
        assert (b"GlobalAveragePool_" in made, b"ReduceMean_" in made) == (not by_rows, by_rows)


@pytest.mark.parametrize("name", [row.name for row in load_spec().profiles])
def test_every_profile_gives_the_detector_a_multiple_of_its_step(name):
    rules = profile(name)
    assert declared_size("det", rules).height % rules.detection.side_multiple == 0


@pytest.mark.parametrize(("role", "shape"), [("det", (960, 960)), ("rec", (48, 320)), ("cls", (48, 192))])
def test_the_apps_files_declare_every_side_and_those_of_the_host_stay_open(shared_dir, role, shape):
    model = read_nb(shared_dir / "lite_golden" / f"{role}_fp32.nb")
    made = app_onnx(model, role)
    assert list(onnx_inputs(made).values()) == [(1, 3, *shape)]
    check_declared(made, f"{role}.onnx")
    with pytest.raises(AndroidError, match=r"declares the shape \[1, 3, (\?|48), \?\]") as caught:
        check_declared(to_onnx(model), f"{role}.onnx")
    assert caught.value.path == f"{role}.onnx"


def test_the_classifier_answers_bit_for_bit_as_with_an_open_size(shared_dir):
    import cv2

    model = read_nb(shared_dir / "lite_golden" / "cls_fp32.nb")
    given = np.random.default_rng(1).random((1, 3, 48, 192), dtype=np.float32)
    answers = []
    for data in (app_onnx(model, "cls"), to_onnx(model)):
        net = cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))
        net.setInput(given)
        answers.append(net.forward())
    assert np.array_equal(*answers)


@pytest.mark.parametrize("sides", [(1, 3, 48, 0), (1, 3, -1, 320), ()])
def test_a_side_that_is_not_above_zero_is_refused(sides):
    check_declared(small_onnx(1, 3, 48, 320), "det.onnx")
    with pytest.raises(AndroidError, match="declares the shape"):
        check_declared(small_onnx(*sides), "det.onnx")


@pytest.mark.parametrize("data", [b"", b"no model", small_onnx(1, 3, 48, 320)[:-9]])
def test_what_is_no_onnx_file_is_refused(data):
    with pytest.raises(AndroidError, match=r"not an ONNX file|no input"):
        check_declared(data, "det.onnx")
