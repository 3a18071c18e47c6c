"""What a user asks a build for, and the checks that come before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from edge_kit.android.identity import check_app_name, check_application_id, check_version_code
from edge_kit.recipes import Recipe
from edge_kit.settings import chosen_models
from edge_kit.spec import SpecError, profile
from edge_kit.stages.results import ROLES, Role
from edge_kit.targets import TARGETS, Target, target_of
from model_opt.convert import CONVERTERS
from model_opt.errors import KitError
from model_opt.zoo import ModelSet


@dataclass(frozen=True)
class AppRequest:
    """What a user asks of the Android app: processors, a key of the user's own, Paddle Lite's runtime, what the app is
    called. None means the kit's default.
    """

    abis: tuple[str, ...]
    keystore: Path | None = None
    lite_runtime: Path | None = None
    require_lite: bool = False
    application_id: str | None = None
    name: str | None = None
    version_code: int | None = None


@dataclass(frozen=True)
class BuildRequest:
    """The options of ``edge-kit build``, as given."""

    target: str
    recipe: str
    out: Path
    device_profile: str | None = None
    models: str | None = None
    det_model: str | None = None
    rec_model: str | None = None
    rec_dict: Path | None = None
    spec: str | None = None
    images: Path | None = None
    offline: bool = False
    jobs: int = 2
    allow_failed_gates: bool = False
    optimise: bool = True
    converter: str = "own"
    calibration: Path | None = None
    app: AppRequest | None = None

    def model(self, role: Role) -> str:
        """Return the name or path of the model for ``role``."""
        return self._chosen.det if role == "det" else self._chosen.rec

    @property
    def inputs(self) -> tuple[Path | str | None, ...]:
        """What the user may have named by its path: files and folders that are read, and names."""
        files = (self.device_profile, self.det_model, self.rec_model, self.rec_dict, self.images, self.calibration)
        return files if self.app is None else (*files, self.app.keystore, self.app.lite_runtime)

    @property
    def profile(self) -> str:
        """The name of the specification profile: the given one, else that of the models' set."""
        return self._chosen.profile

    @cached_property
    def _chosen(self) -> ModelSet:
        return chosen_models(self.models, self.det_model, self.rec_model, self.spec)


def check_recipe(recipe: Recipe, target: Target) -> None:
    """Raise ``KitError`` for a recipe that the target cannot run."""
    if target.place not in recipe.places:
        places = " and ".join(recipe.places)
        raise KitError(
            f"recipe {recipe.name} exists for {places}, and target {target.name} runs on {target.place}",
            hint="choose another --recipe or --target",
        )
    if "fp16" in (recipe.det.activations, recipe.rec.activations) and not target.fp16:
        raise KitError(
            f"recipe {recipe.name} needs a target whose cores compute in fp16 (ARMv8.2), and {target.name} has none",
            hint="use --target arm64-fp16, or another recipe",
        )


def check_models(request: BuildRequest, recipe: Recipe, roles: Sequence[Role] = ROLES) -> None:
    """Raise ``KitError`` for a recipe that was measured on a model of the request and is not for it.

    With ``request.allow_failed_gates`` it is built nevertheless.
    """
    for role in roles:
        name = request.model(role)
        measured = recipe.model(role).refused.get(name)
        if measured is not None and not request.allow_failed_gates:
            raise KitError(
                f"recipe {recipe.name} is not for {name}: {measured}",
                hint="choose another --recipe, or add --allow-failed-gates",
            )


def check_profile(request: BuildRequest) -> None:
    """Raise ``SpecError`` for an unknown profile, and for one that the app does not have."""
    if profile(request.profile).host_only:
        raise SpecError(
            f"profile {request.profile} is for reading on a host, and the app does not have it",
            hint="choose another --spec; 'edge-kit ocr' reads with every profile",
        )


def check_converter(request: BuildRequest) -> None:
    """Raise ``KitError`` for an unknown converter, and for the own writer without the passes that it rests on."""
    if request.converter not in CONVERTERS:
        raise KitError(f"unknown converter {request.converter!r}", hint=f"use one of: {', '.join(CONVERTERS)}")
    if request.converter == "own" and not request.optimise:
        raise KitError(
            "the kit's own writer takes programs that the passes have seen",
            hint="leave --no-optimise off, or add --converter opt",
        )


def app_request(
    target: str,
    wanted: bool | None,
    abi: str | None,
    keystore: Path | None = None,
    lite_runtime: Path | None = None,
    require_lite: bool = False,
    application_id: str | None = None,
    name: str | None = None,
    version_code: int | None = None,
) -> AppRequest | None:
    """Return what ``build`` makes of its options for the app: by default one for every target that Android runs.

    ``abi`` is a list with commas. Raises ``KitError`` for options without an app, for a target without one, and for an
    id, name or version code that no Android app can have.
    """
    row = target_of(target)
    if wanted is False or (wanted is None and not row.app):
        options = {
            "--abi": abi, "--keystore": keystore, "--lite-runtime": lite_runtime,
            "--require-lite": require_lite or None, "--application-id": application_id, "--app-name": name,
            "--version-code": version_code,
        }  # fmt: skip
        given = [option for option, value in options.items() if value is not None]
        if given:
            raise KitError(
                f"{', '.join(given)}: only a build with the app takes this", hint="leave it out, or use --apk"
            )
        return None
    if not row.app:
        fitting = ", ".join(name for name, other in TARGETS.items() if other.app)
        raise KitError(f"there is no app for target {target}", hint=f"use --no-apk, or one of: {fitting}")
    abis = tuple(dict.fromkeys(part.strip() for part in abi.split(","))) if abi else (row.abi,)
    return AppRequest(
        abis,
        keystore,
        lite_runtime,
        require_lite,
        None if application_id is None else check_application_id(application_id),
        None if name is None else check_app_name(name),
        None if version_code is None else check_version_code(version_code),
    )
