"""Load and check device profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_kit.spec.load import SpecError, check_schema, read_yaml
from model_opt.errors import KitError
from model_opt.resources import config_dir

SettingValue = bool | int | str | tuple[str, ...]

DEFAULTS: Mapping[str, str] = {
    "arm64": "generic-arm64",
    "arm64-fp16": "arm64-fp16",
    "arm64-opencl": "arm64-opencl-adreno",
    "armv7": "armv7",
    "x86": "x86",
}
"""The profile of each target where the user names none."""


class DeviceError(KitError):
    """A profile that does not exist, is malformed, or cannot run what is asked for."""


@dataclass(frozen=True)
class Setting:
    """One value of a profile, and why it has it."""

    key: str
    value: SettingValue
    reason: str


@dataclass(frozen=True)
class DeviceProfile:
    """A device or a family of them. ``settings`` keep the order of the file."""

    name: str
    description: str
    target: str
    settings: tuple[Setting, ...]

    def value(self, key: str) -> SettingValue:
        """Return the value of ``key``; ``KeyError`` for a key that no profile has."""
        return next(setting.value for setting in self.settings if setting.key == key)

    @property
    def recipes(self) -> tuple[str, ...]:
        """The recipes that the device can run."""
        value = self.value("recipes")
        return value if isinstance(value, tuple) else (str(value),)


def list_profiles() -> tuple[DeviceProfile, ...]:
    """Return the profiles of the kit, by name."""
    return tuple(_read(path) for path in sorted((config_dir() / "devices").glob("*.yaml")))


def load_profile(name: str) -> DeviceProfile:
    """Return a profile by its name, or from the path of a user's own profile file.

    Raises ``DeviceError`` that lists the known names, or names the key of the file that is wrong and what it may be.
    """
    own = Path(name)
    if own.suffix in {".yaml", ".yml"} or "/" in name:
        return _read(own)
    path = config_dir() / "devices" / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml")))
        raise DeviceError(f"unknown device profile {name!r}", hint=f"use one of: {known}; or the path of your own")
    return _read(path)


def default_profile(target: str) -> DeviceProfile:
    """Return the profile of a target where none is named; ``DeviceError`` for an unknown target."""
    if target not in DEFAULTS:
        raise DeviceError(f"unknown target {target!r}", hint=f"use one of: {', '.join(DEFAULTS)}")
    return load_profile(DEFAULTS[target])


def check_fit(profile: DeviceProfile, target: str, recipe: str) -> None:
    """Raise ``DeviceError`` when the profile's device cannot run files for ``target`` made by ``recipe``."""
    if profile.target != target:
        fitting = ", ".join(p.name for p in list_profiles() if p.target == target)
        raise DeviceError(
            f"device profile {profile.name!r} is for target {profile.target}, not {target}",
            hint=f"use --target {profile.target}, or one of the profiles for {target}: {fitting}",
        )
    if recipe not in profile.recipes:
        reason = next(s.reason for s in profile.settings if s.key == "recipes")
        raise DeviceError(
            f"device profile {profile.name!r} cannot run recipe {recipe!r}: {reason}",
            hint=f"use one of its recipes: {', '.join(profile.recipes)}",
        )


def _read(path: Path) -> DeviceProfile:
    try:
        document = read_yaml(path)
        check_schema(document, config_dir() / "devices" / "schema.json", path)
    except SpecError as error:
        raise DeviceError(error.what, path=error.path, hint=error.hint) from error
    settings = tuple(
        Setting(key, tuple(row["value"]) if isinstance(row["value"], list) else row["value"], row["reason"])
        for key, row in document["settings"].items()
    )
    profile = DeviceProfile(path.stem, document["description"], document["target"], settings)
    if profile.value("recipe") not in profile.recipes:
        raise DeviceError(
            f"settings.recipe: {profile.value('recipe')} is not among settings.recipes",
            path=path,
            hint=f"use one of: {', '.join(profile.recipes)}",
        )
    return profile
