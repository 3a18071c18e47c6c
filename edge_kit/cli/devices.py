"""``edge-kit devices list|show``."""

from __future__ import annotations

import dataclasses

from edge_kit.cli.render import console, table, write_json
from edge_kit.devices import list_profiles, load_profile


def run_list(*, as_json: bool) -> None:
    """Print the device profiles."""
    profiles = list_profiles()
    if as_json:
        write_json([{"name": p.name, "target": p.target, "description": p.description} for p in profiles])
        return
    console().print(table(("name", "target", "for"), [(p.name, p.target, p.description) for p in profiles]))


def run_show(name: str, *, as_json: bool) -> None:
    """Print one profile with the reason of each value."""
    profile = load_profile(name)
    if as_json:
        write_json(dataclasses.asdict(profile))
        return
    rows = [(s.key, ", ".join(s.value) if isinstance(s.value, tuple) else s.value, s.reason) for s in profile.settings]
    title = f"{profile.name} (target {profile.target}): {profile.description}"
    console().print(table(("setting", "value", "reason"), rows, title))
