"""The stages ``fetch-det``, ``fetch-rec``, ``convert-det`` and ``convert-rec``."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from edge_kit.build.cache import Facts
from edge_kit.build.fingerprint import code_fingerprint
from edge_kit.build.graph import Stage, StageContext
from edge_kit.recipes import ModelRecipe
from edge_kit.recogniser import facts_of
from edge_kit.settings import looks_like_path
from edge_kit.spec import RecogniserFacts
from edge_kit.stages.request import ROLES, BuildRequest, Role, place_of_target
from model_opt.convert import Converter, ModelPair
from model_opt.dictionary import read_dictionary, space_follows
from model_opt.errors import KitError
from model_opt.files import sha256_file
from model_opt.nb import inspect_nb, read_nb
from model_opt.paddle_model import read_model, write_model
from model_opt.passes import optimise
from model_opt.zoo import ModelFiles, check_operators, fetch, load_zoo, open_model, with_dictionary

PROGRAM, PARAMETERS, DICTIONARY = "inference.pdmodel", "inference.pdiparams", "dict.txt"


def given_model(request: BuildRequest, role: Role) -> ModelFiles | None:
    """Return the user's own model for ``role``, checked, or None when the request names a row of the zoo."""
    name = request.model(role)
    if not looks_like_path(name):
        return None
    return open_model(Path(name), role, dictionary=request.rec_dict if role == "rec" else None)


def recogniser_of(request: BuildRequest) -> RecogniserFacts:
    """Return what the request's recogniser says of lines and classes, before anything is fetched or built.

    The user's own models are opened and checked, the detector's too, so that what cannot be built is refused here.
    Raises ``KitError``: for a model or dictionary that cannot be used, and for operators that no ``.nb`` file of the
    kit can hold.
    """
    for role in ROLES:
        own = given_model(request, role)
        if own is not None:
            _check_convertible(own, request)
    if own is not None:  # the recogniser, the last of the roles
        _dictionary_of(own)
        return facts_of(own)
    row = load_zoo().row(request.model("rec"))
    if row.dictionary is None:
        return RecogniserFacts()
    given = request.rec_dict
    characters = row.dictionary.characters if given is None else len(read_dictionary(given).characters)
    height, width = (size if size > 0 else None for size in row.input_shape[2:])
    return RecogniserFacts(space_follows(characters, row.classes, given), height, width)


def _dictionary_of(recogniser: ModelFiles) -> Path:
    """Return the dictionary; raise ``KitError`` when the recogniser has none."""
    if recogniser.dictionary is None:
        raise KitError("the recogniser has no dictionary", path=recogniser.pdmodel, hint="name it with --rec-dict")
    return recogniser.dictionary


def _check_convertible(files: ModelFiles, request: BuildRequest) -> None:
    """Raise ``ZooError`` for operators that the kit does not know; on x86 Paddle Lite's own engine runs the file."""
    if place_of_target(request.target) != "x86":
        check_operators(files.pdmodel)


def fetch_stage(role: Role, request: BuildRequest) -> Stage:
    """Return the stage that brings the model's files, and the recogniser's dictionary, into the build."""
    own = given_model(request, role)
    name = request.model(role)
    key = {"code": code_fingerprint(__name__)}
    key |= {"kernels": place_of_target(request.target)}
    if own is not None:
        key |= {"own": own.fingerprint}
    else:
        key |= {"row": repr(load_zoo().row(name)), "dict": _sum(request.rec_dict) if role == "rec" else ""}

    def run(context: StageContext) -> Facts:
        files = own or fetch(name, offline=request.offline, progress=_bytes_progress(context))
        if files.kind != role:
            raise KitError(f"model {name!r} is of kind {files.kind}, and a {role} model is needed here")
        if role == "rec" and request.rec_dict is not None:
            files = with_dictionary(files, request.rec_dict)
        if role == "rec":
            _dictionary_of(files)
        _check_convertible(files, request)
        shutil.copyfile(files.pdmodel, context.out / PROGRAM)
        shutil.copyfile(files.pdiparams, context.out / PARAMETERS)
        notes: tuple[str, ...] = ()
        if files.dictionary is not None:
            shutil.copyfile(files.dictionary, context.out / DICTIONARY)
            notes = read_dictionary(files.dictionary).notes
        return {"name": files.name, "source": files.source, "warnings": list(notes)}

    return Stage(f"fetch-{role}", run, key=key)


def optimise_stage(role: Role) -> Stage:
    """Return the stage that rewrites the fetched model's program into one with fewer operators, same results."""
    key = {"code": code_fingerprint(__name__)}

    def run(context: StageContext) -> Facts:
        files = fetched(context.inputs, role)
        context.progress(None, "passes")
        model, reports = optimise(read_model(files.pdmodel, files.pdiparams))
        write_model(model, context.out / PROGRAM, context.out / PARAMETERS)
        return {
            "ops_before": reports[0].ops_before,
            "ops_after": reports[-1].ops_after,
            "passes": {f"{i:02d} {r.name}": dict(r.done) for i, r in enumerate(reports) if r.changed},
            "left": sum(len(report.left) for report in reports),
        }

    return Stage(f"optimise-{role}", run, needs=(f"fetch-{role}",), key=key)


def convert_stage(role: Role, recipe: ModelRecipe, place: str, converter: Converter, source: str) -> Stage:
    """Return the stage that converts the model left by stage ``source`` to a canonical ``.nb`` file."""
    options = recipe.convert_options(place)
    key = {
        "options": f"{options.label} {recipe.activations}",
        "converter": converter.cache_key,
        "code": code_fingerprint(__name__),
    }

    def run(context: StageContext) -> Facts:
        context.progress(None, f"{converter.name} {converter.opt_version}, {options.label}")
        target = context.out / f"{role}.nb"
        folder = context.inputs[source]
        done = converter.convert(ModelPair(folder / PROGRAM, folder / PARAMETERS), options, target)
        summary = inspect_nb(read_nb(target), pinned_opt=converter.opt_version)
        if recipe.activations == "int8" and "static_int8" not in summary.precision:
            raise KitError(f"no int8 kernel was made of the quantised {role} model, but {summary.precision}")
        return {
            "nb": target.name,
            "opt_version": done.opt_version,
            "converter": converter.name,
            "place": summary.place,
            "precision": summary.precision,
            "ops": summary.ops,
            "io_copy": summary.io_copy,
            "calib": summary.calib,
            "layout": summary.layout,
            "param_bytes": summary.param_bytes,
            "params": {p.data_type: {"count": p.count, "bytes": p.nbytes} for p in summary.params},
            "op_histogram": dict(summary.op_histogram),
            "warnings": [warning.text for warning in summary.warnings],
            "sha256": done.sha256,
            "bytes": done.nbytes,
        }

    return Stage(f"convert-{role}", run, needs=(source,), key=key)


def _sum(dictionary: Path | None) -> str:
    if dictionary is None:
        return ""
    try:
        return sha256_file(dictionary)
    except OSError as error:
        raise KitError(f"cannot read the dictionary: {error.strerror}", path=dictionary) from error


def fetched(inputs: Mapping[str, Path], role: Role) -> ModelFiles:
    """Return the model that the fetch stage of ``role`` left in its folder."""
    folder = inputs[f"fetch-{role}"]
    return open_model(folder, role, dictionary=folder / DICTIONARY if role == "rec" else None)


def _bytes_progress(context: StageContext) -> Callable[[str, int, int | None], None]:
    def report(label: str, done: int, total: int | None) -> None:
        context.progress(done / total if total else None, label)

    return report
