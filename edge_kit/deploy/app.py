"""Which APK belongs to a bundle."""

from __future__ import annotations

from pathlib import Path

from edge_kit.deploy.adb import DeployError


def bundle_apk(bundle: Path, given: Path | None = None) -> Path:
    """Return ``given``, or the one APK in the bundle's folder; ``DeployError`` when there is none or several."""
    if given is not None:
        if not given.is_file():
            raise DeployError("there is no such APK", path=given, hint="check the path given by --apk")
        return given
    found = sorted(bundle.glob("*.apk"))
    if len(found) == 1:
        return found[0]
    what = f"the bundle holds {len(found)} APKs" if found else "the bundle holds no APK"
    raise DeployError(what, path=bundle, hint="build one with 'edge-kit build', or name one by --apk")
