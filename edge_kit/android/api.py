"""Does the app use only what Android has since its lowest version? Every reference of the dex is looked up.

The list of an API level comes from animal-sniffer's signature files: a gzipped Java object stream of ``Clazz`` values
(name, superclass, interfaces, members) with a null at the end.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_kit.android.dex import DexFile, Member
from edge_kit.android.errors import AndroidError


@dataclass(frozen=True)
class ApiClass:
    """A class of an API level: its superclass and interfaces, and its members as ``name(arguments)result`` or
    ``name#type``."""

    parents: tuple[str, ...]
    members: frozenset[str]


Api = Mapping[str, ApiClass]

_OF_JAVAOBJ = (ValueError, LookupError, TypeError, AttributeError, RuntimeError, NameError)
"""What javaobj raises for a stream that is none."""


def read_api(path: Path) -> dict[str, ApiClass]:
    """Return the classes of a signature file by name; ``AndroidError`` when it is damaged."""
    import javaobj.v2 as javaobj

    try:
        *rows, end = javaobj.loads(gzip.decompress(path.read_bytes()))
        if end is not None:
            raise ValueError("its end is missing")
        return {str(row.name): _class(row) for row in rows}
    except (OSError, EOFError, zlib.error, struct.error, *_OF_JAVAOBJ) as error:
        message = f"the list of Android's classes is damaged: {error}"
        raise AndroidError(message, path=path, hint="fetch it again") from error


def _class(row: Any) -> ApiClass:
    parents = [*filter(None, [row.superClass]), *(row.superInterfaces or ())]
    return ApiClass(tuple(map(str, parents)), frozenset(map(str, row.signatures)))


def unknown_references(dex: DexFile, api: Api, newer: Collection[str] = ()) -> tuple[str, ...]:
    """Return what ``dex`` refers to that neither it nor ``api`` has: classes, then members as ``class.name(…)…``.

    A member may be inherited from any class or interface above. ``newer`` names classes, and members as
    ``class.name``, that the app reaches only on Android versions that have them.
    """
    lost = {name for name in dex.referred if name not in dex.classes and name not in api}
    lost = {name for name in lost if not name.startswith("dalvik/annotation/")}  # the dex format's own
    found = [name for name in sorted(lost) if name not in newer]
    spelt = [(m, f"{m.name}{m.shape}") for m in dex.methods] + [(f, f"{f.name}#{f.shape}") for f in dex.fields]
    for member, signature in spelt:
        qualified = f"{member.owner}.{member.name}"
        excused = not member.owner or member.owner in lost or qualified in newer
        if not excused and not _known(member, signature, dex, api):
            found.append(f"{qualified}{member.shape}")
    return tuple(found)


def _known(member: Member, signature: str, dex: DexFile, api: Api) -> bool:
    """Look for a member on its class and on everything above that."""
    pending, seen = [member.owner], set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in dex.classes:
            if Member(name, member.name, member.shape) in dex.declared:
                return True
            pending += dex.classes[name]
        elif name in api:
            if signature in api[name].members:
                return True
            # An interface's value can do what every object can.
            pending += api[name].parents or ("java/lang/Object",)
    return False
