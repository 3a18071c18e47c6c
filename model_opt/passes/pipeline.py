"""The passes in the order they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from model_opt.paddle_model import PaddleModelError
from model_opt.paddle_model.errors import DAMAGED
from model_opt.passes.complete_ops import complete_ops
from model_opt.passes.constant_folding import constant_folding
from model_opt.passes.dead_channels import dead_channels
from model_opt.passes.dead_code import dead_code
from model_opt.passes.fold_affine import fold_affine
from model_opt.passes.fold_batch_norm import fold_batch_norm
from model_opt.passes.fuse_squeeze_excite import fuse_squeeze_excite
from model_opt.passes.identity import identity
from model_opt.passes.merge_convs import merge_convs
from model_opt.passes.operand_order import operand_order
from model_opt.passes.parallel_convs import parallel_convs
from model_opt.passes.pooled_means import pooled_means
from model_opt.passes.shape_constants import shape_constants
from model_opt.passes.simplify_attention import simplify_attention
from model_opt.passes.sink_reshapes import sink_reshapes
from model_opt.passes.training_ops import training_ops
from model_opt.passes.undone_moves import undone_moves
from model_opt.program import Model
from model_opt.program.order import read_too_early
from model_opt.program.report import PassReport

Pass = Callable[[Model], tuple[Model, PassReport]]

PASSES: tuple[Pass, ...] = (
    dead_code,
    training_ops,
    pooled_means,
    shape_constants,
    constant_folding,
    sink_reshapes,
    identity,
    fold_batch_norm,
    parallel_convs,
    fold_batch_norm,
    fold_affine,
    fuse_squeeze_excite,
    dead_channels,
    merge_convs,
    simplify_attention,
    undone_moves,
    operand_order,
    dead_code,
    complete_ops,
)


def optimise(model: Model) -> tuple[Model, tuple[PassReport, ...]]:
    """Run every pass of ``PASSES`` in order; return the new model and one report for each.

    What a pass that runs twice leaves is in its last report only. Raises ``PaddleModelError`` for a program that cannot
    be followed: operators without what they need, attributes of other types, sizes that do not fit, values that depend
    on themselves.
    """
    early = read_too_early(model.program.main, model.params)
    if early is not None:
        index, op, name = early
        raise PaddleModelError(
            f"operator {index} ({op.type}) reads {name!r}, which only it or a later operator writes", hint=DAMAGED
        )
    reports: list[PassReport] = []
    for each in PASSES:
        model, report = _followed(each, model)
        reports = [replace(old, left=()) if old.name == report.name else old for old in reports]
        reports.append(report)
    return model, tuple(reports)


def _followed(each: Pass, model: Model) -> tuple[Model, PassReport]:
    """Run one pass. Passes take a program's word for what an operator holds; a damaged one shows here."""
    try:
        with np.errstate(all="ignore"):
            return each(model)
    except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise PaddleModelError(
            f"the program cannot be followed by the pass {each.__name__}: {error}", hint=DAMAGED
        ) from error
