"""The APK itself: put together from its parts, and read back to check every promise it makes."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from edge_kit.android.app_onnx import check_declared
from edge_kit.android.archive import SO_ALIGN, STORED_ALIGN, Entry, write_archive
from edge_kit.android.axml import Element, read_axml
from edge_kit.android.errors import ApkFault
from edge_kit.android.identity import check_application_id
from edge_kit.android.lite import JNI
from edge_kit.android.native import check_libraries
from edge_kit.android.summary import ApkSummary, Parts

_STORED_KINDS = (".arsc", ".png", ".jpg", ".webp")
_SIGNING_MAGIC = b"APK Sig Block 42"
_SCHEMES: Mapping[int, str] = {0x7109871A: "v2", 0xF05368C0: "v3"}
_MODELS = "assets/bundle/models/"
_COMPONENTS = ("activity", "activity-alias", "service", "receiver", "provider")


def assemble(
    base: Path, dex: Path, assets: Mapping[str, bytes], native: Mapping[str, bytes], *, stored: bool,
    packed: Mapping[str, bytes] | None = None,
) -> bytes:  # fmt: skip
    """Return an unsigned APK of a linked ``base.apk``, code, assets (``assets/…``) and libraries (``lib/…``).

    ``stored`` libraries are mapped from the APK; others are compressed, and unpacked when the app is installed.
    ``packed`` holds the compressed streams that are at hand already, by the names of the libraries.
    """
    packed = packed or {}
    with zipfile.ZipFile(base) as linked:
        entries = [Entry(n, linked.read(n), n.endswith(_STORED_KINDS)) for n in sorted(linked.namelist())]
    entries.append(Entry("classes.dex", dex.read_bytes()))
    entries += [Entry(name, data) for name, data in sorted(assets.items())]
    entries += [Entry(name, data, stored, packed.get(name)) for name, data in sorted(native.items())]
    return write_archive(entries)


def summarise(data: bytes, name: str) -> ApkSummary:
    """Read an APK; ``ApkFault`` naming ``name`` when it is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            manifest = read_axml(archive.read("AndroidManifest.xml"), f"{name}/AndroidManifest.xml")
            infos = archive.infolist()
    except (zipfile.BadZipFile, KeyError) as error:
        raise ApkFault(f"this is not an APK: {error}", path=name, hint="build it again") from error
    application = next(manifest.all("application"))
    sdk = next(manifest.all("uses-sdk"))
    return ApkSummary(
        package=str(manifest.attributes["package"]),
        version_code=int(manifest.attributes["versionCode"]),
        version_name=str(manifest.attributes["versionName"]),
        min_sdk=int(sdk.attributes["minSdkVersion"]),
        target_sdk=int(sdk.attributes["targetSdkVersion"]),
        permissions=tuple(str(e.attributes["name"]) for e in manifest.all("uses-permission")),
        exported=tuple(_exported(application, str(manifest.attributes["package"]))),
        openings=tuple(_openings(application)),
        debuggable=bool(application.attributes.get("debuggable", False)),
        extract_native=bool(application.attributes.get("extractNativeLibs", True)),
        abis=tuple(sorted({i.filename.split("/")[1] for i in infos if i.filename.startswith("lib/")})),
        schemes=tuple(signature_schemes(data)),
        parts=_parts(infos),
    )


def package_of(path: Path) -> str:
    """Return the application id of an APK on this disk; ``ApkFault`` when it is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = read_axml(archive.read("AndroidManifest.xml"), f"{path}/AndroidManifest.xml")
        return check_application_id(str(manifest.attributes["package"]))
    except (OSError, zipfile.BadZipFile, KeyError, RuntimeError, zlib.error) as error:
        raise ApkFault(
            f"this is not an APK: {error}", path=path, hint="give the APK that 'edge-kit build' wrote"
        ) from error


def check_apk(data: bytes, name: str, permissions: tuple[str, ...]) -> ApkSummary:
    """Return the summary of a finished APK; ``ApkFault`` or ``RuntimeUnfit`` for the first promise it breaks.

    The promises: exactly these permissions, no exported provider, no backup, not debuggable, signed by v2 and v3, every
    stored file aligned (libraries to 16 KB), ``resources.arsc`` stored, every library fit for its ABI and complete,
    every ONNX file with declared input sizes (``AndroidError``), ``.nb`` files exactly where Paddle Lite can run them.
    """
    summary = summarise(data, name)
    for what, broken in {
        f"it asks for {', '.join(summary.permissions) or 'nothing'}": summary.permissions != permissions,
        " and ".join(summary.openings): bool(summary.openings),
        "it is debuggable": summary.debuggable,
        f"its signatures are {', '.join(summary.schemes) or 'none'}": summary.schemes != ("v2", "v3"),
    }.items():
        if broken:
            raise ApkFault(f"the APK breaks a promise: {what}", path=name, hint="correct the manifest or the packager")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            _check_place(data, info, name, extracted=summary.extract_native)
            if info.filename.endswith(".onnx"):
                check_declared(archive.read(info), f"{name}/{info.filename}")
        _check_models(archive.namelist(), name)
        check_libraries({n: archive.read(n) for n in archive.namelist() if n.startswith("lib/")})
    return summary


def data_offset(data: bytes, info: zipfile.ZipInfo) -> int:
    """Return where the bytes of a member begin in the file."""
    name, extra = struct.unpack_from("<HH", data, info.header_offset + 26)
    return int(info.header_offset + 30 + name + extra)


def signature_schemes(data: bytes) -> Iterator[str]:
    """Yield the names of the APK Signature Schemes in the block before the central directory."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        end = archive.start_dir
    if data[end - 16 : end] != _SIGNING_MAGIC:
        return
    (size,) = struct.unpack_from("<Q", data, end - 24)
    at = end - size
    while at < end - 24:
        length, kind = struct.unpack_from("<QI", data, at)
        if kind in _SCHEMES:
            yield _SCHEMES[kind]
        at += 8 + length


def _exported(application: Element, package: str) -> Iterator[str]:
    for child in application.children:
        if child.name in _COMPONENTS and child.attributes.get("exported", False):
            name = str(child.attributes["name"])
            yield package + name if name.startswith(".") else name


def _check_models(members: list[str], name: str) -> None:
    """Raise ``ApkFault`` for models that nothing in the app runs, or a runtime without its models."""
    has_lite = any(member.endswith(f"/{JNI}") for member in members)
    if has_lite != any(member.startswith(_MODELS) and member.endswith(".nb") for member in members):
        what = "Paddle Lite's runtime and no .nb file" if has_lite else ".nb files and no Paddle Lite to run them"
        raise ApkFault(f"the APK holds {what}", path=name, hint="build it again")


def _openings(application: Element) -> Iterator[str]:
    for provider in application.all("provider"):
        if provider.attributes.get("exported", False):
            yield f"any app may ask its provider {provider.attributes['name']}"
    if application.attributes.get("allowBackup", True):
        yield "its files may be backed up"
    # Without rules Android 12 and newer copy an app's files to the user's next device, whatever allowBackup says.
    if "dataExtractionRules" not in application.attributes:
        yield "its files may be copied to another device"


def _check_place(data: bytes, info: zipfile.ZipInfo, name: str, *, extracted: bool) -> None:
    stored = info.compress_type == zipfile.ZIP_STORED
    library = info.filename.endswith(".so")
    if (info.filename == "resources.arsc" or (library and not extracted)) and not stored:
        raise ApkFault(f"{info.filename} is compressed, and Android maps it", path=name, hint="build it again")
    align = SO_ALIGN if library else STORED_ALIGN
    if stored and data_offset(data, info) % align:
        raise ApkFault(f"{info.filename} does not begin at a multiple of {align}", path=name, hint="build it again")


def _parts(infos: list[zipfile.ZipInfo]) -> Parts:
    """Return bytes in the APK and bytes of the files by part."""
    found: dict[str, dict[str, int]] = {}
    for info in infos:
        part = found.setdefault(_part(info.filename), {"files": 0, "bytes": 0, "unpacked": 0})
        part["files"] += 1
        part["bytes"] += info.compress_size
        part["unpacked"] += info.file_size
    return dict(sorted(found.items()))


def _part(name: str) -> str:
    """Return the part of the app that a file belongs to, as the size report names it."""
    if name.startswith("lib/"):
        return name.rsplit("/", 1)[1]
    if name.startswith(_MODELS):
        return f"models (.{name.rsplit('.', 1)[1]})"
    if name.startswith("assets/"):
        return name.split("/")[1]
    return "code" if name.endswith(".dex") else "resources"
