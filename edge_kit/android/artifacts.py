"""Pinned artifacts of a Maven repository: fetched by Maven, checked by sum, kept in the cache.

Maven does the download, so the user's own settings (mirrors, proxies, credentials) apply and no host is named here.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from edge_kit.android.config import Pin
from edge_kit.android.errors import ArtifactError, ToolFailed
from edge_kit.android.tools import OnPoll, require_tools, run_tool
from model_opt.files import sha256_file
from model_opt.resources import cache_dir
from model_opt.store import ChecksumError, disk_faults, known_sum, locked, staged_folder

_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion>
<groupId>edge-kit</groupId><artifactId>fetch</artifactId><version>1</version><packaging>pom</packaging>
<build><plugins><plugin>
<groupId>org.apache.maven.plugins</groupId><artifactId>maven-dependency-plugin</artifactId><version>3.8.1</version>
<configuration><artifactItems>
{items}
</artifactItems></configuration>
</plugin></plugins></build>
</project>
"""


def fetch_artifacts(pins: Sequence[Pin], *, offline: bool = False, on_poll: OnPoll | None = None) -> dict[Pin, Path]:
    """Return the path of each pinned artifact in the cache, ``maven/<sha256>/<file name>``; fetch those that lack.

    One start of Maven fetches all of them. Sums are checked after the download and at every later call; a damaged
    file is replaced. ``offline`` lets Maven use only its own local repository. Raises ``ArtifactError`` when Maven
    fails and ``ChecksumError`` when a file has another sum.
    """
    root = cache_dir() / "maven"
    lacking = [pin for pin in pins if _cached(pin) is None]
    if lacking:
        with locked(root / "fetch"):
            lacking = [pin for pin in dict.fromkeys(lacking) if _cached(pin) is None]
            if lacking:
                _fetch(lacking, offline=offline, on_poll=on_poll)
    return {pin: _place(pin) for pin in pins}


def maven_options(*, offline: bool) -> list[str]:
    """Return the options of every start of Maven: batch, plain; ``EDGE_KIT_MAVEN_REPO`` is its local repository."""
    own = os.environ.get("EDGE_KIT_MAVEN_REPO")
    repository = [f"-Dmaven.repo.local={Path(own).expanduser().resolve()}"] if own else []
    return ["-B", "-ntp", "-Dstyle.color=never", *repository, *(["-o"] if offline else [])]


def _place(pin: Pin) -> Path:
    return cache_dir() / "maven" / pin.sha256 / pin.filename


def _cached(pin: Pin) -> Path | None:
    path = _place(pin)
    with disk_faults(f"read {pin.coordinates} from the cache", path):
        return path if path.is_file() and known_sum(path) == pin.sha256 else None


def _fetch(pins: Sequence[Pin], *, offline: bool, on_poll: OnPoll | None) -> None:
    mvn = require_tools(("mvn",))["mvn"]
    cache = cache_dir() / "maven"
    with disk_faults("store artifacts", cache):
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache) as scratch:
            pom = Path(scratch) / "pom.xml"
            pom.write_text(_POM.format(items="\n".join(map(_item, range(len(pins)), pins))), encoding="utf-8")
            _run_maven(
                [mvn, *maven_options(offline=offline), "-f", pom, _PLUGIN], pins, offline=offline, on_poll=on_poll
            )
            for index, pin in enumerate(pins):
                _keep(pin, Path(scratch) / "out" / str(index) / pin.filename)


def _run_maven(command: Sequence[str | Path], pins: Sequence[Pin], *, offline: bool, on_poll: OnPoll | None) -> None:
    names = ", ".join(pin.coordinates for pin in pins)
    hint = "check the network and Maven's settings (~/.m2/settings.xml), then start again"
    if offline:
        hint = "run once without --offline"
    try:
        run_tool(f"fetch {names}", command, on_poll=on_poll)
    except ToolFailed as error:
        raise ArtifactError(error.what, hint=hint) from error


def _keep(pin: Pin, fetched: Path) -> None:
    """Move a fetched file to its place in the cache after checking its sum."""
    if not fetched.is_file():
        raise ArtifactError(f"Maven left no file for {pin.coordinates}", hint="mend the coordinates")
    found = sha256_file(fetched)
    if found != pin.sha256:
        raise ChecksumError(
            pin.coordinates, pin.sha256, found, hint="check the repository that Maven uses: it serves another file"
        )
    with staged_folder(_place(pin).parent) as staging:
        fetched.replace(staging / pin.filename)


def _item(index: int, pin: Pin) -> str:
    """Return the request for one artifact; each has its own folder, since two may have one file name."""
    fields = {"groupId": pin.group, "artifactId": pin.artifact, "version": pin.version, "type": pin.kind}
    if pin.classifier:
        fields["classifier"] = pin.classifier
    body = "".join(f"<{key}>{escape(value)}</{key}>" for key, value in fields.items())
    return f"<artifactItem>{body}<outputDirectory>${{basedir}}/out/{index}</outputDirectory></artifactItem>"
