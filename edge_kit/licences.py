"""What the kit redistributes and under which licences: ``configs/licences`` as values, and the texts for users.

In: which parts are in a bundle or an app. Out: the components, ``LICENSES.txt``, and the app's list of licences.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_kit import __version__
from edge_kit.android.config import load_android
from edge_kit.build.files import Json, json_bytes
from model_opt.config import read_config
from model_opt.errors import KitError
from model_opt.resources import config_dir

KIT = "edge-kit"
LICENSES = "LICENSES.txt"
"""The file of a bundle with every licence."""

APP_FOLDER = "licences"
"""The folder of the app's assets with the list of components and the texts."""

_RULE = "=" * 78
_UNKNOWN = "The licence is not known to edge-kit: this is the user's own file."


@dataclass(frozen=True)
class Component:
    """A part of what is redistributed.

    ``licence`` is an SPDX expression, None where nobody stated one; ``texts`` names files below ``licences/texts``.
    ``within`` is the component it is compiled into and ``library`` its name in the build information of OpenCV's
    library. ``files`` are patterns of names in a bundle or an APK, ``classes`` prefixes of class names. ``when`` holds
    facts of which one must hold; empty: it is always there.
    """

    key: str
    name: str
    version: str | None = None
    licence: str | None = None
    copyright: str | None = None
    address: str | None = None
    texts: tuple[str, ...] = ()
    within: str | None = None
    library: str | None = None
    files: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    when: tuple[str, ...] = ()
    is_model: bool = False


@dataclass(frozen=True)
class Licences:
    """The table: components by key, and what holds for every published model."""

    components: Mapping[str, Component]
    model: Component

    def present(self, facts: Collection[str]) -> tuple[Component, ...]:
        """Return the components of which one fact holds (``app``, ``paddle_lite``, an ABI) and those without any."""
        return tuple(row for row in self.components.values() if not row.when or set(row.when) & set(facts))


def texts_dir() -> Path:
    """Return the folder of the licence texts."""
    return config_dir() / "licences" / "texts"


def load_licences(path: Path | None = None) -> Licences:
    """Read ``path`` (default: ``configs/licences/components.yaml``); ``KitError`` names what is wrong with it."""
    path = path or config_dir() / "licences" / "components.yaml"
    document = read_config(path, config_dir() / "licences.schema.json")
    rows = {key: _component(key, row, path) for key, row in document["components"].items()}
    for row in rows.values():
        if row.within is not None and row.within not in rows:
            raise KitError(f"components.{row.key}.within: there is no component {row.within}", path=path)
    model = _component("model", {"name": "model", **document["models"]}, path)
    for name in {name for row in (model, *rows.values()) for name in row.texts}:
        if not (texts_dir() / name).is_file():
            raise KitError(f"there is no licence text {name}", path=path, hint=f"put it into {texts_dir()}")
    return Licences(rows, model)


def model_components(model: Component, names: Mapping[str, str], own: Collection[str]) -> tuple[Component, ...]:
    """Return components for the models and the dictionary of a bundle: ``names`` by role (``det``, ``rec``).

    ``model`` holds for the published ones; ``own`` says what is the user's (``det``, ``rec``, ``dictionary``), of which
    no licence is known.
    """
    files = {role: (f"models/{role}.nb", f"assets/bundle/models/{role}.*") for role in names}
    titles = dict(names)
    if "rec" in names:
        files["dictionary"] = ("labels.txt", "assets/bundle/labels.txt")
        titles["dictionary"] = f"dictionary of {names['rec']}"
    return tuple(
        Component(
            key=f"model-{part}",
            name=titles[part],
            files=files[part],
            is_model=part != "dictionary",
            **({} if part in own else _terms(model)),
        )
        for part in files
    )


def licences_text(components: Iterable[Component], texts: Path) -> str:
    """Return ``LICENSES.txt``: the list of components, then each text of the folder ``texts`` that they need, once."""
    components = tuple(components)
    lines = ["What is in this folder, and under which licences.", ""]
    for row in components:
        where = f", part of {row.within}" if row.within else ""
        lines += [_title(row), f"    {row.licence or _UNKNOWN}{where}"]
        lines += [f"    {row.copyright}"] if row.copyright else []
        lines += [f"    {row.address}"] if row.address else []
        lines += [f"    Text: {', '.join(row.texts)}"] if row.texts else []
        lines.append("")
    for name in sorted({name for row in components for name in row.texts}):
        lines += [_RULE, name, _RULE, "", (texts / name).read_text(encoding="utf-8")]
    return "\n".join(lines)


def app_licences(components: Iterable[Component], texts: Path) -> dict[str, bytes]:
    """Return the files of the app's screen by their names below the assets: a list, and the texts that it names."""
    components = tuple(components)
    rows: list[Json] = [
        {
            "title": _title(row),
            "licence": row.licence or _UNKNOWN,
            "copyright": row.copyright or "",
            "address": row.address or "",
            "texts": list(row.texts),
        }
        for row in components
    ]
    used = sorted({name for row in components for name in row.texts})
    listing = json_bytes({"components": rows}, what="the list of licences")
    return {
        f"{APP_FOLDER}/components.json": listing,
        **{f"{APP_FOLDER}/{name}": (texts / name).read_bytes() for name in used},
    }


def _title(row: Component) -> str:
    return f"{row.name} {row.version}" if row.version else row.name


def _terms(model: Component) -> dict[str, Any]:
    return {name: getattr(model, name) for name in ("licence", "copyright", "address", "texts")}


def _component(key: str, row: Mapping[str, Any], path: Path) -> Component:
    return Component(
        key=key,
        name=row["name"],
        version=__version__ if key == KIT else _version(key, row.get("version"), path),
        licence=row["licence"],
        copyright=row["copyright"],
        address=row.get("address"),
        texts=tuple(row["texts"]),
        within=row.get("within"),
        library=row.get("library"),
        files=tuple(row.get("files", ())),
        classes=tuple(row.get("classes", ())),
        when=tuple(row.get("when", ())),
    )


def _version(key: str, stated: str | Mapping[str, str] | None, path: Path) -> str | None:
    if stated is None or isinstance(stated, str):
        return stated
    artifacts = load_android().artifacts
    if stated["artifact"] not in artifacts:
        what = f"components.{key}.version: android.yaml has no artifact {stated['artifact']}"
        raise KitError(what, path=path, hint=f"use one of: {', '.join(artifacts)}")
    return artifacts[stated["artifact"]].version
