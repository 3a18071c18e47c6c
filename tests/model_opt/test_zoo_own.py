"""A user's own model: what is taken, and what is said of everything else."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from model_opt.dictionary import DictionaryError
from model_opt.errors import KitError
from model_opt.fs import sha256_file
from model_opt.paddle_model import PaddleModelError, read_model, write_model
from model_opt.program import Model, Op
from model_opt.zoo import ZooError, check_model, check_operators, fetch, open_model, with_dictionary
from tests.model_opt.zoo_samples import CHARACTERS, model_bytes, sums_of, tar_bytes, write_dictionary, write_sample


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("EDGE_KIT_CACHE", str(folder))
    return folder


@pytest.fixture
def det(tmp_path: Path) -> Path:
    return write_sample(tmp_path / "my_det")


@pytest.fixture
def rec(tmp_path: Path) -> Path:
    return write_sample(tmp_path / "my_rec", "rec", input_shape=(-1, 3, 48, -1))


def test_a_folder_is_used_in_place(cache: Path, det: Path):
    files = open_model(det, "det")
    assert (files.name, files.kind, files.dictionary, files.classes) == ("my_det", "det", None, None)
    assert (files.program_file, files.params_file) == (det / "inference.pdmodel", det / "inference.pdiparams")
    assert (files.input_name, files.input_shape) == ("x", (-1, 3, -1, -1))
    assert files.sha256 == sums_of(det)
    assert not cache.exists()


@pytest.mark.parametrize(("suffix", "mode"), [(".tar", "w"), (".tar.gz", "w:gz"), (".tgz", "w:gz")])
def test_a_tar_is_unpacked_once_into_the_cache(cache: Path, tmp_path: Path, det: Path, suffix: str, mode: str):
    archive = tmp_path / f"packed{suffix}"
    archive.write_bytes(tar_bytes(model_bytes(det), top="my_det/", mode=mode))
    files = open_model(archive, "det")
    assert files.name == "packed"
    assert files.fingerprint == open_model(det, "det").fingerprint
    assert files.program_file.is_relative_to(cache)
    before = files.program_file.stat().st_mtime_ns
    assert open_model(archive, "det") == files
    assert files.program_file.stat().st_mtime_ns == before
    files.params_file.write_bytes(b"damaged in the cache")
    assert open_model(archive, "det") == files


def test_the_official_models_pass_as_own_models(mobile_det, mobile_rec, mobile_cls):
    """The folder of the cache holds just what a user's folder would."""
    for files in (mobile_det, mobile_rec, mobile_cls):
        own = open_model(files.program_file.parent, files.kind, dictionary=files.dictionary)
        assert own.fingerprint == files.fingerprint
        assert (own.input_name, own.input_shape, own.classes) == (files.input_name, files.input_shape, files.classes)


def test_a_dictionary_must_fit_and_the_error_says_both_numbers(cache, tmp_path: Path, rec: Path, mobile_rec):
    files = open_model(rec, "rec", dictionary=write_dictionary(tmp_path / "keys.txt"))
    assert files.dictionary == tmp_path / "keys.txt"
    assert files.sha256["dictionary"] == sha256_file(tmp_path / "keys.txt")
    with pytest.raises(
        DictionaryError, match=r"6,623 characters, and the model has 10 classes: .* 8 .* or .* 9"
    ) as caught:
        open_model(rec, "rec", dictionary=mobile_rec.dictionary)
    assert str(mobile_rec.dictionary) in str(caught.value)
    short = write_dictionary(tmp_path / "short.txt", CHARACTERS[:-1])
    with pytest.raises(DictionaryError, match=r"7 characters, and the model has 10 classes"):
        open_model(rec, "rec", dictionary=short)
    with pytest.raises(DictionaryError, match=r"8 characters, and the model has 6,625 classes"):
        with_dictionary(mobile_rec, tmp_path / "keys.txt")


@pytest.mark.parametrize(("characters", "space"), [(CHARACTERS, True), ((*CHARACTERS, "i"), False)])
def test_the_classes_say_whether_a_space_follows(tmp_path: Path, rec: Path, characters, space):
    files = open_model(rec, "rec", dictionary=write_dictionary(tmp_path / "keys.txt", characters))
    assert files.append_space is space


def test_without_a_dictionary_or_stated_classes_nothing_is_said_of_the_space(tmp_path: Path, rec: Path):
    assert open_model(rec, "rec").append_space is None
    free = write_sample(tmp_path / "free", "rec", output=(-1, -1, -1), input_shape=(-1, 3, 48, -1))
    assert open_model(free, "rec", dictionary=write_dictionary(tmp_path / "keys.txt")).append_space is None


def test_another_dictionary_is_another_fingerprint(tmp_path: Path, rec: Path):
    first = open_model(rec, "rec", dictionary=write_dictionary(tmp_path / "a.txt"))
    second = with_dictionary(first, write_dictionary(tmp_path / "b.txt", reversed(CHARACTERS)))
    assert second.dictionary == tmp_path / "b.txt"
    assert len({first.fingerprint, second.fingerprint, open_model(rec, "rec").fingerprint}) == 3


def test_the_last_line_counts_with_or_without_its_end(tmp_path: Path, rec: Path):
    (tmp_path / "open.txt").write_text("\n".join(CHARACTERS), encoding="utf-8")
    assert open_model(rec, "rec", dictionary=tmp_path / "open.txt").dictionary is not None
    (tmp_path / "crlf.txt").write_bytes("\r\n".join(CHARACTERS).encode())
    assert open_model(rec, "rec", dictionary=tmp_path / "crlf.txt").dictionary is not None


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "is empty"), ("\u4e2d\n".encode("gbk"), "not UTF-8"), (None, "cannot read the dictionary")],
)
def test_a_dictionary_that_is_none_is_said(tmp_path: Path, rec: Path, data: bytes | None, words: str):
    if data is not None:
        (tmp_path / "keys.txt").write_bytes(data)
    with pytest.raises(DictionaryError, match=words):
        open_model(rec, "rec", dictionary=tmp_path / "keys.txt")


def test_a_detector_with_a_dictionary_is_refused(tmp_path: Path, det: Path):
    with pytest.raises(ZooError, match="a det model has no dictionary"):
        open_model(det, "det", dictionary=write_dictionary(tmp_path / "keys.txt"))


def test_the_dictionary_of_inference_yml_is_taken(cache: Path, rec: Path):
    post = {"PostProcess": {"name": "CTCLabelDecode", "character_dict": list(CHARACTERS)}}
    (rec / "inference.yml").write_text(yaml.safe_dump(post))
    files = open_model(rec, "rec")
    assert files.dictionary is not None
    assert files.dictionary.read_text(encoding="utf-8").splitlines() == list(CHARACTERS)
    assert open_model(rec, "rec") == files
    (rec / "inference.yml").write_text(yaml.safe_dump({"PostProcess": {"character_dict": 7}}))
    with pytest.raises(KitError, match="expected a list of characters"):
        open_model(rec, "rec")
    (rec / "inference.yml").write_text("a: [")
    with pytest.raises(KitError, match=r"no YAML: (.|\n)*/inference\.yml"):
        open_model(rec, "rec")
    (rec / "inference.yml").write_text("Global: {}")
    assert open_model(rec, "rec").dictionary is None


def test_inference_yml_comes_out_of_a_tar_too(cache: Path, tmp_path: Path, rec: Path):
    post = {"PostProcess": {"character_dict": list(CHARACTERS)}}
    packed = {**model_bytes(rec), "inference.yml": yaml.safe_dump(post).encode()}
    (tmp_path / "m.tar").write_bytes(tar_bytes(packed, top="m/"))
    assert open_model(tmp_path / "m.tar", "rec").sha256.keys() == {
        "inference.pdmodel",
        "inference.pdiparams",
        "dictionary",
    }


def test_a_program_file_is_opened_with_its_parameters_whatever_they_are_called(det: Path):
    expected = open_model(det, "det")
    for name in ("inference.pdmodel", "inference.pdiparams"):
        (det / name).rename(det / name.replace("inference", "my model"))
    assert open_model(det, "det").fingerprint == expected.fingerprint
    (det / "my model.pdiparams").rename(det / "weights.pdiparams")
    found = open_model(det / "my model.pdmodel", "det")
    assert (found.fingerprint, found.params_file) == (expected.fingerprint, det / "weights.pdiparams")


def test_two_models_in_a_folder_are_refused_by_their_names(det: Path):
    (det / "inference.pdmodel").rename(det / "a.pdmodel")
    shutil.copy(det / "a.pdmodel", det / "b.pdmodel")
    with pytest.raises(ZooError, match=r"more than one model: a\.pdmodel, b\.pdmodel"):
        open_model(det, "det")


@pytest.mark.parametrize("kind", ["det", "rec", "cls"])
def test_a_model_of_another_kind_is_refused(tmp_path: Path, kind: str):
    for other in {"det", "rec", "cls"} - {kind}:
        folder = write_sample(tmp_path / other, other)
        with pytest.raises(ZooError, match=f"not that of a {kind} model but of {other}"):
            open_model(folder, kind)


def test_a_model_that_takes_no_image_is_refused(tmp_path: Path):
    for shape in ((-1, 80), (-1, 1, -1, -1)):
        with pytest.raises(ZooError, match=r"takes \[N, 3, H, W\]"):
            open_model(write_sample(tmp_path / "m", input_shape=shape), "det")


@pytest.mark.parametrize("address", ["https://example.com/x.tar", "http://host/det", "s3://bucket/det"])
def test_an_address_is_no_model_and_what_to_do_is_said(cache: Path, address: str):
    with pytest.raises(ZooError, match="not read from addresses") as caught:
        open_model(Path(address), "det")
    assert "download it and give the path" in str(caught.value.hint)


def test_a_path_without_a_model_is_said_with_what_is_there(cache: Path, tmp_path: Path, det: Path):
    with pytest.raises(ZooError, match="no such model"):
        open_model(tmp_path / "nothing", "det")
    with pytest.raises(ZooError, match=r"the folder holds no model: it holds my_det"):
        open_model(tmp_path, "det")
    with pytest.raises(ZooError, match="single file of a model and holds no program"):
        open_model(det / "inference.pdiparams", "det")
    (det / "inference.pdiparams").unlink()
    with pytest.raises(ZooError, match=r"the folder holds inference\.pdmodel and no inference\.pdiparams"):
        open_model(det, "det")
    with pytest.raises(ZooError, match=r"there is no inference\.pdiparams beside the program"):
        open_model(det / "inference.pdmodel", "det")
    (tmp_path / "notes.tar").write_text("not a tar at all")
    with pytest.raises(ZooError, match="cannot read the archive"):
        open_model(tmp_path / "notes.tar", "det")
    assert not list(cache.rglob("inference*"))


@pytest.mark.parametrize("name", ["inference.pdmodel", "inference.pdiparams"])
def test_empty_and_truncated_files_are_errors_that_name_the_file(det: Path, name: str):
    whole = (det / name).read_bytes()
    (det / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PaddleModelError, match=r".") as caught:
        open_model(det, "det")
    assert str(det / name) in str(caught.value)
    (det / name).write_bytes(b"")
    with pytest.raises(ZooError, match="empty") as caught:
        open_model(det, "det")
    assert str(det / name) in str(caught.value)


def test_a_model_that_may_not_be_read_is_said_with_the_path(det: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(self, *_, **__):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "is_dir", refuse)
    with pytest.raises(KitError, match="Permission denied") as caught:
        open_model(det, "det")
    assert str(det) in str(caught.value)
    assert "permissions" in str(caught.value)


def test_an_unknown_name_is_not_taken_for_a_path(cache: Path):
    with pytest.raises(ZooError, match="unknown model"):
        fetch("no/such/model")


# ---- what a file cannot give is said when it is opened


@pytest.mark.parametrize(
    ("kind", "shape", "words"),
    [
        ("det", (-1, 3, 640, 640), "images of one size (height 640, width 640)"),
        ("det", (1, 3, 736, -1), "images of one size (height 736)"),
        ("det", (4, 3, -1, -1), "batches of 4"),
        ("rec", (8, 3, 48, -1), "batches of 8"),
    ],
)
def test_sizes_that_images_differ_in_must_be_free(tmp_path: Path, kind: str, shape, words: str):
    with pytest.raises(ZooError) as caught:
        open_model(write_sample(tmp_path / "m", kind, input_shape=shape), kind)
    assert words in caught.value.what
    wanted = "InputSpec([None, 3, 48, -1])" if kind == "rec" else "InputSpec([None, 3, -1, -1])"
    assert wanted in str(caught.value.hint)
    assert str(tmp_path / "m") in str(caught.value)


@pytest.mark.parametrize("shape", [(1, 3, 48, -1), (-1, 3, 32, -1), (1, 3, 48, 320)])
def test_a_recogniser_may_fix_a_batch_of_one_its_height_and_its_width(tmp_path: Path, shape):
    assert open_model(write_sample(tmp_path / "m", "rec", input_shape=shape), "rec").input_shape == shape


def with_ops(folder: Path, change) -> Path:
    """Rewrite the operators of the sample in ``folder``."""
    paths = folder / "inference.pdmodel", folder / "inference.pdiparams"
    model = read_model(*paths)
    write_model(model.with_program(model.program.with_ops(change(model.program.main.ops))), *paths)
    return folder


@pytest.mark.parametrize(
    "kind", ["fake_quantize_moving_average_abs_max", "fake_channel_wise_dequantize_max_abs", "quantize_linear"]
)
def test_a_model_that_is_quantised_already_is_refused_with_the_way_out(det: Path, kind: str):
    with_ops(det, lambda ops: (ops[0], Op(kind, {"X": ("x",)}, {"Out": ("q",)}), *ops[1:]))
    with pytest.raises(ZooError, match=rf"quantised already: 1 of its 4 operators .* operator 1 \({kind}\)") as caught:
        open_model(det, "det")
    assert "float model" in str(caught.value.hint)
    assert "--recipe weight_int8" in str(caught.value.hint)


def test_weights_held_as_integers_are_refused_as_quantised(det: Path):
    def marked(ops):
        product = ops[1].with_attr("quantize_weight_bits", 8).with_attr("w_quant_scale", (0.5,) * 8)
        return (ops[0], product, ops[2])

    paths = det / "inference.pdmodel", det / "inference.pdiparams"
    model = read_model(*paths)
    program = model.program.with_ops(marked(model.program.main.ops))
    write_model(Model(program, {"w": model.params["w"].astype(np.int8)}), *paths)
    with pytest.raises(ZooError, match="quantised already: 1 weights are held as integers, such as 'w' with 8 bits"):
        open_model(det, "det")


def test_a_model_quantised_in_onnx_format_is_read_and_refused(shared_dir):
    """Its scales have no sides where one is declared, as Paddle from 2.5 on writes single numbers."""
    folder = shared_dir / "field_inputs" / "det_ptq_onnx_format"
    model = read_model(folder / "inference.pdmodel", folder / "inference.pdiparams")
    assert any(array.ndim == 0 for array in model.params.values())
    begin = time.process_time()
    with pytest.raises(
        ZooError, match=r"quantised already: 684 of its 997 operators .* \(dequantize_linear\)"
    ) as caught:
        open_model(folder, "det")
    assert time.process_time() - begin < 1
    assert caught.value.path == str(folder / "inference.pdmodel")


def test_unknown_operators_are_named_with_their_places(det: Path):
    def inserted(ops):
        unread = Op("where_index", {"X": ("x",)}, {"Out": ("nobody",)})
        first = Op("grid_sample", {"X": ("x",)}, {"Out": ("x2",)})
        return (
            ops[0],
            unread,
            first,
            Op("erf", {"X": ("x2",)}, {"Out": ("x3",)}),
            ops[1].with_input("X", "x3"),
            ops[2],
        )

    check_operators(det / "inference.pdmodel", det / "inference.pdiparams")
    with_ops(det, inserted)
    with pytest.raises(ZooError) as caught:
        check_operators(det / "inference.pdmodel", det / "inference.pdiparams")
    assert "cannot convert operator 2 (grid_sample), operator 3 (erf): grid_sample, erf are not" in caught.value.what
    assert "--engine server" in str(caught.value.hint)
    assert open_model(det, "det").kind == "det"


def test_the_official_models_hold_only_known_operators(mobile_det, mobile_rec, mobile_cls):
    for files in (mobile_det, mobile_rec, mobile_cls):
        check_operators(files.program_file, files.params_file)


def test_a_model_by_path_is_checked(tmp_path: Path, shared_dir):
    for kind in ("det", "rec", "cls"):
        assert check_model(write_sample(tmp_path / kind, kind)) == kind
    with pytest.raises(ZooError, match="quantised already"):
        check_model(shared_dir / "field_inputs" / "det_ptq_onnx_format")
    with pytest.raises(ZooError, match="which no OCR model has"):
        check_model(write_sample(tmp_path / "odd", output=(-1,)))
    assert check_model(shared_dir / "field_inputs" / "rec_paddle3_export") == "rec"
    folder = with_ops(tmp_path / "det", lambda ops: (ops[0], Op("erf", {"X": ("x",)}, {"Out": ("x2",)}),
                                                     ops[1].with_input("X", "x2"), ops[2]))  # fmt: skip
    with pytest.raises(ZooError, match=r"operator 1 \(erf\)"):
        check_model(folder)
