"""Recognition input and CTC decoding (specification sections ``recognition``, ``classifier`` and ``ctc``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_kit.ocr.image import Image
from edge_kit.ocr.tensor import Float32Array, normalise, resize
from edge_kit.spec.model import ClassifierInput, CtcRules, RecognitionInput
from model_opt.dictionary import read_dictionary
from model_opt.errors import KitError


def recognition_width(height: int, width: int, rules: RecognitionInput, widest: float = 0.0) -> int:
    """Return the width in pixels of the recogniser's input for a line of the given size.

    ``widest`` is the largest width / height of the lines that share its run, where that decides.
    """
    ratio = max(rules.min_width / rules.height, width / float(height), widest)
    return min(int(rules.height * ratio), max(rules.max_width, rules.min_width))


def recognition_input(line: Image, rules: RecognitionInput, widest: float = 0.0) -> Float32Array:
    """Return the recogniser's input tensor, float32 [1, 3, height, w], for one upright BGR line; see the width."""
    height, width = line.shape[:2]
    total = recognition_width(height, width, rules, widest)
    used = min(math.ceil(rules.height * (width / float(height))), total)
    resized = resize(line, used, rules.height, rules.interpolation)
    padded = np.full((1, 3, rules.height, total), rules.pad_value, np.float32)
    padded[0, :, :, :used] = normalise(resized, rules.divisor, rules.mean, rules.std, rules.channel_order)
    return padded


def classifier_input(line: Image, rules: ClassifierInput) -> Float32Array:
    """Return the angle classifier's input tensor, float32 [1, 3, height, width]."""
    height, width = line.shape[:2]
    used = min(math.ceil(rules.height * (width / float(height))), rules.width)
    resized = resize(line, used, rules.height, "linear")
    padded = np.full((1, 3, rules.height, rules.width), rules.pad_value, np.float32)
    padded[0, :, :, :used] = normalise(resized, rules.divisor, rules.mean, rules.std, "bgr")
    return padded


def turn_line(line: Image, probabilities: Float32Array, rules: ClassifierInput) -> Image:
    """Return the line turned by 180 degrees when the classifier ([1, classes]) says so with enough confidence."""
    label = int(np.argmax(probabilities[0]))
    if rules.labels[label] == 180 and float(probabilities[0, label]) > rules.thresh:
        return np.ascontiguousarray(line[::-1, ::-1])
    return line


def load_characters(dictionary: Path, rules: CtcRules) -> tuple[str, ...]:
    """Return the characters of the classes after the blank: one a line of ``dictionary``, then a space if so ruled.

    Raises ``DictionaryError`` for a file that is no dictionary.
    """
    characters = read_dictionary(dictionary).characters
    return (*characters, " ") if rules.append_space else characters


@dataclass(frozen=True)
class Decoded:
    """What a recogniser's output says."""

    text: str
    score: float
    places: tuple[int, ...]
    """The step at which each character of the text was read."""


def ctc_decode(probabilities: Float32Array, characters: Sequence[str], rules: CtcRules) -> tuple[str, float]:
    """Return text and score of one line; see ``ctc_read``."""
    decoded = ctc_read(probabilities, characters, rules)
    return decoded.text, decoded.score


def ctc_read(probabilities: Float32Array, characters: Sequence[str], rules: CtcRules) -> Decoded:
    """Return what one line says by the recogniser's output, float32 [1, steps, classes].

    Greedy CTC: the best class of each step, repeats collapsed, blanks dropped (Graves et al., 2006). The score is
    the mean of the kept maxima. Raises ``KitError`` when the classes do not fit the dictionary.
    """
    classes = probabilities.shape[-1]
    if classes != len(characters) + 1:
        raise KitError(
            f"the recogniser has {classes} classes, the dictionary makes {len(characters) + 1} (with the blank)",
            hint="give the dictionary that the model was trained with (--rec-dict)",
        )
    best = probabilities[0].argmax(axis=1)
    keep = best != rules.blank
    keep[1:] &= best[1:] != best[:-1]
    if not keep.any():
        return Decoded("", rules.empty_score, ())
    maxima = probabilities[0, keep, best[keep]]
    read = [characters[i - 1] for i in best[keep]]
    places = tuple(int(step) for step, text in zip(np.flatnonzero(keep), read, strict=True) for _ in text)
    return Decoded("".join(read), float(np.mean(maxima)), places)
