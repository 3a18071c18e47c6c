"""Resources and manifest of an app: compiled and linked by aapt2 into an APK without code, and ``R.java``."""

from __future__ import annotations

import tempfile
import xml.etree.ElementTree as tree
from dataclasses import dataclass
from pathlib import Path

from edge_kit.android.errors import AndroidError
from edge_kit.android.tools import Tick, require_tools, run_tool

_ANDROID = "http://schemas.android.com/apk/res/android"
_ID = "${applicationId}"
_HINT = "mend the resource or the manifest that it names"


@dataclass(frozen=True)
class AppVersion:
    """What the manifest says of the app's version and of the Android versions it is for."""

    code: int
    name: str
    min_sdk: int
    target_sdk: int


@dataclass(frozen=True)
class Linked:
    """What linking made: an APK of manifest and resources, a folder with ``R.java``, and rules for the shrinker."""

    base: Path
    java: Path
    rules: Path


def link_resources(
    manifest: Path, res: Path, framework: Path, out: Path, version: AppVersion, *, extract_native: bool,
    tick: Tick | None = None,
) -> Linked:  # fmt: skip
    """Compile the folder ``res``, link it with ``manifest`` against ``framework``, and write the results into ``out``.

    ``extract_native`` states ``android:extractNativeLibs``: whether Android unpacks the libraries when it installs the
    app. Raises ``ToolFailed`` in aapt2's words, ``AndroidError`` when the manifest is no XML file.
    """
    aapt2 = require_tools(("aapt2",))["aapt2"]
    linked = Linked(out / "base.apk", out / "java", out / "components.pro")
    with tempfile.TemporaryDirectory(prefix="edge-kit-res-") as scratch:
        compiled, stated = Path(scratch) / "compiled.zip", Path(scratch) / "AndroidManifest.xml"
        stated.write_bytes(stated_manifest(manifest, extract_native=extract_native))
        run_tool("compile the resources", [aapt2, "compile", "--dir", res, "-o", compiled], hint=_HINT, tick=tick)
        run_tool(
            "link the resources",
            [
                aapt2, "link", "-I", framework, "--manifest", stated, "-o", linked.base, "--java", linked.java,
                "--proguard", linked.rules, "--min-sdk-version", str(version.min_sdk),
                "--target-sdk-version", str(version.target_sdk), "--version-code", str(version.code),
                "--version-name", version.name, "--replace-version", "--no-version-vectors",
                compiled,
            ],
            hint=_HINT,
            tick=tick,
        )  # fmt: skip
    _drop_origins(linked)
    return linked


def stated_manifest(manifest: Path, *, extract_native: bool) -> bytes:
    """Return the manifest with ``android:extractNativeLibs`` set on its application.

    ``${applicationId}`` in a value becomes the manifest's package, as Gradle does it: no two apps of a device may have
    a provider of one authority.
    """
    tree.register_namespace("android", _ANDROID)
    try:
        root = tree.parse(manifest).getroot()
    except (OSError, tree.ParseError) as error:
        raise AndroidError(f"cannot read the app's manifest: {error}", path=manifest, hint="mend it") from error
    application = root.find("application")
    if application is None:
        raise AndroidError("the app's manifest has no <application>", path=manifest, hint="add one")
    application.set(f"{{{_ANDROID}}}extractNativeLibs", str(extract_native).lower())
    for element in root.iter():
        for name, value in element.attrib.items():
            element.set(name, value.replace(_ID, root.get("package", "")))
    return bytes(tree.tostring(root, encoding="utf-8", xml_declaration=True))


def _drop_origins(linked: Linked) -> None:
    """Take the comments out of the rules: they name files of this machine."""
    lines = linked.rules.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.strip() and not line.startswith("#")]
    linked.rules.write_text("\n".join(kept) + "\n", encoding="utf-8")


def resource_numbers(r_java: bytes) -> tuple[str, ...]:
    """Return the lines of an ``R.java`` that number resources, whatever package it is for."""
    lines = (line.strip() for line in r_java.decode("utf-8").splitlines())
    return tuple(line for line in lines if line.startswith("public "))
