"""The models of a request: checked before any work, planned from their source to the ``.nb`` file, and verified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edge_kit.build.runner import Runner
from edge_kit.calibration import calibration_images
from edge_kit.jobs.request import BuildRequest
from edge_kit.model_facts import detector_facts, recogniser_facts
from edge_kit.ocr.recognition import load_characters
from edge_kit.recipes import Recipe
from edge_kit.settings import looks_like_path
from edge_kit.spec import DetectorFacts, RecogniserFacts, Spec, SpecProfile
from edge_kit.spec import profile as specified
from edge_kit.stages.calibrate import calibrate
from edge_kit.stages.convert import convert_model
from edge_kit.stages.fetch import ModelSource, dictionary_of, fetch_model
from edge_kit.stages.optimise import optimise_model
from edge_kit.stages.oracle import Oracle
from edge_kit.stages.quantise import quantise_model
from edge_kit.stages.results import ROLES, Converted, Fetched, Model, Optimised, Quantised, Role, Shipped
from edge_kit.stages.verify import verify_models
from edge_kit.targets import target_of
from edge_kit.verify.gates import recipe_gates
from edge_kit.verify.regression import regression_set, user_set
from edge_kit.verify.runs import Named
from edge_kit.verify.verification import Verification
from model_opt.convert import Converter
from model_opt.dictionary import read_dictionary, space_follows
from model_opt.zoo import ModelFiles, check_operators, load_zoo, open_model

Rules = TypeVar("Rules", Spec, SpecProfile)


@dataclass(frozen=True)
class BuiltModel:
    """What a build makes of one model; None for a step that it leaves out."""

    fetched: Fetched
    optimised: Optimised | None
    quantised: Quantised | None
    converted: Converted

    @property
    def unquantised(self) -> Model:
        """The model as it is before quantisation."""
        return self.optimised or self.fetched


@dataclass(frozen=True)
class ModelFacts:
    """What the models of a request say of the rules."""

    det: DetectorFacts
    rec: RecogniserFacts

    def applied(self, rules: Rules) -> Rules:
        """Return a profile, or a specification with all its profiles, made for these models."""
        return rules.for_detector(self.det).for_recogniser(self.rec)


def facts_of_models(request: BuildRequest) -> ModelFacts:
    """Return what the request's models say of the rules, before anything is fetched or built.

    The user's own models are opened and checked, so that what cannot be built is refused here. Raises ``KitError``: for
    a model or dictionary that cannot be used, and for operators that no ``.nb`` file of the kit can hold.
    """
    own = {role: _given_model(request, role) for role in ROLES}
    for files in own.values():
        if files is not None and not _any_operator(request):
            check_operators(files.program_file, files.params_file)
    return ModelFacts(_detector_facts(request, own["det"]), _recogniser_facts(request, own["rec"]))


def _detector_facts(request: BuildRequest, own: ModelFiles | None) -> DetectorFacts:
    if own is not None:
        return detector_facts(own)
    return DetectorFacts(load_zoo().row(request.model("det")).max_candidates)


def _recogniser_facts(request: BuildRequest, own: ModelFiles | None) -> RecogniserFacts:
    if own is not None:
        dictionary_of(own)
        return recogniser_facts(own)
    row = load_zoo().row(request.model("rec"))
    if row.dictionary is None:
        return RecogniserFacts()
    given = request.rec_dict
    characters = row.dictionary.characters if given is None else len(read_dictionary(given).characters)
    height, width = (size if size > 0 else None for size in row.input_shape[2:])
    return RecogniserFacts(space_follows(characters, row.classes, given), height, width)


def fetch_models(run: Runner, request: BuildRequest) -> dict[Role, Fetched]:
    """Plan the stages that bring in the models."""
    return {role: run(f"fetch-{role}", fetch_model, _source(request, role)) for role in ROLES}


def make_models(
    run: Runner, request: BuildRequest, recipe: Recipe, rules: SpecProfile, converter: Converter
) -> dict[Role, BuiltModel]:
    """Plan the stages from the source to the ``.nb`` files; calibration once, and only where an algorithm looks."""
    fetched = fetch_models(run, request)
    optimised = {role: run(f"optimise-{role}", optimise_model, fetched[role]) for role in ROLES if request.optimise}
    plain: dict[Role, Model] = {**fetched, **optimised}
    quantised: dict[Role, Quantised] = {}
    if recipe.needs_calibration:
        characters = load_characters(run.result(fetched["rec"]).characters, rules.ctc)
        every = calibration_images(request.calibration, frozenset(characters))
        # Pages of more scripts teach the recogniser; detectors came out worse with them (docs/quantisation.md).
        images = {"det": calibration_images(request.calibration), "rec": every}
        lines = run("calibrate", calibrate, plain["det"], every, rules, converter)
        for role in ROLES:
            how = recipe.model(role)
            if how.algorithm is not None:
                quantised[role] = run(
                    f"quantise-{role}", quantise_model,
                    role, plain[role], lines, images[role], rules, how.algorithm,
                    how.options_for(request.model(role)), converter,
                )  # fmt: skip
    made = {}
    for role in ROLES:
        how, source = recipe.model(role), quantised.get(role, plain[role])
        options = how.convert_options(target_of(request.target).place)
        converted = run(f"convert-{role}", convert_model, role, source, options, how.activations, converter)
        made[role] = BuiltModel(fetched[role], optimised.get(role), quantised.get(role), converted)
    return made


def verify(
    run: Runner,
    request: BuildRequest,
    sources: Mapping[Role, Fetched],
    shipped: Mapping[Role, Shipped],
    rules: SpecProfile,
    images: tuple[Named, ...],
    oracle: Oracle,
) -> Verification:
    """Plan the verification of shipped files by the gates of the request's recipe."""
    limits, fp32 = recipe_gates(request.recipe), recipe_gates("fp32")
    limit = specified(rules.name).detection.longest_side
    return run("verify", verify_models, sources, shipped, rules, limit, images, limits, fp32, oracle)


def images_of(folder: Path | None) -> tuple[Named, ...]:
    """Return the project's regression images and, behind them, those of the user's folder."""
    own = user_set(folder) if folder is not None else ()
    return tuple(Named(image.name, image.path) for image in (*regression_set(), *own))


def _source(request: BuildRequest, role: Role) -> ModelSource:
    return ModelSource(
        role,
        request.model(role),
        _given_model(request, role),
        request.rec_dict if role == "rec" else None,
        _any_operator(request),
        request.offline,
    )


def _given_model(request: BuildRequest, role: Role) -> ModelFiles | None:
    """Return the user's own model for ``role``, checked, or None when the request names a row of the zoo."""
    name = request.model(role)
    if not looks_like_path(name):
        return None
    return open_model(Path(name), role, dictionary=request.rec_dict if role == "rec" else None)


def _any_operator(request: BuildRequest) -> bool:
    """Return whether models with operators that the kit does not know are taken: Paddle Lite's x86 engine runs them."""
    return target_of(request.target).place == "x86"
