"""The program of a ``.nb`` file as an ONNX graph: shapes resolved, weights restored, kernels checked.

In: a checked ``NbModel``. Out: a ``Graph`` for ``to_onnx``; ``NbError`` names what is not known.
"""

from __future__ import annotations

from model_opt.nb.translate.fold import fold
from model_opt.nb.translate.program import translate
from model_opt.nb.translate.proto import Graph, Node, encode_model
from model_opt.nb.translate.translators import TRANSLATORS, Row, ops_markdown

__all__ = ["TRANSLATORS", "Graph", "Node", "Row", "encode_model", "fold", "ops_markdown", "translate"]
