"""A ``.nb`` file as an ONNX model that computes the same in ONNX Runtime and in OpenCV's DNN module."""

from __future__ import annotations

from model_opt.nb.means import PAIRWISE, with_means
from model_opt.nb.translate import encode_model, fold, translate
from model_opt.nb.types import NbModel

OPSET = 17
"""The first with LayerNormalization; OpenCV 4.11 reads it."""

IR_VERSION = 8


def to_onnx(model: NbModel, *, accurate_means: bool = False, free_batch: bool = False) -> bytes:
    """Return the ONNX file of an fp32 or weight-only model for ARM, OpenCL or x86.

    The batch is 1, or free with ``free_batch``; height and width are free where the file leaves them free. The graph
    holds no Shape, and no Squeeze unless the batch is free: what the program computes from shapes stands in it as
    constants. The same model gives the same bytes.
    ``accurate_means`` is for ONNX Runtime, which adds all pixels of a GlobalAveragePool in one float after another (an
    error of 5e-4 over 40,000 pixels), and those of a ReduceMean pairwise; Paddle Lite's kernel adds in many lanes.
    Raises ``NbError`` for an operator, kernel or attribute that is not known, and for fp16 and static int8 kernels.
    """
    graph = fold(translate(model, free_batch=free_batch))
    if accurate_means:
        graph = with_means(graph, PAIRWISE)
    producer = ("edge-kit", f"opt {model.opt_version}")
    return encode_model(graph, opset=OPSET, ir_version=IR_VERSION, producer=producer)
