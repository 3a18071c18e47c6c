"""The framework that the app is linked and shrunk against, taken out of the android-all jar."""

from __future__ import annotations

import zipfile
from pathlib import Path

from edge_kit.android.archive import Entry, write_archive
from edge_kit.android.errors import AndroidError

_LINKED = ("AndroidManifest.xml", "resources.arsc")


def framework_apk(android_all: Path) -> bytes:
    """Return what ``aapt2 link -I`` needs: a zip of the framework's manifest and compiled resources.

    Raises ``AndroidError`` when the jar holds neither.
    """
    with opened(android_all) as jar:
        missing = set(_LINKED) - set(jar.namelist())
        if missing:
            raise AndroidError(f"the jar lacks {', '.join(sorted(missing))}", path=android_all, hint="fetch it again")
        return write_archive(Entry(name, jar.read(name), stored=True) for name in _LINKED)


def class_names(jar: Path) -> frozenset[str]:
    """Return the internal names (``java/lang/String``) of the classes in ``jar``."""
    with opened(jar) as archive:
        return frozenset(name[: -len(".class")] for name in archive.namelist() if name.endswith(".class"))


def opened(path: Path) -> zipfile.ZipFile:
    """Open a jar, AAR or APK; ``AndroidError`` when it is no zip file."""
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise AndroidError(f"cannot read the archive: {error}", path=path, hint="fetch or build it again") from error
