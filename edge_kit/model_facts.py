"""What the files of the models say of the rules: of lines and classes, and of the contours to look at."""

from __future__ import annotations

from edge_kit.spec import DetectorFacts, RecogniserFacts
from model_opt.zoo import ModelFiles


def detector_facts(files: ModelFiles) -> DetectorFacts:
    """Return what the specification must take from a detector: how many contours its own settings look at."""
    return DetectorFacts(files.max_candidates)


def recogniser_facts(files: ModelFiles) -> RecogniserFacts:
    """Return what the specification must take from a recogniser: its classes' space, and sizes that it fixes."""
    height, width = (size if size > 0 else None for size in files.input_shape[2:])
    return RecogniserFacts(files.append_space, height, width)
