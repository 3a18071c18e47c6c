"""ONNX files of PP-OCR, as PaddleX and paddle2onnx export them. In: the bytes. Out: a program of Paddle's operators.

The bytes become a graph of values (``graph``), constants and names are resolved (``constants``), groups of nodes that
are one operator are joined (``patterns``), and each node is mapped (``reader``). ``messages`` serves the writer too.
"""

from __future__ import annotations

from model_opt.formats.onnx_model.reader import read_onnx

__all__ = ["read_onnx"]
