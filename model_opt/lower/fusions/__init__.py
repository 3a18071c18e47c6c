"""The fusions of opt, one function for each rule; they change the graph in place.

Where opt's rule changes what the program computes, the operators stay apart instead; the docstrings say where.
"""

from __future__ import annotations

from model_opt.lower.fusions.conv_activation import fuse_conv_activation
from model_opt.lower.fusions.conv_bias import fuse_conv_bias
from model_opt.lower.fusions.elementwise import fuse_elementwise_activation, fuse_second_input, fuse_swish
from model_opt.lower.fusions.identities import drop_identity_scales, drop_scales_before_readers, make_pools_global
from model_opt.lower.fusions.products import fuse_fc

__all__ = [
    "drop_identity_scales",
    "drop_scales_before_readers",
    "fuse_conv_activation",
    "fuse_conv_bias",
    "fuse_elementwise_activation",
    "fuse_fc",
    "fuse_second_input",
    "fuse_swish",
    "make_pools_global",
]
