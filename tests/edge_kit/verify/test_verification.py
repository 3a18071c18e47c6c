"""A failed gate names the images that miss it, also those of the oracle."""

from __future__ import annotations

import numpy as np

from edge_kit.verify.compare import Comparison, ImageComparison, Measures
from edge_kit.verify.gates import Gate, Limits, apply_gates
from edge_kit.verify.metrics import BoxMatching, MaskFlips, TextAgreement
from edge_kit.verify.verification import Judged, Verification

FLIPS = Gate("det_mask_flip_share", "flips", "share", "at_most", 1e-3, "because")
TEXTS = Gate("texts_equal", "texts", "share", "at_least", 0.99, "because")


def image(name: str, flips: int = 0, unequal: int = 0) -> ImageComparison:
    measures = Measures(
        mask=MaskFlips(pixels=1000, reference_mask=100, candidate_mask=100, flips=flips),
        texts=TextAgreement(lines=10, equal=10 - unequal, characters=50, edits=unequal),
    )
    return ImageComparison(name, None, BoxMatching((), (), ()), measures)


def judged(*images: ImageComparison) -> Judged:
    comparison = Comparison(images, sum((one.measures for one in images), start=Measures()))
    limits = Limits("r", "a recipe", (FLIPS, TEXTS))
    return Judged("nb", "r", comparison, apply_gates(comparison.total.metrics(), "r", (limits,)))


def verification(shipped: Judged, oracle: Judged | None = None) -> Verification:
    return Verification("server", 3, shipped, oracle, "", None, None, (), ())


def test_images_are_ranked_by_the_gate_that_failed():
    many_flips, few_flips, texts = image("many", flips=9), image("few", flips=2), image("texts", unequal=3)
    assert verification(judged(few_flips, many_flips, image("none"))).furthest(2) == ("many", "few")
    assert verification(judged(few_flips, texts, many_flips)).furthest(3) == ("many", "texts", "few")


def test_the_oracles_images_are_named_when_its_gate_failed():
    fine = judged(image("a"), image("b"))
    assert verification(fine, judged(image("a"), image("b", flips=5))).furthest(1) == ("b",)
    assert verification(fine).furthest(3) == ()


def test_an_image_that_was_not_measured_is_not_named():
    empty = ImageComparison("empty", None, BoxMatching((), (), ()), Measures())
    assert np.isnan(empty.measures.metrics()["texts_equal"])
    assert verification(judged(empty, image("b", flips=5, unequal=1))).furthest(3) == ("b",)
