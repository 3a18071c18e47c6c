"""The stage ``bill``: ``LICENSES.txt`` and the bill of materials of a bundle."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

from edge_kit.android.dex import read_dex
from edge_kit.android.native import OPENCV
from edge_kit.bill import BILL, CODE, App, Subject, bill_of_materials, libraries_in
from edge_kit.build.files import FileSum, SealedFile, write_files
from edge_kit.build.stage import StageContext
from edge_kit.licences import LICENSES, licences_text
from edge_kit.stages.redistributed import Redistributed
from model_opt.fs import sha256_bytes


@dataclass(frozen=True)
class Bill:
    """The licences of a bundle, and its bill of materials."""

    licences: SealedFile
    materials: SealedFile


def write_bill(
    context: StageContext,
    target: str,
    recipe: str,
    files: Mapping[str, SealedFile],
    what: Redistributed,
    apk: str | None,
) -> Bill:
    """Write both for the bundle's ``files``, of which ``apk`` is the app; ``KitError`` for what no component claims."""
    components = what.all()
    text = licences_text(components, what.texts)
    licences = write_files(context.out, {LICENSES: text.encode("utf-8")})[LICENSES]
    sums = {name: file.sum for name, file in files.items()} | {LICENSES: licences.sum}
    app = _read_app(apk, files[apk]) if apk is not None else None
    bill = bill_of_materials(Subject(target, recipe, sums, app), components)
    return Bill(licences, write_files(context.out, {BILL: bill})[BILL])


def _read_app(name: str, file: SealedFile) -> App:
    """Return what an APK says of itself."""
    members: dict[str, FileSum] = {}
    libraries: set[str] = set()
    classes: set[str] = set()
    with zipfile.ZipFile(file.path) as archive:
        for member in archive.namelist():
            data = archive.read(member)
            members[member] = FileSum(sha256_bytes(data), len(data))
            if member == CODE:
                classes |= set(read_dex(data, member).classes)
            elif member.endswith(f"/{OPENCV}"):
                libraries |= libraries_in(data)
    return App(name, members, frozenset(classes), frozenset(libraries))
