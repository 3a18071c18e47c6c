"""What the stages ``apk-assets`` and ``bill`` know of licences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_kit.licences import Component, model_components
from edge_kit.stages.results import Fetched, Role


@dataclass(frozen=True)
class Redistributed:
    """What a bundle redistributes: the table's components, and its models. ``own`` names what is the user's (``det``,
    ``rec``, ``dictionary``), ``model`` holds for the others; ``texts`` is the folder of the licences.
    """

    components: tuple[Component, ...]
    model: Component
    models: Mapping[Role, Fetched]
    own: tuple[str, ...]
    texts: Path

    def all(self) -> tuple[Component, ...]:
        """Return every component."""
        names: dict[str, str] = {role: fetched.name for role, fetched in self.models.items()}
        return (*self.components, *model_components(self.model, names, self.own))
