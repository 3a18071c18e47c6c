import pytest

from model_opt.errors import KitError
from model_opt.formats import FormatError, kind_of, read_model
from tests.model_opt.program_cases import CASES
from tests.model_opt.program_mutator import file_bytes

PIR = b'{"base_code":{"magic":"pir","trainable":true,"version":1},"program":{"regions":[]}}'
ONNX = b"\x08\x08\x12\x00\x1a\x00\x3a\x05\x0a\x01x\x0a\x00"
"""ir_version 8, an empty producer and its version, a graph."""

REFUSED = {
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git-lfs", "git lfs pull"),
    "page": (b"<!DOCTYPE html><html><body>Not found</body></html>", "web page", "fetch it again"),
    "checkpoint": (b"\x80\x02}q\x00(X\x0c\x00\x00\x00", "training checkpoint", "inference model"),
    "pytorch": (b"PK\x03\x04\x00\x00\x00\x00\x00\x00", "PyTorch", "export"),
    "safetensors": (b"\x40\x00\x00\x00\x00\x00\x00\x00" + b'{"__metadata__":{}}', "safetensors", "export"),
    "parameters": (b"\x00" * 20 + b"\x08\x05", ".pdiparams", "beside"),
    "settings": (b"Global:\r\n  model_name: PP-OCRv5_mobile_det\r\n", "inference.yml", "beside"),
    "config": (b'{"Global": {"model_name": "PP-OCRv5_mobile_det"}}', "config.json", "inference.json"),
    "gzip": (b"\x1f\x8b\x08\x00", "gzip", "unpack"),
    "tar": (b"inference.pdmodel".ljust(257, b"\0") + b"ustar\x0000", "tar", "unpack"),
    "tflite": (b"\x1c\x00\x00\x00TFL3", "TensorFlow Lite", "Paddle or ONNX"),
    "text": (b"hello there", "hello there", "exported"),
    "bytes": (b"\xde\xad\xbe\xef", "de ad be ef", "export it again"),
    "empty": (b"", "an empty file", "again"),
}


def write(tmp_path, data):
    path = tmp_path / "model.bin"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("data", "kind"), [(PIR, "pir"), (b"\xef\xbb\xbf\n " + PIR, "pir"), (ONNX, "onnx")])
def test_a_program_is_known_by_its_content(tmp_path, data, kind):
    assert kind_of(write(tmp_path, data)) == kind


@pytest.mark.parametrize("name", CASES)
def test_a_paddle_program_is_known_by_its_content(tmp_path, name):
    program, params = file_bytes(CASES[name]())
    assert kind_of(write(tmp_path, program)) == "paddle"
    (tmp_path / "params").write_bytes(params)
    read = read_model(tmp_path / "model.bin", tmp_path / "params")
    assert file_bytes(read) == (program, params)


def test_a_truncated_onnx_file_is_still_one(tmp_path):
    """Its reader names the damage; calling it no model would send the user the wrong way."""
    assert kind_of(write(tmp_path, ONNX[:-3])) == "onnx"


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_program_is_called_by_its_name(tmp_path, name):
    data, found, hint = REFUSED[name]
    path = write(tmp_path, data)
    assert kind_of(path) is None
    with pytest.raises(FormatError) as caught:
        read_model(path, None)
    assert found in caught.value.what
    assert hint in (caught.value.hint or "")
    assert caught.value.path == str(path)


@pytest.mark.parametrize("name", ["missing", "folder"])
def test_a_file_that_is_not_there_is_a_clear_error(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(KitError, match=r"nothing|a folder"):
        read_model(tmp_path / name, None)


def test_parameters_are_asked_for_and_refused_where_the_format_says(tmp_path):
    with pytest.raises(FormatError, match=r"\.pdiparams"):
        read_model(write(tmp_path, PIR), None)
    with pytest.raises(FormatError, match="ONNX"):
        read_model(write(tmp_path, ONNX), tmp_path / "model.bin")
