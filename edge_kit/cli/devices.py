"""``edge-kit devices list|show``."""

from __future__ import annotations

import dataclasses

from edge_kit.cli.render import show, table
from edge_kit.devices import list_profiles, load_profile


def run_list(*, as_json: bool) -> None:
    """Print the device profiles."""
    profiles = list_profiles()
    document = [{"name": p.name, "target": p.target, "description": p.description} for p in profiles]
    rows = [(p.name, p.target, p.description) for p in profiles]
    show(document, table(("name", "target", "for"), rows), as_json=as_json)


def run_show(name: str, *, as_json: bool) -> None:
    """Print one profile with the reason of each value."""
    profile = load_profile(name)
    rows = [(s.key, ", ".join(s.value) if isinstance(s.value, tuple) else s.value, s.reason) for s in profile.settings]
    title = f"{profile.name} (target {profile.target}): {profile.description}"
    show(dataclasses.asdict(profile), table(("setting", "value", "reason"), rows, title), as_json=as_json)
