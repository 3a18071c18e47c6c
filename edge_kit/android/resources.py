"""Resources and manifest of an app: compiled and linked by aapt2 into an APK without code, and ``R.java``."""

from __future__ import annotations

import tempfile
import xml.etree.ElementTree as tree
from dataclasses import dataclass
from pathlib import Path

from edge_kit.android.errors import AndroidError
from edge_kit.android.tools import OnPoll, require_tools, run_tool

_ANDROID = "http://schemas.android.com/apk/res/android"
_ID = "${applicationId}"
_NAME = "app_name"
_HINT = "correct the resource or the manifest that it names"


@dataclass(frozen=True)
class AppIdentity:
    """What the manifest says of the app: its id and version, and the Android versions it is for.

    ``label`` is its name on the device in every language; None: that of its resources.
    """

    application_id: str
    version_code: int
    version_name: str
    min_sdk: int
    target_sdk: int
    label: str | None = None


@dataclass(frozen=True)
class Linked:
    """What linking made: an APK of manifest and resources, a folder with ``R.java``, and rules for the shrinker."""

    base: Path
    java: Path
    rules: Path


def link_resources(
    manifest: Path, res: Path, framework: Path, out: Path, identity: AppIdentity, *, extract_native: bool,
    on_poll: OnPoll | None = None,
) -> Linked:  # fmt: skip
    """Compile the folder ``res``, link it with ``manifest`` against ``framework``, and write the results into ``out``.

    ``extract_native`` states ``android:extractNativeLibs``: whether Android unpacks the libraries when it installs the
    app. Raises ``ToolFailed`` with aapt2's message, ``AndroidError`` when the manifest is no XML file.
    """
    aapt2 = require_tools(("aapt2",))["aapt2"]
    linked = Linked(out / "base.apk", out / "java", out / "components.pro")
    with tempfile.TemporaryDirectory(prefix="edge-kit-res-") as scratch:
        compiled, stated = Path(scratch) / "compiled.zip", Path(scratch) / "AndroidManifest.xml"
        stated.write_bytes(stated_manifest(manifest, identity.application_id, extract_native=extract_native))
        run_tool("compile the resources", [aapt2, "compile", "--dir", res, "-o", compiled], hint=_HINT, on_poll=on_poll)
        overlay: list[str | Path] = []
        if identity.label is not None:
            named = Path(scratch) / "named"
            _write_names(res, identity.label, named)
            overlay = ["-R", Path(scratch) / "named.zip"]
            run_tool("compile the app's name", [aapt2, "compile", "--dir", named, "-o", overlay[1]], on_poll=on_poll)
        run_tool(
            "link the resources",
            [
                aapt2, "link", "-I", framework, "--manifest", stated, "-o", linked.base, "--java", linked.java,
                "--proguard", linked.rules, "--min-sdk-version", str(identity.min_sdk),
                "--target-sdk-version", str(identity.target_sdk), "--version-code", str(identity.version_code),
                "--version-name", identity.version_name, "--replace-version", "--no-version-vectors",
                *overlay, compiled,
            ],
            hint=_HINT,
            on_poll=on_poll,
        )  # fmt: skip
    _drop_origins(linked)
    return linked


def stated_manifest(manifest: Path, application_id: str, *, extract_native: bool) -> bytes:
    """Return the manifest with its package, and with ``android:extractNativeLibs`` set on its application.

    The sources name no package, as Gradle demands. ``${applicationId}`` in a value becomes the id, as Gradle does it:
    no two apps of a device may have a provider of one authority.
    """
    tree.register_namespace("android", _ANDROID)
    try:
        root = tree.parse(manifest).getroot()
    except (OSError, tree.ParseError) as error:
        raise AndroidError(f"cannot read the app's manifest: {error}", path=manifest, hint="correct it") from error
    application = root.find("application")
    if application is None:
        raise AndroidError("the app's manifest has no <application>", path=manifest, hint="add one")
    application.set(f"{{{_ANDROID}}}extractNativeLibs", str(extract_native).lower())
    root.set("package", application_id)
    for element in root.iter():
        for name, value in element.attrib.items():
            element.set(name, value.replace(_ID, application_id))
    for provider in application.iter("provider"):
        names = provider.get(f"{{{_ANDROID}}}authorities", "").split(";")
        if not all(name.startswith(f"{application_id}.") for name in names):
            raise AndroidError(
                f"a provider of the app has the authority {';'.join(names)}: no second app could have it too",
                path=manifest,
                hint=f"begin it with {_ID}.",
            )
    return bytes(tree.tostring(root, encoding="utf-8", xml_declaration=True))


def _write_names(res: Path, label: str, out: Path) -> None:
    """Write the app's name anew for every language that ``res`` names it in.

    Quotes keep blanks and a leading @ or ? as they are; a backslash escapes (resources of type string).
    """
    escaped = label.replace("\\", "\\\\").replace('"', '\\"')
    document = tree.Element("resources")
    tree.SubElement(document, "string", name=_NAME).text = f'"{escaped}"'
    for folder in sorted(res.glob("values*")):
        names = (entry.get("name") for path in folder.glob("*.xml") for entry in tree.parse(path).iter("string"))
        if _NAME in names:
            (out / folder.name).mkdir(parents=True)
            (out / folder.name / "name.xml").write_bytes(tree.tostring(document, encoding="utf-8"))


def _drop_origins(linked: Linked) -> None:
    """Take the comments out of the rules: they name files of this machine."""
    lines = linked.rules.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.strip() and not line.startswith("#")]
    linked.rules.write_text("\n".join(kept) + "\n", encoding="utf-8")


def resource_numbers(r_java: bytes) -> tuple[str, ...]:
    """Return the lines of an ``R.java`` that number resources, whatever package it is for."""
    lines = (line.strip() for line in r_java.decode("utf-8").splitlines())
    return tuple(line for line in lines if line.startswith("public "))
