"""Load and check device profiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_kit.targets import target_of
from model_opt.config import read_config
from model_opt.errors import KitError
from model_opt.resources import config_dir

SettingValue = bool | int | str | tuple[str, ...]


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
        return {setting.key: setting.value for setting in self.settings}[key]

    @property
    def recipes(self) -> tuple[str, ...]:
        """The recipes that the device can run."""
        value = self.value("recipes")
        return value if isinstance(value, tuple) else (str(value),)

    def reason(self, key: str) -> str:
        """Return why ``key`` has its value; ``KeyError`` for a key that no profile has."""
        return {setting.key: setting.reason for setting in self.settings}[key]


def list_profiles() -> tuple[DeviceProfile, ...]:
    """Return the profiles of the kit, by name."""
    return tuple(_read(path) for path in sorted((config_dir() / "devices").glob("*.yaml")))


def load_profile(name: str) -> DeviceProfile:
    """Return a profile by its name, or from the path of a user's own profile file.

    Raises ``DeviceError`` that lists the known names, or names the key of the file that is wrong and what it may be.
    """
    known = {path.stem: path for path in (config_dir() / "devices").glob("*.yaml")}
    if name in known:
        return _read(known[name])
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return _read(Path(name))
    names = ", ".join(sorted(known))
    raise DeviceError(f"unknown device profile {name!r}", hint=f"use one of: {names}; or the path of your own")


def default_profile(target: str) -> DeviceProfile:
    """Return the profile of a target where none is named; ``KitError`` for an unknown target."""
    return load_profile(target_of(target).profile)


def check_fit(profile: DeviceProfile, target: str, recipe: str) -> None:
    """Raise ``DeviceError`` when the profile's device cannot run files for ``target`` made by ``recipe``."""
    if profile.target != target:
        fitting = ", ".join(p.name for p in list_profiles() if p.target == target)
        raise DeviceError(
            f"device profile {profile.name!r} is for target {profile.target}, not {target}",
            hint=f"use --target {profile.target}, or one of the profiles for {target}: {fitting}",
        )
    if recipe not in profile.recipes:
        raise DeviceError(
            f"device profile {profile.name!r} cannot run recipe {recipe!r}: {profile.reason('recipes')}",
            hint=f"use one of its recipes: {', '.join(profile.recipes)}",
        )


def _read(path: Path) -> DeviceProfile:
    document = read_config(path, config_dir() / "devices" / "schema.json", DeviceError)
    settings = tuple(Setting(key, _value(row["value"]), row["reason"]) for key, row in document["settings"].items())
    profile = DeviceProfile(path.stem, document["description"], document["target"], settings)
    for what, remedy in _contradictions(profile):
        raise DeviceError(what, path=path, hint=remedy)
    return profile


def _value(raw: Any) -> SettingValue:
    """Return a value as the profile holds it; 4.0 counts as an integer to JSON Schema, and becomes one."""
    if isinstance(raw, list):
        return tuple(map(str, raw))
    if isinstance(raw, float):
        return int(raw)
    if isinstance(raw, bool | int):
        return raw
    return str(raw)


def _contradictions(profile: DeviceProfile) -> Iterator[tuple[str, str]]:
    """Yield settings that cannot hold together, each with what to do about it."""
    target, recipes, row = profile.target, ", ".join(profile.recipes), target_of(profile.target)
    abi, recipe, fp16, opencl = (profile.value(key) for key in ("abi", "recipe", "fp16", "opencl"))
    if abi != row.abi:
        yield f"settings.abi: {abi} is not the ABI of target {target}", f"use {row.abi}, or another target"
    if recipe not in profile.recipes:
        yield f"settings.recipe: {recipe} is not among settings.recipes", f"use one of: {recipes}"
    if opencl != (row.place == "opencl"):
        yield (
            f"settings.opencl: {str(opencl).lower()} does not fit target {target}",
            "the files of target arm64-opencl run on the GPU, those of every other target do not",
        )
    if row.fp16 and not fp16:
        yield f"settings.fp16: false does not fit target {target}", "use target arm64, or set it to true"
    if "fp16" in profile.recipes and not row.fp16:
        yield f"settings.recipes: fp16 cannot be built for target {target}", "leave it out, or use target arm64-fp16"
    if opencl and profile.recipes != ("fp32",):
        yield f"settings.recipes: {recipes} for the GPU, which takes only fp32", "use [fp32]"
