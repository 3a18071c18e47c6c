"""The bill of materials of a bundle: CycloneDX JSON that names every file of it, and of its app, with its licence.

In: the files' sums and what the app's code and library say of themselves. Out: bytes without times or random numbers;
``KitError`` for anything that no component claims.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edge_kit import __version__
from edge_kit.build.files import FileSum, Json, json_bytes
from edge_kit.licences import KIT, Component
from model_opt.errors import KitError

BILL = "bom.cdx.json"
"""The file of a bundle with the bill of materials."""

SPEC_VERSION = "1.6"
"""The version of CycloneDX."""

CODE = "classes.dex"

_DEPENDENCIES = re.compile(rb"(?:3rdparty|Extra) dependencies: *([^\n]*)")
_FLATBUFFERS = re.compile(rb"Flatbuffers: +builtin")
_OF_ANDROID = frozenset({"z", "dl", "m", "log", "android", "mediandk"})
"""Libraries of the device, which OpenCV's build information names among what it needs."""


@dataclass(frozen=True)
class App:
    """The app of a bundle: its file, the files in it, its classes, and what its OpenCV library was built with."""

    name: str
    members: Mapping[str, FileSum]
    classes: frozenset[str]
    libraries: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Subject:
    """What a bill is about."""

    target: str
    recipe: str
    files: Mapping[str, FileSum]
    app: App | None = None


def libraries_in(opencv: bytes) -> frozenset[str]:
    """Return the names of the libraries that are compiled into OpenCV's, by its own build information.

    Raises ``KitError`` when the library holds none: then nothing is known of what is in it.
    """
    found = _DEPENDENCIES.findall(opencv)
    if not found:
        raise KitError(
            "OpenCV's library does not say what was compiled into it", hint="use an official build of OpenCV"
        )
    names = {name for line in found for name in line.decode("ascii", "replace").split()} - _OF_ANDROID
    return frozenset(names | ({"flatbuffers"} if _FLATBUFFERS.search(opencv) else set()))


def bill_of_materials(subject: Subject, components: Sequence[Component]) -> bytes:
    """Return the bill of a bundle as JSON.

    Each file is a component of the type ``file`` with its SHA-256; ``dependencies`` say which components a file is
    made of, and which are compiled into others. Raises ``KitError`` for a file, class or library of no component.
    """
    app = subject.app
    links: dict[str, list[str]] = {row.key: [] for row in components}
    for row in components:
        if row.within is not None:
            links[row.within].append(row.key)
    for name in subject.files:
        links[_ref(name)] = _owners(name, components)
    rows: list[Json] = [_component(row) for row in components]
    for name, total in sorted(subject.files.items()):
        rows.append(_file(_ref(name), name, total, app.members if app and name == app.name else {}))
    if app is not None:
        _check_libraries(app, components)
        for name in app.members:
            owners = _code_owners(app, components) if name == CODE else _owners(name, components)
            links[_ref(name, app.name)] = owners
        links[_ref(app.name)] = sorted({*links[_ref(app.name)], *(_ref(name, app.name) for name in app.members)})
    links["bundle"] = sorted(map(_ref, subject.files))
    document: dict[str, Json] = {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC_VERSION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": KIT, "version": __version__}]},
            "component": {
                "type": "data",
                "bom-ref": "bundle",
                "name": f"edge-kit bundle for {subject.target}",
                "version": __version__,
                "properties": [
                    {"name": "edge-kit:target", "value": subject.target},
                    {"name": "edge-kit:recipe", "value": subject.recipe},
                ],
            },
        },
        "components": rows,
        "dependencies": [{"ref": ref, "dependsOn": sorted(needs)} for ref, needs in sorted(links.items())],
    }
    return json_bytes(document, what="the bill of materials")


def _owners(name: str, components: Iterable[Component]) -> list[str]:
    found = [row.key for row in components if any(fnmatch.fnmatchcase(name, pattern) for pattern in row.files)]
    return found or _unclaimed(f"the file {name}")


def _code_owners(app: App, components: Iterable[Component]) -> list[str]:
    """Return the components whose classes are in the app's code."""
    owners = set()
    for name in sorted(app.classes):
        found = [row.key for row in components if name.startswith(row.classes or ("\0",))]
        owners |= set(found or _unclaimed(f"the class {name}"))
    return sorted(owners)


def _check_libraries(app: App, components: Iterable[Component]) -> None:
    lost = app.libraries - {row.library for row in components}
    if lost:
        _unclaimed(f"{', '.join(sorted(lost))}, which OpenCV's library says it contains")


def _unclaimed(what: str) -> list[str]:
    raise KitError(
        f"the bill of materials has no component for {what}", hint="add it to configs/licences/components.yaml"
    )


def _component(row: Component) -> dict[str, Json]:
    terms: list[Json] = [{"expression": row.licence} if row.licence else {"license": {"name": "not stated"}}]
    return {
        "type": "machine-learning-model" if row.is_model else "application" if row.key == KIT else "library",
        "bom-ref": row.key,
        "name": row.name,
        **({"version": row.version} if row.version else {}),
        **({"copyright": row.copyright} if row.copyright else {}),
        "licenses": terms,
        **({"externalReferences": [{"type": "website", "url": row.address}]} if row.address else {}),
    }


def _file(ref: str, name: str, total: FileSum, members: Mapping[str, FileSum]) -> dict[str, Json]:
    inside: list[Json] = [_file(_ref(m, name), m, members[m], {}) for m in sorted(members)]
    return {
        "type": "file",
        "bom-ref": ref,
        "name": name,
        "hashes": [{"alg": "SHA-256", "content": total.sha256}],
        "properties": [{"name": "edge-kit:bytes", "value": str(total.bytes)}],
        **({"components": inside} if inside else {}),
    }


def _ref(name: str, app: str = "") -> str:
    return f"file:{app}!{name}" if app else f"file:{name}"
