"""Golden vectors: what the Python pipeline answers at each stage, for the app's core to equal bit for bit.

A set is a folder: ``manifest.json`` lists cases, ``ocr_spec.json`` holds the profiles they use, each array is a file
of raw little-endian values. A case names a stage; ``STAGES`` says what the stage does with the arrays. An expected
array is always given by its SHA-256, and as a file too where it is small, so that a reader can count differences.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_kit.ocr.boxes import tidy_boxes
from edge_kit.ocr.crop import crop_line
from edge_kit.ocr.db import boxes_from_map, min_area_quad, text_mask, unclip
from edge_kit.ocr.detection import detection_input, input_size, normalised
from edge_kit.ocr.image import Image
from edge_kit.ocr.recognition import ctc_decode, recognition_input
from edge_kit.ocr.tensor import Float32Array, Run, normalise, resize
from edge_kit.spec.load import export_json, load_spec, profile
from edge_kit.spec.model import Spec, SpecProfile
from model_opt.errors import KitError
from model_opt.fs import write_atomic

FORMAT = 1
"""Version of the manifest's format."""

KEPT_BYTES = 8 << 10
"""Expected arrays up to this size are written as files beside their sum."""

PADDLEX = "paddlex-3"
"""The profile whose rules ``rare_cases`` are made for."""

PADDLEX_STAGES = frozenset({"det_input", "boxes", "order", "crop"})
"""The stages that have rules of their own under ``PADDLEX``; the others would repeat another profile's cases."""

PADDLEX_PIXELS = 1 << 19
"""Pixels of the largest image that ``PADDLEX`` makes a detector's input of: it keeps a page's size."""

UNCLIP_DISTANCES: tuple[Literal["shoelace", "contour"], ...] = ("shoelace", "contour")

Array = NDArray[Any]
Arrays = Mapping[str, Array]
Params = Mapping[str, Any]
Stage = Callable[[SpecProfile, Params, Arrays], dict[str, Array]]


class ConformanceError(KitError):
    """A set of golden vectors that cannot be read."""


@dataclass(frozen=True)
class Case:
    """One call of one stage: what goes in, and under which profile of the set's specification."""

    name: str
    stage: str
    profile: str
    inputs: Arrays
    params: Params = field(default_factory=dict)


def _resize(rules: SpecProfile, params: Params, arrays: Arrays) -> dict[str, Array]:
    return {"image": resize(arrays["image"], params["width"], params["height"], rules.detection.interpolation)}


def _normalise(rules: SpecProfile, params: Params, arrays: Arrays) -> dict[str, Array]:
    if params["section"] == "detection":
        return {"tensor": normalised(arrays["image"], rules.detection)}
    part = rules.recognition
    return {"tensor": normalise(arrays["image"], part.divisor, part.mean, part.std, part.channel_order)}


def _det_input(rules: SpecProfile, params: Params, arrays: Arrays) -> dict[str, Array]:
    return {"tensor": detection_input(arrays["image"], rules.detection)}


def _bitmap(rules: SpecProfile, params: Params, arrays: Arrays) -> dict[str, Array]:
    return {"mask": text_mask(arrays["prob_map"], rules.db)}


def _rectangle(rules: SpecProfile, params: Params, arrays: Arrays) -> dict[str, Array]:
    ends = np.cumsum(arrays["counts"])
    parts = np.split(arrays["points"], ends[:-1])
    found = [min_area_quad(part) for part in parts]
    quads = np.array([quad for quad, _ in found], np.float32)
    return {"quads": quads, "short_sides": np.array([side for _, side in found], np.float32)}


def _offset(rules: SpecProfile, params: Params, arrays: Arrays) -> dict[str, Array]:
    grown = [unclip(quad, rules.db) for quad in arrays["quads"]]
    points = [part if part is not None else np.zeros((0, 2), np.int32) for part in grown]
    return {"points": np.concatenate(points), "counts": np.array([len(part) for part in points], np.int32)}


def _boxes(rules: SpecProfile, params: Params, arrays: Arrays) -> dict[str, Array]:
    boxes, scores = boxes_from_map(arrays["prob_map"], params["width"], params["height"], rules.db)
    return {"boxes": boxes, "scores": scores}


def _order(rules: SpecProfile, params: Params, arrays: Arrays) -> dict[str, Array]:
    height, width = params["height"], params["width"]
    boxes, scores = tidy_boxes(arrays["boxes"], arrays["scores"], height, width, rules.boxes)
    return {"boxes": boxes, "scores": scores}


def _crop(rules: SpecProfile, params: Params, arrays: Arrays) -> dict[str, Array]:
    return pack_lines([crop_line(arrays["image"], quad, rules.crop) for quad in arrays["quads"]])


def _rec_input(rules: SpecProfile, params: Params, arrays: Arrays) -> dict[str, Array]:
    tensors = [recognition_input(line, rules.recognition) for line in unpack_lines(arrays)]
    widths = np.array([tensor.shape[3] for tensor in tensors], np.int32)
    return {"values": np.concatenate([tensor.reshape(-1) for tensor in tensors]), "widths": widths}


def _ctc(rules: SpecProfile, params: Params, arrays: Arrays) -> dict[str, Array]:
    characters = bytes(arrays["characters"]).decode().split("\n")
    text, score = ctc_decode(arrays["probabilities"], characters, rules.ctc)
    return {"text": np.frombuffer(text.encode(), np.uint8), "score": np.array([score], np.float64)}


STAGES: Mapping[str, Stage] = {
    "resize": _resize,
    "normalise": _normalise,
    "det_input": _det_input,
    "bitmap": _bitmap,
    "rectangle": _rectangle,
    "offset": _offset,
    "boxes": _boxes,
    "order": _order,
    "crop": _crop,
    "rec_input": _rec_input,
    "ctc": _ctc,
}
"""What each stage answers: a function of the profile, the case's parameters and its arrays."""


def expected(case: Case, spec: Spec) -> dict[str, Array]:
    """Return what the Python pipeline answers to ``case``; the profile is one of ``spec``."""
    rules = profile(case.profile, spec)
    return STAGES[case.stage](rules, case.params, case.inputs)


def vector_spec() -> Spec:
    """Return the specification of golden vectors: the app's profiles, and one with the rules that neither uses.

    Cubic resizing is left out, and the app refuses it: pip's OpenCV does it with Intel's library, which rounds 2 % of
    the values in another way than OpenCV's own code on a phone.
    """
    spec = load_spec().for_app
    base = spec.profiles[0]
    other = replace(
        base,
        name="conformance",
        description="Rules that no shipped profile uses",
        detection=replace(base.detection, limit_type="min", limit_side_len=160, channel_order="rgb"),
        db=replace(base.db, use_dilation=True, score_mode="slow", max_candidates=40),
        boxes=replace(base.boxes, row_tolerance=25, row_sort="keep_first"),
        crop=replace(base.crop, interpolation="linear", rotate_ratio=1.2),
        recognition=replace(base.recognition, channel_order="rgb", pad_value=0.25),
    )
    return replace(spec, profiles=(*spec.profiles, other))


def image_cases(name: str, image: Image, prob_map: Float32Array, rules: SpecProfile) -> Iterator[Case]:
    """Yield a case of each stage from the image to the recogniser's input; ``prob_map`` is the detector's answer."""
    height, width = image.shape[:2]
    size = {"width": width, "height": height}

    def case(stage: str, inputs: Arrays, params: Params | None = None) -> Case:
        return Case(f"{name}/{rules.name}/{stage}", stage, rules.name, inputs, params or {})

    sized_height, sized_width = input_size(height, width, rules.detection)
    resizing = case("resize", {"image": image}, {"width": sized_width, "height": sized_height})
    yield resizing
    resized = STAGES["resize"](rules, resizing.params, resizing.inputs)["image"]
    yield case("normalise", {"image": resized}, {"section": "detection"})
    yield case("det_input", {"image": image})
    yield case("bitmap", {"prob_map": prob_map})
    yield case("boxes", {"prob_map": prob_map}, size)
    boxes, scores = boxes_from_map(prob_map, width, height, rules.db)
    yield case("order", {"boxes": boxes, "scores": scores}, size)
    quads, _ = tidy_boxes(boxes, scores, height, width, rules.boxes)
    if len(quads):
        cropping = case("crop", {"image": image, "quads": quads})
        yield cropping
        yield case("rec_input", STAGES["crop"](rules, {}, cropping.inputs))


def profile_cases(name: str, image: Image, prob_map: Float32Array, spec: Spec) -> Iterator[Case]:
    """Yield the cases of an image under every profile of ``spec``, those under ``PADDLEX`` only where it is new."""
    for rules in spec.profiles:
        for case in image_cases(name, image, prob_map, rules):
            large = case.stage == "det_input" and image.shape[0] * image.shape[1] > PADDLEX_PIXELS
            if rules.name != PADDLEX or (case.stage in PADDLEX_STAGES and not large):
                yield case


def rectangle_case(seed: int, count: int, rules: SpecProfile) -> Case:
    """Return a case of ``count`` random point sets, some on a line or on one point."""
    random = np.random.default_rng(seed)
    sets = [_random_points(random) for _ in range(count)]
    counts = np.array([len(points) for points in sets], np.int32)
    return Case(f"random-{seed}/rectangle", "rectangle", rules.name, {"points": np.concatenate(sets), "counts": counts})


def offset_case(seed: int, count: int, rules: SpecProfile) -> Case:
    """Return a case of ``count`` random rectangles as the detector makes them: long, thin, tiny, upright, turned."""
    random = np.random.default_rng(seed)
    quads: list[Array] = []
    while len(quads) < count:
        points = _random_points(random) if len(quads) % 2 else _random_rectangle(random)
        quad, short_side = min_area_quad(points)
        if short_side >= rules.db.min_short_side:
            quads.append(quad)
    inputs = {"quads": np.array(quads, np.float32)}
    return Case(f"random-{seed}/{rules.name}/offset", "offset", rules.name, inputs)


def crop_case(seed: int, count: int, image: Image, rules: SpecProfile) -> Case:
    """Return a case of ``count`` random quads of ``image``, some with a corner named twice."""
    random = np.random.default_rng(seed)
    height, width = image.shape[:2]
    sides = np.exp(random.uniform(np.log(4), np.log(min(height, width)), (count, 1, 2)))
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * sides + random.normal(0, 3, (count, 4, 2))
    moved = corners + random.uniform(0, 1, (count, 1, 2)) * (np.array([width, height]) - sides)
    quads = np.clip(np.round(moved), 0, [width - 1, height - 1]).astype(np.float32)
    quads[::9, 3] = quads[::9, 0]
    quads[::16, 1] = quads[::16, 3]
    inputs: Arrays = {"image": image, "quads": quads}
    return Case(f"random-{seed}/{rules.name}/crop", "crop", rules.name, inputs)


def order_case(seed: int, count: int, rules: SpecProfile) -> Case:
    """Return a case of ``count`` random boxes in rows that lie close together, small and turned ones among them."""
    random = np.random.default_rng(seed)
    width, height = 4000, 3000
    centres = np.stack([random.integers(0, width, count), random.integers(0, 300, count) * 10], axis=1)
    sides = np.exp(random.uniform(0, np.log(3000), (count, 2)))
    angles = random.choice([0.0, 45.0, 90.0], count) + random.normal(0, 5, count) * random.integers(0, 2, count)
    boxes = np.array(
        [
            cv2.boxPoints(((float(x), float(y)), (float(w), float(h)), float(angle)))
            for (x, y), (w, h), angle in zip(centres, sides, angles, strict=True)
        ]
    )
    inputs: Arrays = {"boxes": np.round(boxes).astype(np.float32), "scores": random.uniform(0, 1, count)}
    params = {"width": width, "height": height}
    return Case(f"random-{seed}/{rules.name}/order", "order", rules.name, inputs, params)


def rare_cases(seed: int, image: Image, rules: SpecProfile) -> Iterator[Case]:
    """Yield what real images seldom reach.

    A strip beyond ``max_side_limit``; coordinates halfway between two pixels; rectangles whose grown outline depends on
    the last bit of the distance; boxes without area.
    """
    random = np.random.default_rng(seed)
    strip: Arrays = {"image": random.integers(0, 256, (9, 613, 3), dtype=np.uint8)}
    yield Case(f"random-{seed}/{rules.name}/strip", "det_input", rules.name, strip)
    prob_map = np.zeros((96, 96), np.float32)
    for _ in range(40):
        cv2.fillPoly(prob_map, [_small_rectangle(random, prob_map.shape)], float(random.uniform(0.7, 1)))
    size = {"width": 1584, "height": 816}  # 16.5 and 8.5 times the map
    yield Case(f"random-{seed}/{rules.name}/boxes", "boxes", rules.name, {"prob_map": prob_map}, size)
    close = _last_bit_quads(seed, rules)
    if len(close):
        yield Case(f"random-{seed}/{rules.name}/last-bit", "offset", rules.name, {"quads": close})
    height, width = image.shape[:2]
    ends = random.integers(0, [width, height], (12, 2, 2))
    quads = np.concatenate([ends, ends[:, ::-1] + random.integers(0, 2, (12, 2, 2))], axis=1)
    flat: Arrays = {"image": image, "quads": np.clip(quads, 0, [width, height]).astype(np.float32)}
    yield Case(f"random-{seed}/{rules.name}/flat", "crop", rules.name, flat)


def ctc_case(name: str, probabilities: Float32Array, characters: Sequence[str], rules: SpecProfile) -> Case:
    """Return a case of one recogniser output, float32 [1, steps, classes]."""
    encoded = np.frombuffer("\n".join(characters).encode(), np.uint8)
    inputs: Arrays = {"probabilities": probabilities, "characters": encoded}
    return Case(f"{name}/ctc", "ctc", rules.name, inputs)


def random_ctc_case(seed: int, steps: int, rules: SpecProfile) -> Case:
    """Return a case of random probabilities over a short alphabet, with repeats, blanks and ties."""
    random = np.random.default_rng(seed)
    characters = [*"0123456789Az ", "\u6587", "\u5b57", "\U00020000"]
    logits = random.normal(0, 2, (1, steps, len(characters) + 1))
    logits[:, :, 0] += 1
    logits[:, 1::3] = logits[:, : logits[:, 1::3].shape[1] * 3 : 3]
    powers = np.exp(logits)
    probabilities = (powers / powers.sum(axis=2, keepdims=True)).astype(np.float32)
    probabilities[:, ::11] = 1 / (len(characters) + 1)
    return ctc_case(f"random-{seed}-{steps}", probabilities, characters, rules)


def line_cases(
    name: str, image: Image, quads: Array, recognise: Run, characters: Sequence[str], rules: SpecProfile
) -> Iterator[Case]:
    """Yield the decoding of each line of ``image`` in ``quads``, with the recogniser's real answer."""
    for number, quad in enumerate(quads):
        tensor = recognition_input(crop_line(image, quad, rules.crop), rules.recognition)
        yield ctc_case(f"{name}/line-{number}", recognise(tensor), characters, rules)


@dataclass(frozen=True)
class Models:
    """The models whose answers golden vectors hold, as the pipeline calls them."""

    detect: Run
    recognise: Run
    characters: Sequence[str]


def real_cases(images: Iterable[tuple[str, Image]], models: Models, spec: Spec) -> Iterator[Case]:
    """Yield the stages on real images under every profile of ``spec``, up to four lines an image decoded."""
    base = spec.profiles[0]
    for name, image in images:
        prob_map = models.detect(detection_input(image, base.detection))[0, 0]
        yield from profile_cases(name, image, prob_map, spec)
        height, width = image.shape[:2]
        quads, _ = tidy_boxes(*boxes_from_map(prob_map, width, height, base.db), height, width, base.boxes)
        yield from line_cases(name, image, quads[:4], models.recognise, models.characters, base)


def random_cases(seed: int, count: int, image: Image, spec: Spec) -> Iterator[Case]:
    """Yield random points, rectangles and boxes, ``count`` of each, and ``count / 10`` quads of ``image``."""
    for rules in spec.profiles:
        yield offset_case(seed, count, rules)
        yield order_case(seed, count, rules)
        yield crop_case(seed, count // 10, image, rules)
    yield rectangle_case(seed, count, spec.profiles[0])
    for steps in (1, 3, 7, 8, 9, 40, 130, 300):
        yield random_ctc_case(seed, steps, spec.profiles[0])


def write_vectors(folder: Path, cases: Iterable[Case], spec: Spec) -> int:
    """Write a set of golden vectors to ``folder`` and return the number of its cases; the manifest comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for case in cases:
        answer = expected(case, spec)
        entries.append(
            {
                "name": case.name,
                "stage": case.stage,
                "profile": case.profile,
                "params": dict(case.params),
                "inputs": {key: _store(folder, value, keep=True) for key, value in case.inputs.items()},
                "expected": {
                    key: _store(folder, value, keep=value.nbytes <= KEPT_BYTES) for key, value in answer.items()
                },
            }
        )
    write_atomic(folder / "ocr_spec.json", export_json(spec))
    manifest = {"format": FORMAT, "spec": "ocr_spec.json", "cases": entries}
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_atomic(folder / "manifest.json", text.encode())
    return len(entries)


def write_all_vectors(folder: Path, models: Models, images: Sequence[tuple[str, Image]]) -> int:
    """Write the vectors of every stage on all images and on thousands of random shapes; return their number."""
    spec, image = vector_spec(), images[0][1]
    rare = chain.from_iterable(rare_cases(seed, image, profile(PADDLEX, spec)) for seed in range(5))
    return write_vectors(
        folder, chain(real_cases(images, models, spec), random_cases(3, 5000, image, spec), rare), spec
    )


def read_cases(folder: Path) -> Iterator[tuple[Case, dict[str, str]]]:
    """Yield the cases of a set with the SHA-256 of each array that they expect; raises ``ConformanceError``."""
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        for entry in manifest["cases"]:
            inputs = {key: _load(folder, row) for key, row in entry["inputs"].items()}
            case = Case(entry["name"], entry["stage"], entry["profile"], inputs, entry["params"])
            yield case, {key: row["sha256"] for key, row in entry["expected"].items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "make the set anew with scripts/labs/make_golden_vectors.py"
        raise ConformanceError(f"the golden vectors cannot be read: {error!r}", path=path, hint=hint) from error


def digest(array: Array) -> str:
    """Return the SHA-256 of an array's values in row-major little-endian order."""
    return hashlib.sha256(_bytes(array)).hexdigest()


def pack_lines(lines: Sequence[Image]) -> dict[str, Array]:
    """Return images of several sizes as one array of bytes and their sizes, int32 [n, 2] (height, width)."""
    sizes = np.array([line.shape[:2] for line in lines], np.int32)
    return {"pixels": np.concatenate([line.reshape(-1) for line in lines]), "sizes": sizes}


def unpack_lines(arrays: Arrays) -> list[Image]:
    """Return the images that ``pack_lines`` packed."""
    sizes = arrays["sizes"]
    ends = np.cumsum(sizes[:, 0] * sizes[:, 1] * 3)
    parts = np.split(arrays["pixels"], ends[:-1])
    return [part.reshape(height, width, 3) for part, (height, width) in zip(parts, sizes, strict=True)]


def _random_points(random: np.random.Generator) -> NDArray[np.int32]:
    """Return up to 12 points [n, 2]: anywhere, on a line, or on one point."""
    spread = np.exp(random.uniform(0, np.log(400), 2))
    points = random.uniform(-spread, spread, (int(random.integers(1, 13)), 2)) + random.uniform(0, 960, 2)
    if random.uniform() < 0.1:
        points = points[0] + np.outer(random.integers(-9, 9, len(points)), random.integers(-3, 4, 2))
    return points.astype(np.int32)


def _random_rectangle(random: np.random.Generator) -> NDArray[np.int32]:
    """Return the corners of a rectangle, truncated to integers: half of them upright, some at 45 degrees."""
    sides = np.exp(random.uniform(np.log(3), np.log(700), 2))
    angle = random.choice([0.0, 0.0, 45.0, random.uniform(-90, 90), random.normal(0, 3)])
    centre = random.uniform(0, 960, 2)
    rectangle = ((float(centre[0]), float(centre[1])), (float(sides[0]), float(sides[1])), float(angle))
    return np.asarray(cv2.boxPoints(rectangle)).astype(np.int32)


def _last_bit_quads(seed: int, rules: SpecProfile) -> Array:
    """Return those of some thousand rectangles that ``unclip_distance`` decides on: [n, 4, 2], a few or none."""
    quads = offset_case(seed, 4000, rules).inputs["quads"]
    ways = [replace(rules.db, unclip_distance=way) for way in UNCLIP_DISTANCES]
    grown = [[np.asarray(unclip(quad, way)).tolist() for quad in quads] for way in ways]
    chosen = [quad for quad, one, other in zip(quads, *grown, strict=True) if one != other]
    return np.array(chosen, np.float32).reshape(-1, 4, 2)


def _small_rectangle(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Return the corners of a rectangle of a few pixels inside a map of ``shape``, upright or in any direction."""
    centre, sides = random.uniform(0, shape[::-1]), random.uniform(4, 10, 2)
    angle = float(random.choice([0.0, random.uniform(-90, 90)]))
    corners = cv2.boxPoints((centre.tolist(), sides.tolist(), angle))
    return np.asarray(corners).astype(np.int32)


def _bytes(array: Array) -> bytes:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()


def _store(folder: Path, array: Array, *, keep: bool) -> dict[str, Any]:
    """Return the manifest's row for an array; write it, named after its sum, unless it is there."""
    data = _bytes(array)
    sha256 = hashlib.sha256(data).hexdigest()
    row: dict[str, Any] = {"dtype": str(array.dtype), "shape": list(array.shape), "sha256": sha256}
    if keep:
        row["file"] = f"{sha256[:20]}.bin"
        if not (folder / row["file"]).exists():
            write_atomic(folder / row["file"], data)
    return row


def _load(folder: Path, row: Mapping[str, Any]) -> Array:
    data = (folder / row["file"]).read_bytes()
    if hashlib.sha256(data).hexdigest() != row["sha256"]:
        raise ValueError(f"{row['file']} is damaged")
    return np.frombuffer(data, np.dtype(row["dtype"]).newbyteorder("<")).reshape(row["shape"])
