"""The pages of what ``configs/`` says: recipes, gates, model sets, device profiles, each with its reasons."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
LIMITS = {"at_most": "at most", "at_least": "at least"}
NO_BREAK = "&nbsp;"


def table_pages() -> dict[str, str]:
    """Return the pages by their path."""
    return {
        "reference/recipes.md": _recipes(_read("recipes.yaml")),
        "reference/gates.md": _gates(_read("gates.yaml")),
        "reference/sets.md": _sets(_read("models.yaml")),
        "reference/devices.md": _devices({path.stem: path for path in sorted((CONFIGS / "devices").glob("*.yaml"))}),
    }


def _read(name: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CONFIGS / name).read_text(encoding="utf-8"))
    return found


def _recipes(document: dict[str, Any]) -> str:
    lines = [
        "# Recipes",
        "",
        "Made from `configs/recipes.yaml`. How each works and what it was measured to cost: "
        "[Quantisation](../quantisation.md).",
        "",
        f"`--recipe auto` takes the first whose gates pass: {', '.join(f'`{one}`' for one in document['auto'])}.",
    ]
    for name, recipe in document["recipes"].items():
        lines += ["", f"## {name}", "", f"{recipe['description']}.", ""]
        lines += ["| | |", "|---|---|", f"| take it | {recipe['choose']} |", f"| costs | {recipe['costs']} |"]
        lines += [f"| kernels | {', '.join(recipe['places'])} |"]
        for role, model in recipe["models"].items():
            how = f", algorithm `{model['algorithm']}`" if model.get("algorithm") else ""
            lines.append(f"| {role} | weights {model['weights']}, arithmetic in {model['activations']}{how} |")
            lines += [f"| refused for `{one}` | {why} |" for one, why in model.get("refused", {}).items()]
    return "\n".join(lines) + "\n"


def _gates(document: dict[str, Any]) -> str:
    lines = [
        "# Gates",
        "",
        "Made from `configs/gates.yaml`. A bundle is written only if all gates of its recipe pass; a metric that was "
        "not measured fails its gate. The reference is the original model on the engine `server`.",
    ]
    metrics = document["metrics"]
    for name, recipe in document["recipes"].items():
        lines += ["", f"## {name}", "", recipe["description"], "", "| metric | limit | why |", "|---|---|---|"]
        for gate in recipe["gates"]:
            limit = next(f"{words} {gate[key]:g}" for key, words in LIMITS.items() if key in gate)
            title = metrics[gate["metric"]]["title"]
            lines.append(f"| {title} (`{gate['metric']}`) | {limit.replace(' ', NO_BREAK)} | {_cell(gate['why'])} |")
    return "\n".join(lines) + "\n"


def _sets(document: dict[str, Any]) -> str:
    lines = [
        "# Model sets",
        "",
        "Made from `configs/models.yaml`. `--models` takes the name of a set. Your own models: "
        "[Your own models](../own-models.md).",
        "",
        "| set | about | detector | recogniser | specification profile |",
        "|---|---|---|---|---|",
    ]
    for name, one in document["sets"].items():
        lines.append(f"| `{name}` | {one['about']} | `{one['det']}` | `{one['rec']}` | `{one['profile']}` |")
    return "\n".join(lines) + "\n"


def _devices(files: dict[str, Path]) -> str:
    lines = [
        "# Device profiles",
        "",
        "Made from `configs/devices`. `--device-profile` takes a name, or a file of the same form. Nothing here was "
        "measured on a phone; `edge-kit bench` measures and writes a profile.",
    ]
    for name, path in files.items():
        profile = _read(path)
        lines += ["", f"## {name}", "", f"{profile['description']}. Target `{profile['target']}`.", ""]
        lines += ["| setting | value | reason |", "|---|---|---|"]
        for key, setting in profile["settings"].items():
            lines.append(f"| `{key}` | `{_value(setting['value'])}` | {_cell(setting['reason'])} |")
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, Iterable) and not isinstance(value, str) else str(value)


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")
