"""What a recogniser's files say of how lines are to be fed and its answers to be read."""

from __future__ import annotations

from edge_kit.spec import RecogniserFacts
from model_opt.zoo import ModelFiles


def facts_of(files: ModelFiles) -> RecogniserFacts:
    """Return what the specification must take from a recogniser: its classes' space, and sizes that it fixes."""
    height, width = (size if size > 0 else None for size in files.input_shape[2:])
    return RecogniserFacts(files.append_space, height, width)
